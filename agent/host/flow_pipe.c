#include "host/flow_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPLICE_SIZE  (256 * 1024) /* BRIDGE-PRESSURE allows 1 MiB */
#define SPLICE_LEAST 4096         /* less at a time is copied */

bool flow_room_open(struct flow_room *room)
{
    *room = (struct flow_room){.buffer = malloc(FLOW_BUFFER)};
    return room->buffer != NULL;
}

static void close_pipe(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

bool flow_room_trim(struct flow_room *room)
{
    if (!room->pipe_used)
        while (room->pipe_count > 0)
            close_pipe(room->pipes[--room->pipe_count].ends);
    room->pipe_used = false;
    return room->pipe_count > 0;
}

void flow_room_close(struct flow_room *room)
{
    room->pipe_used = false;
    flow_room_trim(room);
    free(room->buffer);
}

static bool take_pipe(struct flow *flow, struct flow_room *room)
{
    room->pipe_used = true;
    if (room->pipe_count == 0) {
        if (pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) != 0)
            return false;
        fcntl(flow->pipe[1], F_SETPIPE_SZ,
              SPLICE_SIZE); /* where many pipes are there already, the kernel's size will do */
        return true;
    }
    memcpy(flow->pipe, room->pipes[--room->pipe_count].ends, sizeof flow->pipe);
    return true;
}

void flow_give_pipe(struct flow *flow, struct flow_room *room)
{
    if (flow->pipe[0] < 0)
        return;
    if (flow->piped == 0 && room != NULL && room->pipe_count < sizeof room->pipes / sizeof *room->pipes)
        memcpy(room->pipes[room->pipe_count++].ends, flow->pipe, sizeof flow->pipe);
    else
        close_pipe(flow->pipe);
    flow->pipe[0] = flow->pipe[1] = -1;
    flow->piped = 0;
}

/* The receiver is of a kind that cannot be spliced to: take the bytes out of the pipe again. */
static void unpipe(struct flow *flow, struct flow_room *room)
{
    size_t length = 0;

    flow->no_splice = true;
    flow->held = malloc(flow->piped);
    while (flow->held != NULL && length < flow->piped) {
        const ssize_t got = read(flow->pipe[0], flow->held + length, flow->piped - length);

        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (length < flow->piped) {
        flow_lose_sender(flow, ENOMEM);
        flow_drop(flow);
        return;
    }
    flow->held_at = 0;
    flow->held_end = length;
    flow->piped = 0;
    flow_give_pipe(flow, room);
}

void flow_flush_pipe(struct flow *flow, struct flow_room *room)
{
    while (flow->piped > 0) {
        const ssize_t moved =
            splice(flow->pipe[0], NULL, flow->to->watch.fd, NULL, flow->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (moved > 0) {
            flow->piped -= (size_t)moved;
            flow_count(flow, room, (size_t)moved);
        } else if (moved < 0 && errno == EINVAL) {
            unpipe(flow, room);
        } else if (moved < 0 && errno == EAGAIN) {
            return;
        } else if (moved == 0 || errno != EINTR) {
            flow_lose_receiver(flow, moved < 0 ? errno : EPIPE);
        }
    }
}

bool flow_fill_by_splice(struct flow *flow, struct flow_room *room)
{
    ssize_t got;

    if (flow->pipe[0] < 0 && !take_pipe(flow, room)) {
        flow->full = 0;
        return true;
    }
    got = splice(flow->from->watch.fd, NULL, flow->pipe[1], NULL, SPLICE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got > 0) {
        flow->piped = (size_t)got;
        if (got < SPLICE_LEAST)
            flow->full = 0;
        return true; /* if only to hand it on */
    }
    if (got < 0 && errno == EINVAL) {
        flow->no_splice = true;
        flow_give_pipe(flow, room);
        return true;
    }
    flow_give_pipe(flow, room);
    return flow_read_nothing(flow, got);
}
