#include "host/loop.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "guest/clock.h"

#define BATCH 64

int64_t loop_clock(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

bool loop_open(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC), .now = loop_clock()};
    return loop->epoll >= 0;
}

void loop_close(struct loop *loop)
{
    free(loop->heap);
    if (loop->epoll >= 0)
        close(loop->epoll);
}

bool loop_watch(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->registered && watch->events == events)
        return true;
    if (epoll_ctl(loop->epoll, watch->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch->fd, &event) != 0)
        return false;
    watch->registered = true;
    watch->events = events;
    return true;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    if (watch->registered)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->registered = false;
}

bool loop_reserve(struct loop *loop, size_t count)
{
    size_t room = loop->room > 0 ? loop->room : 16;
    struct timer **heap;

    while (room < count)
        room *= 2;
    if (room == loop->room)
        return true;
    heap = reallocarray(loop->heap, room, sizeof(struct timer *));
    if (heap == NULL)
        return false;
    loop->heap = heap;
    loop->room = room;
    return true;
}

/* A binary heap with the earliest timer at 0; a timer that is set knows its place. */
static void put(struct loop *loop, size_t place, struct timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

static void sift(struct loop *loop, size_t place, struct timer *timer)
{
    while (place > 0 && timer->when < loop->heap[(place - 1) / 2]->when) {
        put(loop, place, loop->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < loop->timers && loop->heap[child + 1]->when < loop->heap[child]->when)
            child++;
        if (child >= loop->timers || timer->when <= loop->heap[child]->when)
            break;
        put(loop, place, loop->heap[child]);
        place = child;
    }
    put(loop, place, timer);
}

void loop_set(struct loop *loop, struct timer *timer, int64_t when)
{
    const int64_t before = timer->when;

    timer->when = when;
    if (before == when)
        return;
    if (before == CLOCK_NEVER) {
        loop->timers++;
        sift(loop, loop->timers - 1, timer);
    } else if (when == CLOCK_NEVER) {
        struct timer *last = loop->heap[--loop->timers];

        if (last != timer)
            sift(loop, timer->place, last);
    } else {
        sift(loop, timer->place, timer);
    }
}

void loop_round(struct loop *loop)
{
    struct epoll_event events[BATCH];
    const int64_t first = loop->timers > 0 ? loop->heap[0]->when : CLOCK_NEVER;
    const int count = epoll_wait(loop->epoll, events, BATCH, clock_milliseconds(loop->now, first));

    loop->now = loop_clock();
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;

        if (watch->registered) /* else it was given up in this very round */
            watch->ready(watch, events[i].events);
    }
    while (loop->timers > 0 && loop->heap[0]->when <= loop->now) {
        struct timer *timer = loop->heap[0];

        loop_set(loop, timer, CLOCK_NEVER);
        timer->due(timer);
    }
}
