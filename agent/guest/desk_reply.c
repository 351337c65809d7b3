#include <errno.h>
#include <string.h>

#include "guest/desk_parts.h"
#include "guest/memory.h"

/* What one connection may discard in one turn, so that a host that sends without end does not keep the others waiting.
 */
#define DISCARD_PIECE 65536
#define DISCARD_BATCH 4

static bool would_wait(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Keep what the socket does not take. */
static void keep(struct connection *connection, const uint8_t *bytes, size_t length)
{
    struct desk *desk = connection->desk;

    memory_release(connection);
    desk_drop_request(connection);
    if (length > sizeof connection->small) {
        connection->payload = memory_map(length);
        if (connection->payload == NULL) {
            connection->payload = connection->small;
            desk_close(connection);
            return;
        }
        desk->held += length;
    }
    memcpy(connection->payload, bytes, length);
    connection->capacity = (uint32_t)length;
    connection->deadline = clock_after(desk->sys->now(), desk->setup->options->io_timeout);
    desk_move(connection, STAGE_REPLYING);
    desk_watch(connection, EPOLLOUT);
}

void desk_reply(struct connection *connection, const uint8_t *bytes, size_t length)
{
    const ssize_t sent = connection->desk->sys->send(connection->fd, bytes, length, MSG_NOSIGNAL);

    if (sent == (ssize_t)length)
        desk_linger(connection, false);
    else if (sent > 0)
        keep(connection, bytes + sent, length - (size_t)sent);
    else if (would_wait(sent))
        keep(connection, bytes, length);
    else
        desk_close(connection);
}

void desk_reply_more(struct connection *connection)
{
    struct desk *desk = connection->desk;
    const size_t left = connection->capacity - connection->have;
    const ssize_t sent = desk->sys->send(connection->fd, connection->payload + connection->have, left, MSG_NOSIGNAL);

    if (would_wait(sent))
        return;
    if (sent <= 0) {
        desk_close(connection);
        return;
    }
    connection->have += (uint32_t)sent;
    connection->deadline = clock_after(desk->sys->now(), desk->setup->options->io_timeout);
    desk_move(connection, STAGE_REPLYING); /* to the end: its deadline is the latest now */
    if (connection->have == connection->capacity)
        desk_linger(connection, false);
}

void desk_linger(struct connection *connection, bool shut_down)
{
    struct desk *desk = connection->desk;

    memory_release(connection);
    desk_drop_request(connection);
    if (!shut_down)
        desk->sys->shutdown(connection->fd, SHUT_WR);
    connection->deadline = clock_after(desk->sys->now(), desk->setup->options->linger_timeout);
    desk_move(connection, STAGE_LINGERING);
    desk_linger_more(connection);
}

void desk_linger_more(struct connection *connection)
{
    for (int i = 0; i < DISCARD_BATCH; i++) {
        const ssize_t got = stream_discard(connection->desk->sys, connection->fd, DISCARD_PIECE);

        if (would_wait(got))
            break;
        if (got <= 0) {
            desk_close(connection);
            return;
        }
    }
    desk_watch(connection, EPOLLIN);
}
