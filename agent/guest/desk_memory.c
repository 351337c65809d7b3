#include <string.h>

#include "guest/desk_parts.h"
#include "guest/memory.h"

#define MIDDLING 65536

/* LIMIT_INCOMPLETE_BYTES, shared out: the inline buffers, so that small requests always get through; one request of
 * full size, so that big ones which wait for each other's room cannot all stand still; the rest in common, the last MiB
 * of it not for big ones. */
#define HELD_LIMIT     (LIMIT_INCOMPLETE_BYTES - LIMIT_CONNECTIONS * CONNECTION_INLINE - LIMIT_CONTROL_PAYLOAD)
#define HELD_LIMIT_BIG (HELD_LIMIT - LIMIT_CONTROL_PAYLOAD)

/* Complete requests that wait for a slot are kept, whatever they hold; beyond this no big ones are read in addition. */
#define QUEUED_LIMIT (64 * 1024 * 1024)

static size_t counted(const struct connection *connection)
{
    return connection->payload == connection->small || connection->desk->privileged == connection
               ? 0
               : connection->capacity;
}

static uint32_t next_capacity(const struct connection *connection)
{
    const uint32_t doubled = connection->capacity < MEMORY_PAGE ? MEMORY_PAGE : 2 * connection->capacity;
    const uint32_t needed = (connection->decoder.header.length + MEMORY_PAGE - 1) / MEMORY_PAGE * MEMORY_PAGE;

    return doubled < needed ? doubled : needed;
}

static bool has_room(struct connection *connection, uint32_t capacity)
{
    struct desk *desk = connection->desk;
    const size_t limit = capacity > MIDDLING ? HELD_LIMIT_BIG : HELD_LIMIT;

    if (capacity > MIDDLING && desk->queued_bytes > QUEUED_LIMIT)
        return false;
    if (desk->privileged == connection || desk->held - counted(connection) + capacity <= limit)
        return true;
    if (desk->privileged != NULL)
        return false;
    desk->held -= counted(connection);
    desk->privileged = connection;
    return true;
}

bool memory_grow(struct connection *connection)
{
    struct desk *desk = connection->desk;
    const uint32_t capacity = next_capacity(connection);
    const bool is_small = connection->payload == connection->small;
    uint8_t *grown;

    if (!has_room(connection, capacity)) {
        connection->paused = true;
        desk->paused++;
        desk_watch(connection, 0);
        return false;
    }
    grown = is_small ? memory_map(capacity) : memory_resize(connection->payload, connection->capacity, capacity);
    if (grown == NULL) {
        desk_close(connection);
        return false;
    }
    if (is_small)
        memcpy(grown, connection->small, connection->have);
    desk->held -= counted(connection);
    connection->payload = grown;
    connection->capacity = capacity;
    desk->held += counted(connection);
    return true;
}

/* Let paused connections try again, in the turns to come; those that still find no room pause anew. */
static void resume(struct desk *desk)
{
    struct connection *next;

    for (struct connection *connection = desk->stages[STAGE_INCOMPLETE].first; connection != NULL; connection = next) {
        next = connection->next;
        if (!connection->paused)
            continue;
        connection->paused = false;
        desk->paused--;
        if (!desk_watch(connection, EPOLLIN)) /* closed, and so the rest resumed already */
            return;
    }
}

void memory_release(struct connection *connection)
{
    struct desk *desk = connection->desk;
    const bool had = connection->payload != connection->small;

    if (connection->paused) {
        connection->paused = false;
        desk->paused--;
    }
    desk->held -= counted(connection);
    if (desk->privileged == connection)
        desk->privileged = NULL;
    if (had)
        memory_unmap(connection->payload, connection->capacity);
    connection->payload = connection->small;
    connection->capacity = sizeof connection->small;
    connection->have = 0;
    if (had && desk->paused > 0 && !desk->stopping)
        resume(desk);
}
