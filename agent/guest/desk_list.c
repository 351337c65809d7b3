#include "guest/desk_parts.h"

/* An agent without a connection for so long is idle: it gives back what only work needs. */
#define IDLE_PAUSE (CLOCK_SECOND / 2)

static void list_remove(struct list *list, struct connection *connection)
{
    *(connection->previous != NULL ? &connection->previous->next : &list->first) = connection->next;
    *(connection->next != NULL ? &connection->next->previous : &list->last) = connection->previous;
    list->count--;
}

static void list_append(struct list *list, struct connection *connection)
{
    connection->next = NULL;
    connection->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = connection;
    list->last = connection;
    list->count++;
}

void desk_move(struct connection *connection, enum stage stage)
{
    struct desk *desk = connection->desk;

    if (connection->stage != STAGES)
        list_remove(&desk->stages[connection->stage], connection);
    connection->stage = stage;
    list_append(&desk->stages[stage], connection);
}

bool desk_watch(struct connection *connection, uint32_t events)
{
    struct desk *desk = connection->desk;
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (connection->registered && connection->watched == events)
        return true;
    if (desk->sys->epoll_ctl(desk->epoll, connection->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection->fd,
                             &event) != 0) {
        desk_close(connection);
        return false;
    }
    connection->registered = true;
    connection->watched = events;
    return true;
}

/* Explicitly, and before close(): a child that is just being started holds a copy of every descriptor until its exec,
 * and an epoll set keeps reporting a closed descriptor as long as a copy lives. */
void desk_unwatch(struct connection *connection)
{
    struct desk *desk = connection->desk;

    if (connection->registered && (connection->stage != STAGE_LINGERING || desk->stages[STAGE_WORKING].count > 0))
        desk->sys->epoll_ctl(desk->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    connection->registered = false;
}

void desk_close(struct connection *connection)
{
    struct desk *desk = connection->desk;

    if (connection->stage == STAGE_QUEUED)
        desk->queued_bytes -= connection->weight;
    desk_unwatch(connection);
    desk->sys->close(connection->fd);
    desk_move(connection, STAGE_CLOSED);
    memory_release(connection);
    desk_drop_request(connection);
    desk->connections--;
    desk->idle_at = desk->connections == 0 ? clock_after(desk->sys->now(), IDLE_PAUSE) : CLOCK_NEVER;
    desk_accept_resume(desk, true);
}
