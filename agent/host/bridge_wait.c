/* Clients whose guest is not connected yet: the first line of a hybrid client, dials and their repetition, and clients
 * that hang up meanwhile. What a client sends stays in its socket. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest/clock.h"
#include "host/hybrid.h"
#include "host/pair.h"

#define LINE_PATIENCE (10 * CLOCK_SECOND)
#define FIRST_PAUSE   (10 * CLOCK_MILLISECOND)
#define LONGEST_PAUSE (160 * CLOCK_MILLISECOND) /* at least five dials a second */
#define GONE_PATIENCE CLOCK_SECOND
#define ASK_AGAIN     (160 * CLOCK_MILLISECOND)

static bool watch_client(struct pair *pair)
{
    struct side *client = &pair->client;
    const uint32_t events = (pair->state == PAIR_ASKED ? EPOLLIN : 0U) | (client->closing ? 0U : EPOLLRDHUP);

    if (!client->hung)
        return loop_watch(&pair->bridge->loop, &client->watch, events);
    loop_unwatch(&pair->bridge->loop, &client->watch);
    return true;
}

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

static void give_up(struct pair *pair, const char *subject, const char *reason)
{
    bridge_fail(pair->bridge, subject, ": ", reason, NULL);
    bridge_close_pair(pair, false);
}

static void give_up_dialling(struct pair *pair)
{
    give_up(pair, pair->bridge->options->connect.text,
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

static void start_dialling(struct pair *pair)
{
    pair->deadline = clock_after(pair->bridge->loop.now, pair->bridge->options->connect_timeout);
    hurry(pair);
    dial(pair);
}

/* Looks before it takes: what comes behind the line is the conversation's. */
static void read_line(struct pair *pair)
{
    char *rest = pair->line + pair->line_length;
    const ssize_t seen =
        recv(pair->client.watch.fd, rest, sizeof pair->line - pair->line_length, MSG_PEEK | MSG_DONTWAIT);
    const size_t length = pair->line_length + (seen > 0 ? (size_t)seen : 0);
    size_t used = length;
    enum dial_line line;

    if (seen < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    line = hybrid_read_request(pair->line, length, pair->bridge->options->listen.port, &used);
    if (seen <= 0) {
        bridge_close_pair(pair, false);
        return;
    }
    if (line == DIAL_LINE_BAD) {
        give_up(pair, "a client is closed", "its first line is not CONNECT and the port");
        return;
    }
    if (used > length)
        used = length;
    if (recv(pair->client.watch.fd, rest, used - pair->line_length, MSG_DONTWAIT) < 0) {
        bridge_close_pair(pair, false);
        return;
    }
    pair->line_length = used;
    if (line == DIAL_LINE_OK) {
        pair->state = PAIR_DIALS;
        watch_client(pair);
        start_dialling(pair);
    }
}

static bool has_unread(const struct side *side)
{
    char byte;

    return recv(side->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A client that has gone is dialled for no more. But what it sent goes to the guest if that is being connected already.
 * Return: false if the pair is closed. */
static bool look_at_client(struct pair *pair, uint32_t events)
{
    struct side *client = &pair->client;
    struct loop *loop = &pair->bridge->loop;

    if ((events & EPOLLRDHUP) != 0)
        client->closing = true;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        client->hung = true;
    if (!client->hung && !(client->closing && side_hung_up(client)))
        return true;
    client->gone = true;
    if (pair->state == PAIR_PAUSES || (events & EPOLLERR) != 0 || !has_unread(client)) {
        bridge_close_pair(pair, false);
        return false;
    }
    hurry(pair);
    loop_set(loop, &pair->timer, clock_earlier(pair->timer.when, pair->deadline));
    return true;
}

static void client_ready(struct watch *watch, uint32_t events)
{
    struct pair *pair = LOOP_OWNER(watch, struct pair, client.watch);

    if (!look_at_client(pair, events))
        return;
    if (pair->state == PAIR_ASKED && (events & EPOLLIN) != 0)
        read_line(pair);
    if (pair->state == PAIR_ASKED && pair->client.gone)
        bridge_close_pair(pair, false);
    if (pair->state == PAIR_ASKED || pair->state == PAIR_DIALS || pair->state == PAIR_PAUSES)
        watch_client(pair);
}

static void due(struct timer *timer)
{
    struct pair *pair = LOOP_OWNER(timer, struct pair, timer);
    const int64_t now = pair->bridge->loop.now;

    if (!look_at_client(pair, 0))
        return;
    if (pair->state == PAIR_ASKED)
        give_up(pair, "a client is closed", "no first line within 10 s");
    else if (now >= pair->deadline && pair->client.gone)
        bridge_close_pair(pair, false);
    else if (now >= pair->deadline)
        give_up_dialling(pair);
    else if (pair->state == PAIR_PAUSES)
        dial(pair);
    else
        go_on(pair, dial_step(&pair->dial, now));
}

void bridge_wait(struct pair *pair)
{
    struct bridge *bridge = pair->bridge;

    pair->client.watch.ready = client_ready;
    pair->guest.watch.ready = dial_ready;
    pair->timer.due = due;
    pair->pause = FIRST_PAUSE;
    pair->state = bridge->options->listen.kind == ADDRESS_HYBRID ? PAIR_ASKED : PAIR_DIALS;
    dial_prepare(&pair->dial, &bridge->dialer);
    if (!watch_client(pair)) {
        give_up(pair, "a client is closed", strerror(errno));
        return;
    }
    if (pair->state == PAIR_ASKED)
        loop_set(&bridge->loop, &pair->timer, clock_after(bridge->loop.now, LINE_PATIENCE));
    else
        start_dialling(pair);
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
