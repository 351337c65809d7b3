/* Clients as they come: accepted while descriptors last, each the beginning of a pair (BRIDGE-SHORTAGE). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/clock.h"
#include "host/bridge_parts.h"

#define ACCEPT_ROUNDS 64
#define ACCEPT_PAUSE  (100 * CLOCK_MILLISECOND) /* where descriptors are short */

static void pause_accepting(struct bridge *bridge)
{
    loop_unwatch(&bridge->loop, &bridge->accepts);
    loop_set(&bridge->loop, &bridge->accept_timer, clock_after(bridge->loop.now, ACCEPT_PAUSE));
}

void bridge_accept_again(struct timer *timer)
{
    struct bridge *bridge = LOOP_OWNER(timer, struct bridge, accept_timer);

    if (bridge->short_count > 0 || !loop_watch(&bridge->loop, &bridge->accepts, EPOLLIN))
        pause_accepting(bridge);
}

/* Return: false if there is no memory; then the client is closed. */
static bool begin(struct bridge *bridge, int fd, int family)
{
    struct pair *pair = calloc(1, sizeof *pair);
    const int on = 1;

    if (pair == NULL || !loop_reserve(&bridge->loop, bridge->pair_count + 1 + BRIDGE_TIMERS)) {
        free(pair);
        close(fd);
        return false;
    }
    if (family == AF_INET || family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pair->bridge = bridge;
    pair->client = (struct side){.watch = {.fd = fd}, .family = family, .half_closes = true, .gone_at = CLOCK_NEVER};
    pair->guest = (struct side){.watch = {.fd = -1},
                                .family = bridge->guest_family,
                                .half_closes = bridge->guest_half_closes,
                                .gone_at = CLOCK_NEVER};
    pair->timer.when = CLOCK_NEVER;
    pair->next = bridge->pairs;
    pair->link = &bridge->pairs;
    if (pair->next != NULL)
        pair->next->link = &pair->next;
    bridge->pairs = pair;
    bridge->pair_count++;
    bridge->status.accepted++;
    bridge->status.waiting++;
    bridge_changed(bridge);
    bridge_wait(pair);
    return true;
}

void bridge_accept(struct watch *watch, uint32_t events)
{
    struct bridge *bridge = LOOP_OWNER(watch, struct bridge, accepts);

    (void)events;
    for (int i = 0; i < ACCEPT_ROUNDS && bridge->short_count == 0; i++) {
        struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof name;
        const int fd = accept4(watch->fd, (struct sockaddr *)&name, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 || !begin(bridge, fd, name.ss_family)) {
            pause_accepting(bridge);
            return;
        }
    }
    if (bridge->short_count > 0) /* who is in has the first free descriptor */
        pause_accepting(bridge);
}
