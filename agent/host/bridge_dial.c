/* The guest of a client that waits: dialled again and again until it answers or the time is over (BRIDGE-WAIT). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest/clock.h"
#include "host/bridge_parts.h"
#include "host/pair.h"

#define FIRST_PAUSE   (10 * CLOCK_MILLISECOND)
#define LONGEST_PAUSE (160 * CLOCK_MILLISECOND) /* at least five dials a second */
#define GONE_PATIENCE CLOCK_SECOND
#define ASK_AGAIN     (160 * CLOCK_MILLISECOND)

/* For a client that has gone the guest has only so much time. */
static void hurry(struct pair *pair)
{
    if (pair->client.gone)
        pair->deadline = clock_earlier(pair->deadline, clock_after(pair->bridge->loop.now, GONE_PATIENCE));
}

static void set_short(struct pair *pair, bool is_short)
{
    if (pair->short_of != is_short)
        pair->bridge->short_count += is_short ? 1 : (uint64_t)-1;
    pair->short_of = is_short;
}

static void give_up_dialling(struct pair *pair)
{
    bridge_give_up(pair, pair->bridge->options->connect.text,
                   pair->dial.reason != NULL ? pair->dial.reason : "no answer in time");
}

/* A hybrid client is told that the guest is there. Return: false if it does not take that. */
static bool tell_connected(struct pair *pair)
{
    char line[32];
    struct text text = text_in(line, sizeof line);

    if (pair->bridge->options->listen.kind != ADDRESS_HYBRID)
        return true;
    text_add(&text, "OK ");
    text_add_int(&text, (int64_t)pair->bridge->status.accepted);
    text_add(&text, "\n");
    return send(pair->client.watch.fd, line, text.length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)text.length;
}

static void connected(struct pair *pair)
{
    struct bridge *bridge = pair->bridge;

    if (!tell_connected(pair) && !pair->client.gone) {
        bridge_close_pair(pair, false);
        return;
    }
    set_short(pair, false);
    loop_set(&bridge->loop, &pair->timer, CLOCK_NEVER);
    pair->guest.watch.fd = dial_take(&pair->dial);
    bridge->status.waiting--;
    bridge->status.connections++;
    bridge_changed(bridge);
    pair_up(pair);
}

static void pause_dialling(struct pair *pair)
{
    struct loop *loop = &pair->bridge->loop;

    set_short(pair, pair->dial.failure == DIAL_SHORT);
    if (pair->client.gone) {
        bridge_close_pair(pair, false);
        return;
    }
    if (loop->now >= pair->deadline) {
        give_up_dialling(pair);
        return;
    }
    pair->state = PAIR_PAUSES;
    if (pair->guest.watch.registered && pair->dial.fd >= 0)
        loop_unwatch(loop, &pair->guest.watch); /* kept for its number; it would report its failure for ever */
    pair->guest.watch.registered = false;
    loop_set(loop, &pair->timer, clock_earlier(pair->deadline, clock_after(loop->now, pair->pause)));
    pair->pause = pair->pause * 2 < LONGEST_PAUSE ? pair->pause * 2 : LONGEST_PAUSE;
}

/* Return: when only asking again will tell that the client has gone. */
static int64_t ask_at(const struct pair *pair)
{
    const bool silent = pair->client.family == AF_VSOCK && pair->client.closing;

    return silent ? clock_after(pair->bridge->loop.now, ASK_AGAIN) : CLOCK_NEVER;
}

static void go_on(struct pair *pair, enum dial_verdict verdict)
{
    struct loop *loop = &pair->bridge->loop;
    struct watch *watch = &pair->guest.watch;

    if (pair->socket != pair->dial.socket || pair->dial.fd < 0)
        watch->registered = false; /* it went with the socket before */
    pair->socket = pair->dial.socket;
    watch->fd = pair->dial.fd;
    if (verdict == DIAL_WAITS && watch->fd >= 0 &&
        !loop_watch(loop, watch, pair->dial.events == POLLIN ? EPOLLIN : EPOLLOUT)) {
        pair->dial.failure = DIAL_SHORT;
        pair->dial.reason = strerror(errno);
        verdict = DIAL_FAILED;
    }
    switch (verdict) {
    case DIAL_WAITS:
        loop_set(loop, &pair->timer, clock_earlier(ask_at(pair), clock_earlier(pair->deadline, pair->dial.until)));
        break;
    case DIAL_DONE:
        connected(pair);
        break;
    case DIAL_FAILED:
        pause_dialling(pair);
        break;
    }
}

static void dial(struct pair *pair)
{
    pair->state = PAIR_DIALS;
    go_on(pair, dial_start(&pair->dial, pair->bridge->loop.now));
}

static void dial_ready(struct watch *watch, uint32_t events)
{
    struct pair *pair = LOOP_OWNER(watch, struct pair, guest.watch);

    (void)events;
    go_on(pair, dial_step(&pair->dial, pair->bridge->loop.now));
}

void bridge_dial_prepare(struct pair *pair)
{
    pair->guest.watch.ready = dial_ready;
    pair->pause = FIRST_PAUSE;
    dial_prepare(&pair->dial, &pair->bridge->dialer);
}

void bridge_dial(struct pair *pair)
{
    pair->deadline = clock_after(pair->bridge->loop.now, pair->bridge->options->connect_timeout);
    hurry(pair);
    dial(pair);
}

void bridge_dial_hurry(struct pair *pair)
{
    hurry(pair);
    loop_set(&pair->bridge->loop, &pair->timer, clock_earlier(pair->timer.when, pair->deadline));
}

void bridge_dial_due(struct pair *pair)
{
    const int64_t now = pair->bridge->loop.now;

    if (now >= pair->deadline && pair->client.gone)
        bridge_close_pair(pair, false);
    else if (now >= pair->deadline)
        give_up_dialling(pair);
    else if (pair->state == PAIR_PAUSES)
        dial(pair);
    else
        go_on(pair, dial_step(&pair->dial, now));
}

void bridge_resolved(struct bridge *bridge)
{
    struct pair *next;

    for (struct pair *pair = bridge->pairs; pair != NULL; pair = next) {
        next = pair->next;
        if (pair->state == PAIR_DIALS && pair->dial.state == DIAL_NAME)
            go_on(pair, dial_step(&pair->dial, bridge->loop.now));
    }
}
