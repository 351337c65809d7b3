#include "host/bridge_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "guest/clock.h"
#include "host/loop.h"
#include "host/resolve.h"

#define BACKLOG  4096 /* as much as the kernel allows: clients come in crowds, and early */
#define LOOPBACK 127  /* the first byte of IPv4's */

static enum listen_verdict fail(const struct bridge_options *options, struct text *complaint, const char *reason)
{
    text_add(complaint, "cannot listen on ");
    text_add(complaint, options->listen.text);
    text_add(complaint, ": ");
    text_add(complaint, reason);
    return LISTEN_FAILED;
}

bool address_is_loopback(const struct sockaddr *name)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four;

    if (name->sa_family == AF_INET) {
        memcpy(&four, name, sizeof four);
        return ntohl(four.sin_addr.s_addr) >> 24 == LOOPBACK;
    }
    if (name->sa_family != AF_INET6)
        return false;
    memcpy(&six, name, sizeof six);
    return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) && six.sin6_addr.s6_addr[12] == LOOPBACK);
}

static enum listen_verdict refuse_remote(const struct bridge_options *options, struct text *complaint)
{
    fail(options, complaint,
         "not a loopback address, and what stands behind is a root shell without a password; accepted: a loopback "
         "address, or --allow-remote");
    return LISTEN_REMOTE;
}

static int make_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static enum listen_verdict listen_unix(struct bridge_listener *listener, const struct bridge_options *options,
                                       struct text *complaint)
{
    const char *reason;

    listener->fd = make_socket(AF_UNIX);
    if (listener->fd < 0)
        return fail(options, complaint, strerror(errno));
    reason = socket_file_bind(&listener->file, listener->fd, options->listen.path, BACKLOG);
    return reason == NULL ? LISTEN_OK : fail(options, complaint, reason);
}

static enum listen_verdict listen_vsock(struct bridge_listener *listener, const struct bridge_options *options,
                                        struct text *complaint)
{
    const struct sockaddr_vm name = {
        .svm_family = AF_VSOCK, .svm_cid = options->listen.cid, .svm_port = options->listen.port};

    listener->fd = make_socket(AF_VSOCK);
    if (listener->fd >= 0 && bind(listener->fd, (const struct sockaddr *)&name, sizeof name) == 0 &&
        listen(listener->fd, BACKLOG) == 0)
        return LISTEN_OK;
    return fail(options, complaint, strerror(errno));
}

/* Return: NULL with *found, or why not with *found NULL. */
static const char *look_up(struct resolver *resolver, int64_t deadline, int stop, const struct addrinfo **found)
{
    struct pollfd waits[] = {{.fd = resolver_fd(resolver), .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    const char *reason = NULL;

    for (;;) {
        const int64_t now = loop_clock();

        *found = NULL;
        switch (resolver_ask(resolver, found, &reason)) {
        case RESOLVE_DONE:
            return NULL;
        case RESOLVE_FAILED:
            return reason;
        case RESOLVE_WAITS:
            break;
        }
        if (now >= deadline)
            return "the name is not resolved in time";
        if (poll(waits, 2, clock_milliseconds(now, deadline)) > 0 && waits[1].revents != 0)
            return "stopped";
    }
}

static enum listen_verdict listen_at(struct bridge_listener *listener, const struct bridge_options *options,
                                     const struct addrinfo *found, struct text *complaint)
{
    const int on = 1;

    for (const struct addrinfo *one = found; one != NULL && !options->allow_remote; one = one->ai_next)
        if (!address_is_loopback(one->ai_addr))
            return refuse_remote(options, complaint);
    listener->fd = make_socket(found->ai_family);
    if (listener->fd < 0 || setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener->fd, found->ai_addr, found->ai_addrlen) != 0 || listen(listener->fd, BACKLOG) != 0)
        return fail(options, complaint, strerror(errno));
    return LISTEN_OK;
}

static enum listen_verdict listen_tcp(struct bridge_listener *listener, const struct bridge_options *options, int stop,
                                      struct text *complaint)
{
    struct resolver *resolver = resolver_new(options->listen.host, options->listen.port);
    const struct addrinfo *found = NULL;
    enum listen_verdict verdict;
    const char *reason;

    if (resolver == NULL)
        return fail(options, complaint, strerror(errno));
    reason = look_up(resolver, clock_after(loop_clock(), options->connect_timeout), stop, &found);
    verdict = found != NULL ? listen_at(listener, options, found, complaint) : fail(options, complaint, reason);
    resolver_free(resolver);
    return verdict;
}

static enum listen_verdict listen_inherited(struct bridge_listener *listener, const struct bridge_options *options,
                                            struct text *complaint)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof name;

    listener->fd = options->listen.fd;
    if (getsockname(listener->fd, (struct sockaddr *)&name, &size) == 0 &&
        (name.ss_family == AF_INET || name.ss_family == AF_INET6) && !options->allow_remote &&
        !address_is_loopback((const struct sockaddr *)&name))
        return refuse_remote(options, complaint);
    if (fcntl(listener->fd, F_SETFL, fcntl(listener->fd, F_GETFL) | O_NONBLOCK) != 0)
        return fail(options, complaint, strerror(errno));
    return LISTEN_OK;
}

enum listen_verdict bridge_listen(struct bridge_listener *listener, const struct bridge_options *options, int stop,
                                  struct text *complaint)
{
    enum listen_verdict verdict = LISTEN_FAILED;

    *listener = (struct bridge_listener){.fd = -1};
    switch (options->listen.kind) {
    case ADDRESS_UNIX:
    case ADDRESS_HYBRID:
        verdict = listen_unix(listener, options, complaint);
        break;
    case ADDRESS_TCP:
        verdict = listen_tcp(listener, options, stop, complaint);
        break;
    case ADDRESS_VSOCK:
        verdict = listen_vsock(listener, options, complaint);
        break;
    case ADDRESS_FD:
        verdict = listen_inherited(listener, options, complaint);
        break;
    }
    if (verdict != LISTEN_OK)
        bridge_listen_close(listener);
    return verdict;
}

void bridge_listen_close(struct bridge_listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    socket_file_remove(&listener->file);
}
