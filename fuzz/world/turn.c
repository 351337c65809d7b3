#include <errno.h>

#include "parts.h"

short world_readiness(int fd)
{
    const struct world *w = world();
    const struct handle *handle = world_handle(fd);

    switch (handle->kind) {
    case HANDLE_EVENT:
        return handle->value > 0 ? POLLIN : 0;
    case HANDLE_SIGNALS:
        return w->signals != 0 ? POLLIN : 0;
    case HANDLE_LISTENER:
        return w->accepted < w->hosts ? POLLIN : 0;
    case HANDLE_SOCKET:
        return socket_state(&w->host_at[handle->index]);
    case HANDLE_READER:
        return (short)((buffer_left(&w->pipe[handle->index].held) > 0 ? POLLIN : 0) |
                       (w->pipe[handle->index].writers == 0 ? POLLHUP : 0));
    case HANDLE_FILE:
        return POLLIN | POLLOUT;
    case HANDLE_PIDFD:
        return w->command[handle->index].exited ? POLLIN : 0;
    case HANDLE_FREE:
    case HANDLE_EPOLL:
    case HANDLE_WRITER:
        break;
    }
    return 0;
}

bool world_run_workers(struct world *w)
{
    const int err = errno;
    bool moved = false;

    for (unsigned i = 0; i < WORLD_WORKERS; i++) {
        if (!w->fibers[i].live)
            continue;
        w->moved = false;
        w->running = i;
        fiber_resume(&w->fibers[i]);
        w->running = WORLD_DESK;
        moved = moved || w->moved || !w->fibers[i].live;
    }
    errno = err;
    return moved;
}

static int64_t next_time(const struct world *w, int64_t deadline)
{
    int64_t next = clock_earlier(deadline, commands_next(w));

    for (unsigned i = 0; i < WORLD_WORKERS; i++)
        if (w->fibers[i].live)
            next = clock_earlier(next, w->until[i]);
    return world_script_over(w) ? next : clock_earlier(next, w->script_at);
}

/* The desk waits as well as everybody else. */
static void advance(struct world *w, int64_t deadline)
{
    int64_t next;

    if (commands_step(w))
        return;
    w->quiet = false;
    if (world_script_step(w))
        return;
    next = next_time(w, deadline);
    /* A host that half-closed is asked for as long as its command lives, so that there is always a next time. */
    if (!w->impatient && w->calls > WORLD_CALLS / 2 && world_script_over(w) && commands_alive(w)) {
        w->impatient = true;
        world_script_end(w);
        return;
    }
    if (next == CLOCK_NEVER || next > w->now + WORLD_PATIENCE) {
        FUZZ_CHECK(world_script_end(w), "nobody waits for what never comes");
        return;
    }
    if (next > w->now)
        w->now = next;
}

/* Every thread has its own errno. */
static void give_way(struct world *w)
{
    const int err = errno;

    fiber_yield(&w->fibers[w->running]);
    errno = err;
}

void world_wait(int64_t deadline)
{
    struct world *w = world();

    world_count(w); /* and nothing else: what happened now would be slept through */
    if (w->running != WORLD_DESK) {
        w->until[w->running] = deadline;
        give_way(w);
    } else if (!world_run_workers(w)) {
        advance(w, deadline);
    }
}

void world_preempt(void)
{
    struct world *w = world();
    const unsigned running = w->running;

    w->until[running] = w->now;
    give_way(w);
    w->moved = true;
}

int world_poll(struct pollfd *fds, unsigned count, int64_t deadline)
{
    struct world *w = world();
    const bool interrupted = world_fails(CALL_POLL);
    int ready = 0;

    for (;; world_wait(deadline)) {
        for (unsigned i = 0; i < count; i++) {
            fds[i].revents = 0;
            if (fds[i].fd >= 0 && !interrupted)
                fds[i].revents = (short)(world_readiness(fds[i].fd) & (fds[i].events | POLLHUP | POLLERR));
            ready += fds[i].revents != 0;
        }
        if (ready > 0 || interrupted || w->now >= deadline)
            break;
    }
    return ready;
}

int world_thread(const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
    struct world *w = world();

    (void)attributes;
    if (world_fails(CALL_THREAD))
        return errno;
    for (unsigned i = 0; i < WORLD_WORKERS; i++) {
        if (w->fibers[i].live)
            continue;
        w->records[i] = WORLD_NOBODY;
        w->until[i] = w->now;
        fiber_start(&w->fibers[i], work, argument);
        return 0;
    }
    return EAGAIN;
}

void world_futex_wait(atomic_uint *word, unsigned value)
{
    while (atomic_load(word) == value)
        world_wait(CLOCK_NEVER);
    world()->moved = true; /* no other call says so */
}

void world_settle(void)
{
    struct world *w = world();
    bool live = true;

    while (live) {
        live = false;
        world_run_workers(w);
        for (unsigned i = 0; i < WORLD_WORKERS; i++)
            live = live || w->fibers[i].live;
        world_count(w);
    }
}
