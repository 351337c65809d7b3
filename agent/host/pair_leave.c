/* The end of a pair: its last bytes on their way through TCP, and its sockets closed as what they were ended by. */
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "guest/clock.h"
#include "host/pair.h"

#define LEAVE_LOOK  (20 * CLOCK_MILLISECOND)
#define DROP_ROUNDS 16

static bool is_tcp(const struct side *side)
{
    return side->family == AF_INET || side->family == AF_INET6;
}

void pair_close_socket(struct side *side, struct flow_room *room, bool reset)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (side->watch.fd < 0)
        return;
    for (int i = 0; i < DROP_ROUNDS && recv(side->watch.fd, room->buffer, FLOW_BUFFER, MSG_DONTWAIT) > 0; i++) {
    }
    if (reset && is_tcp(side))
        setsockopt(side->watch.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(side->watch.fd);
    side->watch.fd = -1;
    side->watch.registered = false;
}

int pair_queued_at(const struct side *side)
{
    int count = 0;

    return ioctl(side->watch.fd, SIOCOUTQ, &count) == 0 ? count : 0;
}

static bool is_reset(const struct pair *pair)
{
    return pair->client.error != 0 || pair->guest.error != 0;
}

/* Return: bytes that would be dropped with the socket: on TCP by a reset, or by the answer to what its peer still
 * sends. What is for a peer that sends no more the kernel delivers without us. */
static int unsent(const struct pair *pair, const struct side *side)
{
    if (side->watch.fd < 0 || side->gone || !is_tcp(side) || (side->eof && !is_reset(pair)))
        return 0;
    return pair_queued_at(side);
}

static int unsent_of(const struct pair *pair)
{
    return unsent(pair, &pair->client) + unsent(pair, &pair->guest);
}

void pair_leaving(struct pair *pair)
{
    struct bridge *bridge = pair->bridge;
    const int left = unsent_of(pair);

    if (left < pair->unsent && !is_reset(pair))
        pair->deadline = clock_after(bridge->loop.now, PAIR_PATIENCE);
    pair->unsent = left;
    if (left == 0 || bridge->loop.now >= pair->deadline)
        bridge_close_pair(pair, left > 0 || is_reset(pair));
    else
        loop_set(&bridge->loop, &pair->timer, clock_after(bridge->loop.now, LEAVE_LOOK));
}

static void tell_reset(const struct pair *pair)
{
    const bool client = pair->client.error != 0;

    bridge_fail(pair->bridge, "a pair ended early: the ",
                client ? "client: " : "guest: ", strerror(client ? pair->client.error : pair->guest.error), NULL);
}

void pair_leave(struct pair *pair)
{
    struct bridge *bridge = pair->bridge;
    struct side *const sides[] = {&pair->client, &pair->guest};

    flow_drop(&pair->up);
    flow_drop(&pair->down);
    if (is_reset(pair))
        tell_reset(pair);
    pair->state = PAIR_LEAVES;
    pair->unsent = unsent_of(pair);
    pair->deadline = clock_after(bridge->loop.now, is_reset(pair) ? PAIR_RESET_PATIENCE : PAIR_PATIENCE);
    for (size_t i = 0; pair->unsent > 0 && i < 2; i++) {
        loop_unwatch(&bridge->loop, &sides[i]->watch);
        if (!is_reset(pair) && unsent(pair, sides[i]) > 0)
            shutdown(sides[i]->watch.fd, SHUT_WR);
    }
    pair_leaving(pair);
}
