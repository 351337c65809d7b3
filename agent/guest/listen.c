#include "guest/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "wire/constants.h"

/* Every connection that SRV-CONNS holds may arrive at once. */
#define BACKLOG LIMIT_CONNECTIONS

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

enum listen_fd_kind listen_fd_kind(int fd)
{
    const int family = socket_option(fd, SO_DOMAIN);
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;

    if ((family != AF_UNIX && family != AF_VSOCK) || socket_option(fd, SO_TYPE) != SOCK_STREAM)
        return LISTEN_FD_BAD;
    if (socket_option(fd, SO_ACCEPTCONN) == 1)
        return LISTEN_FD_LISTENING;
    return getpeername(fd, (struct sockaddr *)&peer, &size) == 0 ? LISTEN_FD_CONNECTED : LISTEN_FD_BAD;
}

static bool complain(struct text *complaint, const char *subject, const char *reason)
{
    text_add(complaint, "cannot listen on ");
    text_add(complaint, subject);
    text_add(complaint, ": ");
    text_add(complaint, reason);
    return false;
}

static bool open_vsock(struct listener *listener, const struct listen_address *address, struct text *complaint)
{
    const struct sockaddr_vm name = {.svm_family = AF_VSOCK, .svm_cid = address->cid, .svm_port = address->port};
    char shown[64];
    struct text subject = text_in(shown, sizeof shown);

    listener->fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd >= 0 && bind(listener->fd, (const struct sockaddr *)&name, sizeof name) == 0 &&
        listen(listener->fd, BACKLOG) == 0)
        return true;
    const int err = errno;
    text_add(&subject, "vsock port ");
    text_add_int(&subject, address->port);
    return complain(complaint, shown, strerror(err));
}

static int unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Return: true if nobody listens on the socket at `name` any more. */
static bool is_stale(const struct sockaddr_un *name)
{
    const int fd = unix_socket();
    const bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return stale;
}

/* Make way for bind(): remove a stale socket. Return: NULL, or why what stands there is left alone. */
static const char *remove_stale(const struct sockaddr_un *name)
{
    struct stat before;
    struct stat now;

    if (lstat(name->sun_path, &before) != 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(before.st_mode))
        return "something that is no socket is in the way";
    if (!is_stale(name))
        return "somebody listens there already";
    if (lstat(name->sun_path, &now) != 0 || now.st_dev != before.st_dev || now.st_ino != before.st_ino)
        return "it changes while it is being replaced";
    return unlink(name->sun_path) == 0 ? NULL : strerror(errno);
}

/* Bind with mode 0600 from the first moment on. Return: as bind(). */
static int bind_private(int fd, const struct sockaddr_un *name)
{
    const mode_t before = umask(0177);
    const int result = bind(fd, (const struct sockaddr *)name, sizeof *name);
    const int err = errno;

    umask(before);
    errno = err;
    return result;
}

static bool open_unix(struct listener *listener, const char *path, struct text *complaint)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct stat status;
    int bound;

    if (strlen(path) >= sizeof name.sun_path)
        return complain(complaint, path, strerror(ENAMETOOLONG));
    memcpy(name.sun_path, path, strlen(path));
    listener->fd = unix_socket();
    if (listener->fd < 0)
        return complain(complaint, path, strerror(errno));

    bound = bind_private(listener->fd, &name);
    if (bound != 0 && errno == EADDRINUSE) {
        const char *reason = remove_stale(&name);

        if (reason != NULL)
            return complain(complaint, path, reason);
        bound = bind_private(listener->fd, &name);
    }
    if (bound != 0)
        return complain(complaint, path, strerror(errno));

    if (lstat(path, &status) == 0) {
        listener->path = path;
        listener->device = status.st_dev;
        listener->inode = status.st_ino;
        if ((status.st_mode & 0777) != 0600) /* a default ACL overrides the umask */
            chmod(path, 0600);
    }
    if (listen(listener->fd, BACKLOG) == 0)
        return true;
    complain(complaint, path, strerror(errno));
    listen_close(listener);
    return false;
}

bool listen_open(struct listener *listener, const struct listen_address *address, struct text *complaint)
{
    *listener = (struct listener){.fd = -1};
    switch (address->kind) {
    case LISTEN_VSOCK:
        return open_vsock(listener, address, complaint);
    case LISTEN_UNIX:
        return open_unix(listener, address->path, complaint);
    case LISTEN_FD:
        break;
    }
    listener->fd = address->fd;
    listener->connected = listen_fd_kind(address->fd) == LISTEN_FD_CONNECTED;
    fcntl(listener->fd, F_SETFD, FD_CLOEXEC);
    if (fcntl(listener->fd, F_SETFL, fcntl(listener->fd, F_GETFL) | O_NONBLOCK) == 0)
        return true;
    return complain(complaint, "the inherited descriptor", strerror(errno));
}

void listen_close(struct listener *listener)
{
    struct stat status;

    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    if (listener->path != NULL && lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
        status.st_ino == listener->inode)
        unlink(listener->path);
    listener->path = NULL;
}

static bool cid_allowed(uint32_t cid, const struct peers *peers)
{
    if (cid == PROTOCOL_HOST_CID || peers->any)
        return true;
    for (size_t i = 0; i < peers->count; i++)
        if (peers->cids[i] == cid)
            return true;
    return false;
}

bool listen_peer_allowed(int fd, const struct sockaddr_storage *name, const struct peers *peers)
{
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t size = sizeof who;
    struct sockaddr_vm vsock;

    if (name->ss_family == AF_VSOCK) {
        memcpy(&vsock, name, sizeof vsock);
        return cid_allowed(vsock.svm_cid, peers);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return false;
    return who.uid == 0 || who.uid == geteuid();
}
