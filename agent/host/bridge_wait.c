/* Clients whose guest is not connected yet: the first line of a hybrid one, and those that hang up meanwhile. What a
 * client sends stays in its socket. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest/clock.h"
#include "host/bridge_parts.h"
#include "host/hybrid.h"
#include "host/pair.h"

#define LINE_PATIENCE (10 * CLOCK_SECOND)

static bool watch_client(struct pair *pair)
{
    struct side *client = &pair->client;
    const uint32_t events = (pair->state == PAIR_ASKED ? EPOLLIN : 0U) | (client->closing ? 0U : EPOLLRDHUP);

    if (!client->hung)
        return loop_watch(&pair->bridge->loop, &client->watch, events);
    loop_unwatch(&pair->bridge->loop, &client->watch);
    return true;
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
        bridge_give_up(pair, "a client is closed", "its first line is not CONNECT and the port");
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
        bridge_dial(pair);
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
    bridge_dial_hurry(pair);
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

    if (!look_at_client(pair, 0))
        return;
    if (pair->state == PAIR_ASKED)
        bridge_give_up(pair, "a client is closed", "no first line within 10 s");
    else
        bridge_dial_due(pair);
}

void bridge_wait(struct pair *pair)
{
    struct bridge *bridge = pair->bridge;

    pair->client.watch.ready = client_ready;
    pair->timer.due = due;
    pair->state = bridge->options->listen.kind == ADDRESS_HYBRID ? PAIR_ASKED : PAIR_DIALS;
    bridge_dial_prepare(pair);
    if (!watch_client(pair)) {
        bridge_give_up(pair, "a client is closed", strerror(errno));
        return;
    }
    if (pair->state == PAIR_ASKED)
        loop_set(&bridge->loop, &pair->timer, clock_after(bridge->loop.now, LINE_PATIENCE));
    else
        bridge_dial(pair);
}
