#include "host/dial_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "guest/clock.h"

/* A TCP address that says nothing gives way to the next one, or to a fresh attempt: a guest that comes up later is not
 * found by a SYN that was lost before. One retransmission fits. */
#define PATIENCE (2 * CLOCK_SECOND)

bool dialer_open(struct dialer *dialer, const struct address *target)
{
    *dialer = (struct dialer){.target = *target, .attempt = CLOCK_NEVER};
    if (target->kind == ADDRESS_TCP)
        dialer->resolver = resolver_new(target->host, target->port);
    return target->kind != ADDRESS_TCP || dialer->resolver != NULL;
}

void dialer_close(struct dialer *dialer)
{
    resolver_free(dialer->resolver);
    dialer->resolver = NULL;
}

void dial_prepare(struct dial *dial, const struct dialer *dialer)
{
    *dial = (struct dial){.dialer = dialer, .fd = -1, .until = CLOCK_NEVER};
}

void dial_drop(struct dial *dial)
{
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

int dial_take(struct dial *dial)
{
    const int fd = dial->fd;

    dial->fd = -1;
    return fd;
}

enum dial_verdict dial_wait_for(struct dial *dial, short events, int64_t until)
{
    dial->events = events;
    dial->until = until;
    return DIAL_WAITS;
}

/* Put the target's name into *name. Return: its size. */
static socklen_t target_name(const struct address *target, struct sockaddr_storage *name)
{
    if (target->kind == ADDRESS_VSOCK) {
        const struct sockaddr_vm vsock = {.svm_family = AF_VSOCK, .svm_cid = target->cid, .svm_port = target->port};

        memcpy(name, &vsock, sizeof vsock);
        return sizeof vsock;
    }
    const struct sockaddr_un local = address_unix(target);

    memcpy(name, &local, sizeof local);
    return sizeof local;
}

static enum dial_verdict connected(struct dial *dial)
{
    const int on = 1;

    if (dial->dialer->target.kind == ADDRESS_TCP)
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (dial->dialer->target.kind != ADDRESS_HYBRID)
        return DIAL_DONE;
    dial->state = DIAL_ASK;
    return dial_shake_hands(dial);
}

static enum dial_verdict connect_to(struct dial *dial, const struct sockaddr *name, socklen_t size, int64_t until)
{
    dial_drop(dial);
    dial->state = DIAL_CONNECT;
    dial->fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    dial->socket++;
    if (dial->fd < 0)
        return dial_fail_errno(dial, errno);
    if (connect(dial->fd, name, size) == 0)
        return connected(dial);
    if (errno == EINPROGRESS || errno == EINTR)
        return dial_wait_for(dial, POLLOUT, until);
    return dial_fail_errno(dial, errno);
}

static size_t count_of(const struct addrinfo *found)
{
    size_t count = 0;

    for (; found != NULL; found = found->ai_next)
        count++;
    return count;
}

/* Return: until when an address that says nothing is waited for, where `count` are left with it. */
static int64_t patience(const struct dial *dial, size_t count, int64_t now)
{
    const int64_t share = (dial->end > now ? dial->end - now : 0) / (int64_t)count;

    return clock_after(now, share < PATIENCE ? share : PATIENCE);
}

/* The next address of the name, and the ones behind it, round to where the attempt began, where that fails at once. */
static enum dial_verdict next_address(struct dial *dial, int64_t now)
{
    const struct addrinfo *found;
    const char *reason;
    enum dial_verdict verdict = DIAL_FAILED;

    switch (resolver_ask(dial->dialer->resolver, &found, &reason)) {
    case RESOLVE_WAITS:
        dial_drop(dial);
        dial->state = DIAL_NAME;
        return dial_wait_for(dial, 0, CLOCK_NEVER);
    case RESOLVE_FAILED:
        return dial_fail(dial, DIAL_UNRESOLVED, reason);
    case RESOLVE_DONE:
        break;
    }
    for (const size_t count = count_of(found); dial->tried < count && verdict == DIAL_FAILED; dial->tried++) {
        const struct addrinfo *address = found;

        for (size_t i = dial->index % count; i > 0; i--)
            address = address->ai_next;
        dial->index = (dial->index + 1) % count;
        verdict = connect_to(dial, address->ai_addr, address->ai_addrlen, patience(dial, count - dial->tried, now));
    }
    return verdict;
}

/* Return: 0 once connected, EINPROGRESS before, else why not. */
static int connect_error(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&ready, 1, 0) == 0)
        return EINPROGRESS;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static enum dial_verdict finish_connect(struct dial *dial, int64_t now)
{
    const int error = connect_error(dial->fd);

    if (error == 0)
        return connected(dial);
    if (error == EINPROGRESS && now < dial->until)
        return DIAL_WAITS;
    dial_fail_errno(dial, error == EINPROGRESS ? ETIMEDOUT : error);
    return dial->dialer->resolver != NULL ? next_address(dial, now) : DIAL_FAILED;
}

enum dial_verdict dial_start(struct dial *dial, int64_t now)
{
    struct sockaddr_storage name;
    socklen_t size;

    dial->tried = dial->sent = dial->length = 0;
    dial->end = clock_after(now, dial->dialer->attempt);
    if (dial->dialer->resolver != NULL)
        return next_address(dial, now);
    size = target_name(&dial->dialer->target, &name);
    return connect_to(dial, (const struct sockaddr *)&name, size, CLOCK_NEVER);
}

enum dial_verdict dial_step(struct dial *dial, int64_t now)
{
    switch (dial->state) {
    case DIAL_NAME:
        return next_address(dial, now);
    case DIAL_CONNECT:
        return finish_connect(dial, now);
    case DIAL_ASK:
    case DIAL_ANSWER:
        return dial_shake_hands(dial);
    }
    return DIAL_FAILED;
}
