#include <errno.h>

#include "guest/desk_parts.h"

#define ACCEPT_PAUSE (100 * CLOCK_MILLISECOND)

/* Taken out of the set, not just of interest: a listener that is shut down would report that for ever. */
static void pause_accepting(struct desk *desk, int64_t until)
{
    desk->accept_at = until;
    desk->sys->epoll_ctl(desk->epoll, EPOLL_CTL_DEL, desk->setup->listener->fd, NULL);
}

void desk_accept_resume(struct desk *desk, bool closed)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = desk->setup->listener};

    if (desk->accept_at == 0 || desk->stopping || desk->setup->listener->connected)
        return;
    if (!closed && desk->sys->now() < desk->accept_at)
        return;
    desk->accept_at = 0;
    if (desk->sys->epoll_ctl(desk->epoll, EPOLL_CTL_ADD, desk->setup->listener->fd, &event) != 0)
        desk->accept_at = clock_after(desk->sys->now(), ACCEPT_PAUSE);
}

void desk_admit(struct desk *desk, int fd, const struct sockaddr_storage *name)
{
    struct connection *connection;

    if (!listen_peer_allowed(fd, name, &desk->setup->options->peers)) {
        log_event(desk->setup->log, "refused a peer that may not connect", NULL);
        desk->sys->close(fd);
        return;
    }
    connection = desk_take_place(desk);
    if (connection == NULL) {
        desk->sys->close(fd);
        return;
    }
    connection->desk = desk;
    connection->stage = STAGES;
    connection->fd = fd;
    connection->payload = connection->small;
    connection->capacity = sizeof connection->small;
    connection->deadline = clock_after(desk->sys->now(), desk->setup->options->request_timeout);
    desk_move(connection, STAGE_INCOMPLETE);
    desk->connections++;
    desk->idle_at = CLOCK_NEVER;
    desk_read(connection); /* the request is there already, as a rule */
}

/* Return: false once there is nothing more to accept now. */
static bool accept_one(struct desk *desk)
{
    struct list *incomplete = &desk->stages[STAGE_INCOMPLETE];
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof name;
    int fd;

    if (desk->connections >= LIMIT_CONNECTIONS && incomplete->count == 0) {
        pause_accepting(desk, CLOCK_NEVER);
        return false;
    }
    fd = desk->sys->accept(desk->setup->listener->fd, (struct sockaddr *)&name, &size);
    if (fd < 0) {
        if (errno == EAGAIN)
            return false;
        if (errno == ECONNABORTED || errno == EINTR)
            return true;
        pause_accepting(desk, clock_after(desk->sys->now(), ACCEPT_PAUSE)); /* no descriptor, no memory */
        return false;
    }
    if (desk->connections >= LIMIT_CONNECTIONS)
        desk_close(incomplete->first);
    desk_admit(desk, fd, &name);
    return true;
}

void desk_accept(struct desk *desk)
{
    for (int i = 0; i < ACCEPT_BATCH && accept_one(desk); i++)
        continue;
}
