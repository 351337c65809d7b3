#include "guest/desk.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "guest/desk_parts.h"
#include "guest/orphans.h"

#define BATCH 32
/* SRV-STOP gives two seconds in all. */
#define STOP_PATIENCE (3 * CLOCK_SECOND / 2)

static void close_overdue(struct desk *desk, enum stage stage, int64_t now)
{
    while (desk->stages[stage].first != NULL && desk->stages[stage].first->deadline <= now)
        desk_close(desk->stages[stage].first);
}

/* Do what is due. Return: the next time that something will be. */
static int64_t run_timers(struct desk *desk)
{
    static const enum stage timed[] = {STAGE_INCOMPLETE, STAGE_REPLYING, STAGE_LINGERING};
    const int64_t now = desk->sys->now();
    int64_t next;

    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++)
        close_overdue(desk, timed[i], now);
    desk_accept_resume(desk, false);
    if (desk->work_at <= now)
        desk_hand_out(desk);
    if (desk->ask_at <= now)
        desk_ask_all(desk);

    if (desk->idle_at <= now) {
        desk->idle_at = CLOCK_NEVER;
        desk->sys->rest();
    }

    next = clock_earlier(clock_earlier(desk->work_at, desk->ask_at), desk->idle_at);
    next = clock_earlier(next, slots_dismiss(&desk->slots, now));
    if (desk->accept_at != 0)
        next = clock_earlier(next, desk->accept_at);
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++)
        if (desk->stages[timed[i]].first != NULL)
            next = clock_earlier(next, desk->stages[timed[i]].first->deadline);
    return next;
}

static void take_signals(struct desk *desk)
{
    struct signalfd_siginfo info;

    while (desk->sys->read(desk->setup->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            desk->stopping = true;
    orphans_reap();
}

static void serve_connection(struct connection *connection, uint32_t events)
{
    switch (connection->stage) {
    case STAGE_INCOMPLETE:
        if (connection->paused && (events & (EPOLLHUP | EPOLLERR)) != 0)
            desk_close(connection);
        else if (!connection->paused)
            desk_read(connection);
        break;
    case STAGE_REPLYING:
        desk_reply_more(connection);
        break;
    case STAGE_QUEUED:
        desk_ask(connection);
        break;
    case STAGE_LINGERING:
        desk_linger_more(connection);
        break;
    case STAGE_WORKING: /* handed over, or closed, by an earlier event of this batch */
    case STAGE_CLOSED:
    case STAGES:
        break;
    }
}

static bool add(struct desk *desk, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

    return desk->sys->epoll_ctl(desk->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void desk_turn(struct desk *desk)
{
    struct epoll_event events[BATCH];
    const int64_t next = run_timers(desk);
    const int wait = clock_milliseconds(desk->sys->now(), next);
    const int count = desk->sys->epoll_wait(desk->epoll, events, BATCH, wait);
    bool accept = false;

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &desk->setup->signals)
            take_signals(desk);
        else if (events[i].data.ptr == &desk->slots)
            desk_collect(desk);
        else if (events[i].data.ptr == desk->setup->listener)
            accept = true;
        else
            serve_connection(events[i].data.ptr, events[i].events);
    }
    if (accept &&
        !desk->stopping) /* last: a request that is already there is served before its connection counts as idle */
        desk_accept(desk);
    desk_free_places(desk);
}

/* What is at work finishes by itself: every worker watches setup->stop. */
void desk_stop(struct desk *desk)
{
    static const enum stage owned[] = {STAGE_INCOMPLETE, STAGE_REPLYING, STAGE_QUEUED, STAGE_LINGERING};
    const uint64_t one = 1;
    const int64_t deadline = clock_after(desk->sys->now(), STOP_PATIENCE);

    if (desk->sys->write(desk->setup->stop, &one, sizeof one) < 0)
        log_fatal(desk->setup->log, "cannot tell the workers to stop: ", strerror(errno), NULL);
    desk->stopping = true;
    listen_close(desk->setup->listener);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        while (desk->stages[owned[i]].first != NULL)
            desk_close(desk->stages[owned[i]].first);
    while (desk->stages[STAGE_WORKING].first != NULL && desk->sys->now() < deadline) {
        struct pollfd finished = {.fd = desk->slots.finished, .events = POLLIN};

        desk->sys->poll(&finished, 1, deadline);
        desk_collect(desk);
    }
    desk_free_places(desk);
}

bool desk_open(struct desk *desk, const struct desk_setup *setup)
{
    desk->setup = setup;
    desk->sys = setup->sys;
    desk->work_at = desk->ask_at = CLOCK_NEVER;
    desk->epoll = desk->sys->epoll_create(EPOLL_CLOEXEC);
    return desk->epoll >= 0 && slots_open(&desk->slots, desk->sys) &&
           add(desk, setup->signals, (void *)(uintptr_t)&setup->signals) &&
           add(desk, desk->slots.finished, &desk->slots) &&
           (setup->listener->connected || add(desk, setup->listener->fd, setup->listener));
}

/* The listener is one connection. */
static void admit_connected(struct desk *desk)
{
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof name;

    getpeername(desk->setup->listener->fd, (struct sockaddr *)&name, &size);
    desk_admit(desk, desk->setup->listener->fd, &name);
    desk->setup->listener->fd = -1; /* the connection's now */
}

bool desk_run(const struct desk_setup *setup, void (*ready)(const struct desk_setup *setup), struct text *complaint)
{
    static struct desk desk; /* for good: a worker that did not stop in time still has its place in it */

    if (!desk_open(&desk, setup)) {
        text_add(complaint, "cannot set up the event loop: ");
        text_add(complaint, strerror(errno));
        return false;
    }
    ready(setup);
    if (setup->listener->connected)
        admit_connected(&desk);
    while (!desk.stopping && (!setup->listener->connected || desk.connections > 0))
        desk_turn(&desk);
    desk_stop(&desk);
    return true;
}
