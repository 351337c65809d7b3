#include "host/ready_listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BACKLOG 16

static void prepare(struct ready_listen *listen, int fd, bool stream)
{
    *listen = (struct ready_listen){.fd = fd, .stream = stream};
    for (size_t i = 0; i < LISTEN_CLIENTS; i++)
        listen->clients[i].fd = -1;
}

static const char *bind_vsock(const struct ready_listen *made, uint32_t port)
{
    const struct sockaddr_vm name = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};

    if (bind(made->fd, (const struct sockaddr *)&name, sizeof name) == 0 && listen(made->fd, BACKLOG) == 0)
        return NULL;
    return strerror(errno);
}

const char *ready_listen_open(struct ready_listen *listen, const struct address *address)
{
    const bool stream = address->kind == ADDRESS_VSOCK;
    const int type = stream ? SOCK_STREAM : SOCK_DGRAM;
    const char *reason;

    prepare(listen, socket(stream ? AF_VSOCK : AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), stream);
    if (listen->fd < 0)
        return strerror(errno);
    reason = stream ? bind_vsock(listen, address->port) : socket_file_bind(&listen->file, listen->fd, address->path, 0);
    if (reason != NULL)
        ready_listen_close(listen);
    return reason;
}

void ready_listen_take(struct ready_listen *listen, int fd)
{
    prepare(listen, fd, true);
}

void ready_listen_events(const struct ready_listen *listen, struct pollfd polled[LISTEN_POLLED])
{
    polled[0] = (struct pollfd){.fd = listen->fd, .events = POLLIN};
    for (size_t i = 0; i < LISTEN_CLIENTS; i++)
        polled[1 + i] = (struct pollfd){.fd = listen->clients[i].fd, .events = POLLIN};
}

static void drop_client(struct ready_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static void accept_client(struct ready_listen *listen)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    const int fd = accept4(listen->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ready_client *place = &listen->clients[0];

    if (fd < 0)
        return;
    for (size_t i = 1; i < LISTEN_CLIENTS && place->fd >= 0; i++) {
        struct ready_client *other = &listen->clients[i];

        if (other->fd < 0 || other->order < place->order)
            place = other;
    }
    drop_client(place);
    *place = (struct ready_client){.fd = fd, .order = listen->accepted++};
}

/* Return: true if the message, which may end here, is READY=1. */
static bool read_client(struct ready_client *client)
{
    char bytes[4096];
    const ssize_t length = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (length > 0) {
        client->came += (size_t)length;
        if (notice_take(&client->notice, bytes, (size_t)length))
            return true;
        if (client->came < LISTEN_MOST_BYTES)
            return false;
    }
    drop_client(client);
    return length == 0 && notice_end(&client->notice);
}

/* What is longer than the room for it has no end here, and so no last line. */
static bool read_datagram(const struct ready_listen *listen)
{
    char bytes[LISTEN_MOST_BYTES];
    struct notice notice = {.ready = false};
    const ssize_t length = recv(listen->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);

    if (length < 0)
        return false;
    if ((size_t)length > sizeof bytes)
        return notice_take(&notice, bytes, sizeof bytes);
    return notice_take(&notice, bytes, (size_t)length) || notice_end(&notice);
}

bool ready_listen_step(struct ready_listen *listen, const struct pollfd polled[LISTEN_POLLED])
{
    bool ready = false;

    for (size_t i = 0; i < LISTEN_CLIENTS && !ready; i++)
        if (polled[1 + i].revents != 0 && polled[1 + i].fd == listen->clients[i].fd)
            ready = read_client(&listen->clients[i]);
    if (ready || polled[0].revents == 0)
        return ready;
    if (!listen->stream)
        return read_datagram(listen);
    accept_client(listen);
    return false;
}

void ready_listen_close(struct ready_listen *listen)
{
    for (size_t i = 0; i < LISTEN_CLIENTS; i++)
        drop_client(&listen->clients[i]);
    if (listen->fd >= 0)
        close(listen->fd);
    listen->fd = -1;
    socket_file_remove(&listen->file);
}
