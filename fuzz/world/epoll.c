#include <errno.h>

#include "parts.h"

static void check_set(int epoll)
{
    FUZZ_CHECK(world_handle(epoll)->kind == HANDLE_EPOLL, "an epoll set is what is asked");
}

int world_epoll_create(int flags)
{
    (void)flags;
    return world_fails(CALL_EPOLL_CREATE) ? -1 : world_handle_new(HANDLE_EPOLL, 0);
}

int world_eventfd(unsigned count, int flags)
{
    (void)count;
    (void)flags;
    return world_fails(CALL_EVENTFD) ? -1 : world_handle_new(HANDLE_EVENT, 0);
}

int world_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct handle *handle = world_handle(fd);

    check_set(epoll);
    if (world_fails(operation == EPOLL_CTL_ADD ? CALL_EPOLL_ADD : CALL_SAFE)) {
        if (handle->kind == HANDLE_SOCKET)
            world()->host_at[handle->index].excused = true;
        return -1;
    }
    FUZZ_CHECK(handle->watched == (operation != EPOLL_CTL_ADD), "what is watched is known");
    handle->watched = operation != EPOLL_CTL_DEL;
    if (handle->watched)
        handle->event = *event;
    return 0;
}

static int collect(struct world *w, struct epoll_event *events, int room)
{
    int count = 0;

    for (int i = 0; i < WORLD_FDS && count < room; i++) {
        struct handle *handle = &w->handles[i];
        uint32_t seen;

        if (handle->kind == HANDLE_FREE || !handle->watched)
            continue;
        seen = (uint32_t)world_readiness(WORLD_FIRST_FD + i) & (handle->event.events | EPOLLHUP | EPOLLERR);
        if (seen != 0)
            events[count++] = (struct epoll_event){.events = seen, .data = handle->event.data};
    }
    return count;
}

int world_epoll_wait(int epoll, struct epoll_event *events, int room, int milliseconds)
{
    struct world *w = world();
    const int64_t deadline = milliseconds < 0 ? CLOCK_NEVER : clock_after(w->now, milliseconds * CLOCK_MILLISECOND);

    check_set(epoll);
    if (world_fails(CALL_EPOLL_WAIT))
        return -1;
    world_run_workers(w); /* so that nobody starves beside a busy desk */
    for (;;) {
        const int count = collect(w, events, room);

        if (count > 0 || w->now >= deadline)
            return count;
        world_wait(deadline);
    }
}
