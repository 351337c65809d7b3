#include <errno.h>
#include <sys/uio.h>

#include <linux/vm_sockets.h>

#include "parts.h"
#include "wire/constants.h"

#define FOREIGN_CID 77

static struct host *host_of(int fd)
{
    const struct handle *handle = world_handle(fd);

    FUZZ_CHECK(handle->kind == HANDLE_SOCKET, "a socket is talked to");
    return &world()->host_at[handle->index];
}

short socket_state(const struct host *host)
{
    return (short)((buffer_left(&host->in) > 0 || host->shut ? POLLIN : 0) | (host->shut ? POLLRDHUP : 0) |
                   (host->closed || !host->deaf || host->room > 0 ? POLLOUT : 0) |
                   (host->closed || (host->shut && host->agent_shut) ? POLLHUP : 0));
}

/* A call on a socket fails: whether it ends the conversation. */
static ssize_t failed(struct host *host)
{
    host->excused = host->excused || (errno != EAGAIN && errno != EINTR);
    return -1;
}

ssize_t socket_take(struct host *host, void *buffer, size_t size)
{
    if (buffer_left(&host->in) > 0)
        return (ssize_t)buffer_take(&host->in, buffer, world_piece(size));
    if (host->shut)
        return 0;
    errno = EAGAIN;
    return -1;
}

ssize_t world_recv(int fd, void *buffer, size_t size, int flags)
{
    const bool fails = world_fails(CALL_RECV);
    struct host *host = host_of(fd);

    FUZZ_CHECK(size > 0 && flags == 0, "there is room for what is received");
    return fails ? failed(host) : socket_take(host, buffer, size);
}

ssize_t world_recvmsg(int fd, struct msghdr *message, int flags)
{
    size_t done = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];
        const ssize_t got =
            i > 0 && buffer_left(&host_of(fd)->in) == 0 ? -1 : world_recv(fd, part->iov_base, part->iov_len, flags);

        if (got <= 0)
            return done > 0 ? (ssize_t)done : got;
        done += (size_t)got;
        if ((size_t)got < part->iov_len)
            break;
    }
    return (ssize_t)done;
}

ssize_t socket_give(struct host *host, const void *buffer, size_t size)
{
    if (host->closed || host->agent_shut) {
        FUZZ_CHECK(!host->agent_shut || size == 0, "nothing is sent after the end of the response");
        errno = EPIPE;
        return -1;
    }
    if (size == 0)
        return 0;
    if (host->deaf && host->room == 0) {
        errno = EAGAIN;
        return -1;
    }
    size = world_piece(size);
    if (host->deaf) {
        size = size < host->room ? size : host->room;
        host->room -= size;
    }
    if (host->out.size == 0)
        host->taken = host->in.start;
    buffer_add(&host->out, buffer, size);
    world_record_on(host);
    return (ssize_t)size;
}

ssize_t world_send(int fd, const void *buffer, size_t size, int flags)
{
    const bool fails = world_fails(CALL_SEND);
    struct host *host = host_of(fd);

    FUZZ_CHECK((flags & MSG_NOSIGNAL) != 0, "no SIGPIPE comes of a host that left");
    return fails ? failed(host) : socket_give(host, buffer, size);
}

int world_shutdown(int fd, int how)
{
    const bool fails = world_fails(CALL_SHUTDOWN);
    struct host *host = host_of(fd);

    FUZZ_CHECK(how == SHUT_WR, "only the sending side is shut down");
    host->agent_shut = true;
    host->since = world()->now;
    world_record_on(host);
    if (!fails)
        return 0;
    errno = ENOTCONN;
    return -1;
}

int world_accept(int listener, struct sockaddr *address, socklen_t *size)
{
    struct world *w = world();
    struct sockaddr_vm name = {.svm_family = AF_VSOCK};
    int fd;

    FUZZ_CHECK(world_handle(listener)->kind == HANDLE_LISTENER, "a listener is accepted from");
    if (world_fails(CALL_ACCEPT))
        return -1;
    if (w->accepted == w->hosts) {
        errno = EAGAIN;
        return -1;
    }
    fd = world_handle_new(HANDLE_SOCKET, w->accepted);
    if (fd < 0)
        return -1;
    name.svm_cid = w->host_at[w->accepted].foreign ? FOREIGN_CID : PROTOCOL_HOST_CID;
    memcpy(address, &name, sizeof name);
    *size = sizeof name;
    w->host_at[w->accepted].since = w->now;
    w->host_at[w->accepted++].accepted = true;
    return fd;
}
