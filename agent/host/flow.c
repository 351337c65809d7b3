#include "host/flow_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ROUNDS       16 /* reads until others have their turn */
#define SPLICE_AFTER 3  /* full reads */

bool side_hung_up(const struct side *side)
{
    return !side->shut && send(side->watch.fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
           (errno == EPIPE || errno == ECONNRESET);
}

void flow_drop(struct flow *flow)
{
    free(flow->held);
    flow->held = NULL;
    flow->held_at = flow->held_end = 0;
    flow_give_pipe(flow, NULL);
    flow->ended = true;
}

void flow_lose_receiver(struct flow *flow, int err)
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

void flow_lose_sender(struct flow *flow, int err)
{
    flow->from->eof = true;
    flow->from->gone = true;
    if (flow->from->error == 0)
        flow->from->error = err;
}

void flow_count(struct flow *flow, struct flow_room *room, size_t bytes)
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
        flow_count(flow, room, (size_t)sent);
        return sent;
    }
    if (errno == EAGAIN || errno == ENOBUFS)
        return 0;
    flow_lose_receiver(flow, errno);
    return -1;
}

/* Keep what was not taken. */
static void hold(struct flow *flow, const char *bytes, size_t length)
{
    flow->held = malloc(length);
    if (flow->held == NULL) {
        flow_lose_sender(flow, ENOMEM);
        flow_drop(flow);
        return;
    }
    memcpy(flow->held, bytes, length);
    flow->held_at = 0;
    flow->held_end = length;
}

/* Return: true if nothing is held any more. */
static bool flush(struct flow *flow, struct flow_room *room)
{
    flow_flush_pipe(flow, room);
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

bool flow_read_nothing(struct flow *flow, ssize_t got)
{
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN && !flow->from->hung)
        return false;
    if (got < 0 && errno != EAGAIN)
        flow_lose_sender(flow, errno);
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
        return flow_read_nothing(flow, got);
    flow->full = got >= FLOW_BUFFER / 4 ? flow->full + 1 : 0;
    sent = send_some(flow, room, room->buffer, (size_t)got);
    if (sent >= 0 && sent < got)
        hold(flow, room->buffer + sent, (size_t)(got - sent));
    /* After a short read the socket is empty, or an event tells. */
    return flow->full > 0 || flow->from->closing || flow->from->hung;
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
            more = flow_fill_by_splice(flow, room);
        else
            more = fill_by_copy(flow, room);
    }
    if (flow->piped == 0)
        flow_give_pipe(flow, room);
}

bool flow_wants_input(const struct flow *flow)
{
    return !flow->ended && !flow->from->eof && !flow_wants_room(flow);
}

bool flow_wants_room(const struct flow *flow)
{
    return flow->held != NULL || flow->piped > 0;
}
