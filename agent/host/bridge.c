#include "host/bridge.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/clock.h"
#include "host/bridge_parts.h"
#include "host/pair.h"
#include "host/say.h"

#define STATUS_PAUSE   (CLOCK_SECOND / 2) /* BRIDGE-STATUS: at most 1 s old */
#define PIPES_PAUSE    (CLOCK_SECOND / 2)
#define STATUS_FAILURE "cannot write the status: "

void bridge_fail(struct bridge *bridge, ...)
{
    char line[512];
    struct text text = text_in(line, sizeof line);
    va_list strings;

    va_start(strings, bridge);
    for (const char *string = va_arg(strings, const char *); string != NULL; string = va_arg(strings, const char *))
        text_add(&text, string);
    va_end(strings);
    say("bridge", line, NULL);
    status_error(&bridge->status, line);
    bridge_changed(bridge);
}

void bridge_changed(struct bridge *bridge)
{
    if (bridge->status.path != NULL && bridge->status_timer.when == CLOCK_NEVER)
        loop_set(&bridge->loop, &bridge->status_timer, clock_after(bridge->loop.now, STATUS_PAUSE));
    if (bridge->room.pipe_count > 0 && bridge->room_timer.when == CLOCK_NEVER)
        loop_set(&bridge->loop, &bridge->room_timer, clock_after(bridge->loop.now, PIPES_PAUSE));
}

static void write_status(struct timer *timer)
{
    struct bridge *bridge = LOOP_OWNER(timer, struct bridge, status_timer);
    const int err = status_write(&bridge->status);

    if (err != 0 && !bridge->status_failed)
        say("bridge", STATUS_FAILURE, bridge->status.path, ": ", strerror(err), NULL);
    bridge->status_failed = err != 0;
}

static void trim_room(struct timer *timer)
{
    struct bridge *bridge = LOOP_OWNER(timer, struct bridge, room_timer);

    if (flow_room_trim(&bridge->room))
        loop_set(&bridge->loop, timer, clock_after(bridge->loop.now, PIPES_PAUSE));
}

void bridge_close_pair(struct pair *pair, bool reset)
{
    struct bridge *bridge = pair->bridge;

    if (pair->state == PAIR_UP || pair->state == PAIR_LEAVES) {
        bridge->status.connections--;
        flow_drop(&pair->up);
        flow_drop(&pair->down);
    } else {
        bridge->status.waiting--;
        dial_drop(&pair->dial);
        pair->guest.watch.fd = -1;
        pair->guest.watch.registered = false;
    }
    if (pair->short_of)
        bridge->short_count--;
    pair->state = PAIR_CLOSED;
    loop_set(&bridge->loop, &pair->timer, CLOCK_NEVER);
    pair_close_socket(&pair->client, &bridge->room, reset);
    pair_close_socket(&pair->guest, &bridge->room, reset);

    *pair->link = pair->next;
    if (pair->next != NULL)
        pair->next->link = pair->link;
    pair->next = bridge->closed;
    bridge->closed = pair;
    bridge->pair_count--;
    if (bridge->accept_timer.when != CLOCK_NEVER)
        loop_set(&bridge->loop, &bridge->accept_timer, bridge->loop.now);
    bridge_changed(bridge);
}

void bridge_give_up(struct pair *pair, const char *subject, const char *reason)
{
    bridge_fail(pair->bridge, subject, ": ", reason, NULL);
    bridge_close_pair(pair, false);
}

static void free_closed(struct bridge *bridge)
{
    while (bridge->closed != NULL) {
        struct pair *pair = bridge->closed;

        bridge->closed = pair->next;
        free(pair);
    }
}

static void stop(struct watch *watch, uint32_t events)
{
    struct bridge *bridge = LOOP_OWNER(watch, struct bridge, signals);
    struct signalfd_siginfo signal;

    (void)events;
    while (read(watch->fd, &signal, sizeof signal) == (ssize_t)sizeof signal)
        if (signal.ssi_signo != SIGCHLD) /* of a child from before the exec */
            bridge->loop.stop = true;
}

static void parent_ended(struct watch *watch, uint32_t events)
{
    (void)events;
    LOOP_OWNER(watch, struct bridge, parent)->loop.stop = true;
}

static void resolved(struct watch *watch, uint32_t events)
{
    struct bridge *bridge = LOOP_OWNER(watch, struct bridge, resolved);

    (void)events;
    resolver_collect(bridge->dialer.resolver);
    bridge_resolved(bridge);
}

static bool watch_for(struct bridge *bridge, struct watch *watch, int fd,
                      void (*ready)(struct watch *watch, uint32_t events))
{
    *watch = (struct watch){.fd = fd, .ready = ready};
    return fd < 0 || loop_watch(&bridge->loop, watch, EPOLLIN);
}

static void prepare_timer(struct timer *timer, void (*due)(struct timer *timer))
{
    *timer = (struct timer){.when = CLOCK_NEVER, .due = due};
}

bool bridge_open(struct bridge *bridge, int signals, int parent)
{
    const struct address *target = &bridge->options->connect;

    prepare_timer(&bridge->accept_timer, bridge_accept_again);
    prepare_timer(&bridge->status_timer, write_status);
    prepare_timer(&bridge->room_timer, trim_room);
    bridge->guest_half_closes = target->kind != ADDRESS_HYBRID;
    bridge->guest_family = target->kind == ADDRESS_TCP ? AF_INET : (target->kind == ADDRESS_VSOCK ? AF_VSOCK : AF_UNIX);
    return loop_open(&bridge->loop) && loop_reserve(&bridge->loop, BRIDGE_TIMERS) && flow_room_open(&bridge->room) &&
           dialer_open(&bridge->dialer, target) && watch_for(bridge, &bridge->signals, signals, stop) &&
           watch_for(bridge, &bridge->parent, parent, parent_ended) &&
           watch_for(bridge, &bridge->resolved,
                     bridge->dialer.resolver != NULL ? resolver_fd(bridge->dialer.resolver) : -1, resolved);
}

bool bridge_run(struct bridge *bridge)
{
    if (!watch_for(bridge, &bridge->accepts, bridge->listener.fd, bridge_accept))
        return false;
    write_status(&bridge->status_timer);
    while (!bridge->loop.stop) {
        loop_round(&bridge->loop);
        free_closed(bridge);
    }
    return true;
}

void bridge_close(struct bridge *bridge)
{
    bridge->status.path = NULL; /* no more of it */
    while (bridge->pairs != NULL)
        bridge_close_pair(bridge->pairs, false);
    free_closed(bridge);
    dialer_close(&bridge->dialer);
    flow_room_close(&bridge->room);
    loop_close(&bridge->loop);
}
