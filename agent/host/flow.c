#include "host/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS       16           /* reads until others have their turn */
#define SPLICE_AFTER 3            /* full reads */
#define SPLICE_SIZE  (256 * 1024) /* BRIDGE-PRESSURE allows 1 MiB */
#define SPLICE_LEAST 4096         /* less at a time is copied */

bool side_hung_up(const struct side *side)
{
    return !side->shut && send(side->watch.fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
           (errno == EPIPE || errno == ECONNRESET);
}

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

/* An empty pipe is for the next one who needs it; one that holds bytes to be given up is closed. */
static void give_pipe(struct flow *flow, struct flow_room *room)
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

void flow_drop(struct flow *flow)
{
    free(flow->held);
    flow->held = NULL;
    flow->held_at = flow->held_end = 0;
    give_pipe(flow, NULL);
    flow->ended = true;
}

/* The receiver takes no more: what it has sent itself may still be on its way. */
static void lose_receiver(struct flow *flow, int err)
{
    if (flow->to->family != AF_UNIX ||
        err != EPIPE) /* there EPIPE may be a mere shutdown(SHUT_RD); POLLHUP tells more */
        flow->to->gone = true;
    if (err != EPIPE && flow->to->error == 0)
        flow->to->error = err;
    flow_drop(flow);
    if (!flow->from->gone)
        shutdown(flow->from->watch.fd, SHUT_RD); /* EPIPE for the sender too */
}

static void lose_sender(struct flow *flow, int err)
{
    flow->from->eof = true;
    flow->from->gone = true;
    if (flow->from->error == 0)
        flow->from->error = err;
}

static void count(struct flow *flow, struct flow_room *room, size_t bytes)
{
    *flow->counter += bytes;
    flow->moved = room->now;
}

/* Send once. Return: bytes taken, 0 if none fit, -1 if the flow has ended. */
static ssize_t send_some(struct flow *flow, struct flow_room *room, const char *bytes, size_t length)
{
    ssize_t sent;

    do
        sent = send(flow->to->watch.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        count(flow, room, (size_t)sent);
        return sent;
    }
    if (errno == EAGAIN || errno == ENOBUFS)
        return 0;
    lose_receiver(flow, errno);
    return -1;
}

/* Keep what was not taken. */
static void hold(struct flow *flow, const char *bytes, size_t length)
{
    flow->held = malloc(length);
    if (flow->held == NULL) {
        lose_sender(flow, ENOMEM);
        flow_drop(flow);
        return;
    }
    memcpy(flow->held, bytes, length);
    flow->held_at = 0;
    flow->held_end = length;
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
        lose_sender(flow, ENOMEM);
        flow_drop(flow);
        return;
    }
    flow->held_at = 0;
    flow->held_end = length;
    flow->piped = 0;
    give_pipe(flow, room);
}

static void flush_pipe(struct flow *flow, struct flow_room *room)
{
    while (flow->piped > 0) {
        const ssize_t moved =
            splice(flow->pipe[0], NULL, flow->to->watch.fd, NULL, flow->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (moved > 0) {
            flow->piped -= (size_t)moved;
            count(flow, room, (size_t)moved);
        } else if (moved < 0 && errno == EINVAL) {
            unpipe(flow, room);
        } else if (moved < 0 && errno == EAGAIN) {
            return;
        } else if (moved == 0 || errno != EINTR) {
            lose_receiver(flow, moved < 0 ? errno : EPIPE);
        }
    }
}

/* Return: true if nothing is held any more. */
static bool flush(struct flow *flow, struct flow_room *room)
{
    flush_pipe(flow, room);
    while (flow->held != NULL) {
        const ssize_t sent = send_some(flow, room, flow->held + flow->held_at, flow->held_end - flow->held_at);

        if (sent <= 0)
            break;
        flow->held_at += (size_t)sent;
        if (flow->held_at == flow->held_end) {
            free(flow->held);
            flow->held = NULL;
        }
    }
    return !flow_wants_room(flow);
}

/* Judge the result of a read that brought nothing. Return: false, if it is worth no further try. */
static bool read_nothing(struct flow *flow, ssize_t got)
{
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN && !flow->from->hung)
        return false;
    if (got < 0 && errno != EAGAIN)
        lose_sender(flow, errno);
    flow->from->eof = true;
    if (side_hung_up(flow->from))
        flow->from->gone = true;
    return true;
}

/* Return: true if there may be more at once. */
static bool fill_by_copy(struct flow *flow, struct flow_room *room)
{
    const ssize_t got = recv(flow->from->watch.fd, room->buffer, FLOW_BUFFER, MSG_DONTWAIT);
    ssize_t sent;

    if (got <= 0)
        return read_nothing(flow, got);
    flow->full = got >= FLOW_BUFFER / 4 ? flow->full + 1 : 0;
    sent = send_some(flow, room, room->buffer, (size_t)got);
    if (sent >= 0 && sent < got)
        hold(flow, room->buffer + sent, (size_t)(got - sent));
    /* After a short read the socket is empty, or an event tells. */
    return flow->full > 0 || flow->from->closing || flow->from->hung;
}

static bool fill_by_splice(struct flow *flow, struct flow_room *room)
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
        give_pipe(flow, room);
        return true;
    }
    give_pipe(flow, room);
    return read_nothing(flow, got);
}

/* Everything before the end has been delivered. */
static void pass_end(struct flow *flow)
{
    if (flow->to->half_closes && !flow->from->gone && !flow->to->gone) {
        shutdown(flow->to->watch.fd, SHUT_WR);
        flow->to->shut = true;
    }
    flow->ended = true;
}

void flow_run(struct flow *flow, struct flow_room *room)
{
    unsigned rounds = 0;
    bool more = true;

    while (more && flush(flow, room) && !flow->ended) {
        if (flow->from->eof)
            pass_end(flow);
        else if (rounds++ >= ROUNDS && !flow->from->hung) /* of one that has gone there is only so much */
            more = false;
        else if (flow->full >= SPLICE_AFTER && !flow->no_splice)
            more = fill_by_splice(flow, room);
        else
            more = fill_by_copy(flow, room);
    }
    if (flow->piped == 0)
        give_pipe(flow, room);
}

bool flow_wants_input(const struct flow *flow)
{
    return !flow->ended && !flow->from->eof && !flow_wants_room(flow);
}

bool flow_wants_room(const struct flow *flow)
{
    return flow->held != NULL || flow->piped > 0;
}
