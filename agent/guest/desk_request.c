#include <errno.h>

#include "guest/desk_parts.h"
#include "guest/memory.h"
#include "wire/version.h"

/* Reads in one turn, so that a host that sends without end does not keep the others waiting. */
#define READ_BATCH 16

static bool is_kept(const struct frame_decoder *decoder)
{
    return decoder->header.type == FRAME_JSON && decoder->header.length <= LIMIT_CONTROL_PAYLOAD;
}

static void reply_error_and_end(struct connection *connection, const struct wire_error *error)
{
    uint8_t *reply = connection->desk->reply;

    log_event(connection->desk->setup->log, "request refused: ", wire_code_name(error->code), NULL);
    desk_reply(connection, reply, reply_error(reply, error));
}

static void reply_pong_and_end(struct connection *connection)
{
    uint8_t *reply = connection->desk->reply;

    desk_reply(connection, reply, reply_pong(reply, agent_version, connection->desk->setup->instance));
}

void desk_drop_request(struct connection *connection)
{
    memory_unmap(connection->memory, request_room(connection->weight));
    connection->memory = NULL;
}

/* Short requests need no memory of their own, as a rule. */
static void parse(struct connection *connection, const char *payload, uint32_t length)
{
    struct request *request = &connection->request;

    connection->weight = length;
    if (length <= CONNECTION_INLINE)
        request_parse(request, connection->room, CONNECTION_ROOM, payload, length);
    if (length <= CONNECTION_INLINE && request->error.code != WIRE_INTERNAL)
        return;
    connection->memory = memory_map(request_room(length));
    request_parse(request, connection->memory, connection->memory != NULL ? request_room(length) : 0, payload, length);
}

/* The first frame is whole (CONV-FIRST: judged by type, then size, then content). */
static void judge(struct connection *connection)
{
    const struct frame_header header = connection->decoder.header;
    struct request *request = &connection->request;

    if (header.type == FRAME_JSON)
        parse(connection, (const char *)connection->payload, header.length);
    else
        wire_fail(&request->error, WIRE_MALFORMED, "the first frame is not JSON", NULL);
    memory_release(connection);
    if (request->error.code != WIRE_OK && !request->drain)
        reply_error_and_end(connection, &request->error);
    else if (request->op == REQUEST_PING)
        reply_pong_and_end(connection);
    else
        desk_queue(connection);
}

/* Take one read's bytes. Return: true if the frame is whole, or the connection closed. */
static bool take(struct connection *connection, const uint8_t *bytes, size_t count)
{
    size_t consumed;

    for (;;) {
        switch (frame_decode(&connection->decoder, bytes, count, &consumed)) {
        case FRAME_MORE:
            return false;
        case FRAME_HEADER_READY:
            break;
        case FRAME_PAYLOAD:
            if (is_kept(&connection->decoder))
                connection->have += (uint32_t)consumed;
            break;
        case FRAME_END:
            judge(connection);
            return true;
        case FRAME_ERROR:
            log_event(connection->desk->setup->log, "closed: a frame over the length limit", NULL);
            desk_close(connection);
            return true;
        }
        bytes += consumed;
        count -= consumed;
    }
}

/* Read as much as the frame still wants and there is room for: never beyond the request, so that a worker finds an
 * upload in the socket, whole. Return: as recv(). */
static ssize_t receive(struct connection *connection, uint8_t *header, const uint8_t **at)
{
    const struct sys *sys = connection->desk->sys;
    const size_t wanted = frame_wants(&connection->decoder);
    const size_t room = connection->capacity - connection->have;

    if (connection->decoder.have < LIMIT_FRAME_HEADER) {
        *at = header;
        return sys->recv(connection->fd, header, wanted, 0);
    }
    *at = connection->payload + connection->have;
    if (!is_kept(&connection->decoder))
        return stream_discard(sys, connection->fd, wanted);
    return sys->recv(connection->fd, connection->payload + connection->have, wanted < room ? wanted : room, 0);
}

static bool is_full(const struct connection *connection)
{
    return connection->decoder.have == LIMIT_FRAME_HEADER && is_kept(&connection->decoder) &&
           connection->have == connection->capacity;
}

void desk_read(struct connection *connection)
{
    for (int i = 0; i < READ_BATCH; i++) {
        uint8_t header[LIMIT_FRAME_HEADER];
        const uint8_t *at;
        ssize_t got;

        if (is_full(connection) && !memory_grow(connection))
            return;
        got = receive(connection, header, &at);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) {
            desk_close(connection); /* CONV-FIRST: without a word */
            return;
        }
        if (take(connection, at, (size_t)got))
            return;
    }
    desk_watch(connection, EPOLLIN);
}
