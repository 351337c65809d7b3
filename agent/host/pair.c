#include "host/pair.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest/clock.h"

#define QUEUE_MOST (256 * 1024)              /* bytes; BRIDGE-PRESSURE */
#define ASK_AGAIN  (150 * CLOCK_MILLISECOND) /* has the half-closed side gone? */
#define LOOK_AGAIN (150 * CLOCK_MILLISECOND)

/* Return: when the flow is given up whose sender has gone. */
static int64_t give_up_at(const struct flow *flow)
{
    if (flow->ended || !flow->from->gone)
        return CLOCK_NEVER;
    if (flow->from->error != 0)
        return clock_after(flow->from->gone_at, PAIR_RESET_PATIENCE);
    return clock_after(flow->moved > flow->from->gone_at ? flow->moved : flow->from->gone_at, PAIR_PATIENCE);
}

/* Return: when to look at a flow whose sender has gone, and whose receiver does not take it all. */
static int64_t look_at_flow(const struct flow *flow, int64_t now)
{
    return clock_earlier(give_up_at(flow),
                         flow->ended || !flow->from->gone ? CLOCK_NEVER : clock_after(now, LOOK_AGAIN));
}

/* Return: when only asking again will tell that the side has gone. */
static int64_t ask_at(const struct side *side, int64_t now)
{
    const bool silent = side->family == AF_VSOCK && side->closing && !side->gone && !side->shut;

    return silent ? clock_after(now, ASK_AGAIN) : CLOCK_NEVER;
}

/* A side that has gone takes nothing more; `to` is the flow to it. */
static void note_gone(struct side *side, struct flow *to, int64_t now)
{
    if (!side->gone || side->gone_at != CLOCK_NEVER)
        return;
    side->gone_at = now;
    flow_drop(to);
}

static bool watch_side(struct loop *loop, struct side *side, const struct flow *from, const struct flow *to)
{
    const uint32_t events = (flow_wants_input(from) ? EPOLLIN : 0U) | (flow_wants_room(to) ? EPOLLOUT : 0U) |
                            (side->closing ? 0U : EPOLLRDHUP);

    if (!side->hung)
        return loop_watch(loop, &side->watch, events);
    loop_unwatch(loop, &side->watch);
    return true;
}

/* After anything has happened: is it over, and if not, what is waited for? */
static void settle(struct pair *pair)
{
    struct loop *loop = &pair->bridge->loop;
    struct side *client = &pair->client;
    struct side *guest = &pair->guest;
    int64_t when;

    note_gone(client, &pair->down, loop->now);
    note_gone(guest, &pair->up, loop->now);
    if (pair->up.ended && pair->down.ended) {
        pair_leave(pair);
        return;
    }
    if (!watch_side(loop, client, &pair->up, &pair->down) || !watch_side(loop, guest, &pair->down, &pair->up)) {
        client->error = errno;
        pair_leave(pair);
        return;
    }
    when = clock_earlier(look_at_flow(&pair->up, loop->now), look_at_flow(&pair->down, loop->now));
    when = clock_earlier(when, clock_earlier(ask_at(client, loop->now), ask_at(guest, loop->now)));
    loop_set(loop, &pair->timer, when);
}

/* Run the flows that an event may be for: input from `side`, or room there; both when it has ended somehow. */
static void run(struct pair *pair, const struct side *side, uint32_t events)
{
    struct bridge *bridge = pair->bridge;
    struct flow *from = side == &pair->client ? &pair->up : &pair->down;
    struct flow *to = side == &pair->client ? &pair->down : &pair->up;
    const bool ended = (events & ~(EPOLLIN | EPOLLOUT)) != 0;

    bridge->room.now = bridge->loop.now;
    note_gone(&pair->client, &pair->down, bridge->loop.now);
    note_gone(&pair->guest, &pair->up, bridge->loop.now);
    if (ended || (events & EPOLLIN) != 0)
        flow_run(from, &bridge->room);
    if (ended || (events & EPOLLOUT) != 0)
        flow_run(to, &bridge->room);
    bridge_changed(bridge);
    settle(pair);
}

static void look_at(struct side *side, uint32_t events)
{
    int error = 0;
    socklen_t size = sizeof error;

    if ((events & EPOLLRDHUP) != 0)
        side->closing = true;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        side->hung = true;
        if (getsockopt(side->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
            side->gone = true;
            if (error != EPIPE && side->error == 0) /* EPIPE is TCP's after an end of stream */
                side->error = error;
        }
        if (side->family == AF_UNIX && !side->shut)
            side->gone = true; /* had this side been shut, a half-close would look the same */
    }
    if (side->closing && !side->gone && side_hung_up(side))
        side->gone = true;
}

static void client_ready(struct watch *watch, uint32_t events)
{
    struct pair *pair = LOOP_OWNER(watch, struct pair, client.watch);

    look_at(&pair->client, events);
    run(pair, &pair->client, events);
}

static void guest_ready(struct watch *watch, uint32_t events)
{
    struct pair *pair = LOOP_OWNER(watch, struct pair, guest.watch);

    look_at(&pair->guest, events);
    run(pair, &pair->guest, events);
}

static void ask_again(struct side *side)
{
    if (side->closing && !side->gone && side_hung_up(side))
        side->gone = true;
}

/* Give up what the receiver has taken nothing of for too long. What it takes out of its socket's queue counts, which an
 * event tells only in large steps. */
static void press_on(struct flow *flow, int64_t now)
{
    const int queued = flow->from->gone && !flow->ended ? pair_queued_at(flow->to) : 0;

    if (queued < flow->queued)
        flow->moved = now;
    flow->queued = queued;
    if (give_up_at(flow) <= now)
        flow_drop(flow);
}

static void due(struct timer *timer)
{
    struct pair *pair = LOOP_OWNER(timer, struct pair, timer);
    const int64_t now = pair->bridge->loop.now;

    if (pair->state == PAIR_LEAVES) {
        pair_leaving(pair);
        return;
    }
    ask_again(&pair->client);
    ask_again(&pair->guest);
    press_on(&pair->up, now);
    press_on(&pair->down, now);
    run(pair, &pair->client, EPOLLRDHUP);
}

static struct flow flow_between(struct side *from, struct side *to, uint64_t *counter)
{
    return (struct flow){.from = from, .to = to, .counter = counter, .pipe = {-1, -1}};
}

/* TCP would let the queue of what came grow to many MiB for a pair that was fast at first. */
static void bound_queue(const struct side *side)
{
    const int most = QUEUE_MOST;

    if (side->family != AF_INET && side->family != AF_INET6)
        return;
    setsockopt(side->watch.fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof most); /* the kernel doubles it */
}

void pair_up(struct pair *pair)
{
    struct bridge *bridge = pair->bridge;

    bound_queue(&pair->client);
    bound_queue(&pair->guest);
    pair->state = PAIR_UP;
    pair->up = flow_between(&pair->client, &pair->guest, &bridge->status.bytes_to_guest);
    pair->down = flow_between(&pair->guest, &pair->client, &bridge->status.bytes_to_client);
    pair->client.watch.ready = client_ready;
    pair->guest.watch.ready = guest_ready;
    pair->timer.due = due;
    if (pair->client.gone || pair->client.closing) { /* it has said all it will */
        note_gone(&pair->client, &pair->down, bridge->loop.now);
        flow_run(&pair->up, &bridge->room);
    }
    settle(pair);
}
