#include "host/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PAUSE 10 /* ms */
#define LOCK_TRIES 100

/* The folder itself is locked: of a lock file something would have to stay. Best effort, since a folder may be closed
 * to reading, or locked by somebody else for long. Return: a descriptor that holds the lock until it is closed, or -1.
 */
static int lock_folder(const char *path)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE * 1000000L};
    const char *slash = strrchr(path, '/');
    char folder[ADDRESS_PATH] = ".";
    int fd;

    if (slash != NULL) {
        const size_t length = slash > path ? (size_t)(slash - path) : 1;

        memcpy(folder, path, length);
        folder[length] = '\0';
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; i++)
        nanosleep(&pause, NULL);
    return fd;
}

/* Bind with mode 0600 from the first moment on; the descriptor's mode counts where a default ACL overrides the umask.
 * Return: as bind(). */
static int bind_private(int fd, const struct sockaddr_un *name)
{
    const mode_t before = umask(0177);
    int result = fchmod(fd, 0600);
    int err;

    if (result == 0)
        result = bind(fd, (const struct sockaddr *)name, sizeof *name);
    err = errno;
    umask(before);
    errno = err;
    return result;
}

/* Return: true if nobody has the socket at `name` any more. */
static bool is_stale(const struct sockaddr_un *name, int type)
{
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return stale;
}

/* Make way for bind(). Return: NULL, or why what stands there is left alone. */
static const char *remove_stale(const struct sockaddr_un *name, int type)
{
    struct stat before;
    struct stat now;

    if (lstat(name->sun_path, &before) != 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(before.st_mode))
        return "something that is no socket is in the way";
    if (!is_stale(name, type))
        return "somebody listens there already";
    if (lstat(name->sun_path, &now) != 0 || now.st_dev != before.st_dev || now.st_ino != before.st_ino)
        return "it changes while it is being replaced";
    return unlink(name->sun_path) == 0 ? NULL : strerror(errno);
}

static const char *bind_locked(struct socket_file *file, int fd, const struct sockaddr_un *name, int backlog)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    struct stat status;

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (bind_private(fd, name) != 0) {
        const char *reason = errno == EADDRINUSE ? remove_stale(name, type) : strerror(errno);

        if (reason != NULL)
            return reason;
        if (bind_private(fd, name) != 0)
            return strerror(errno);
    }
    if (lstat(name->sun_path, &status) != 0)
        return strerror(errno);
    memcpy(file->path, name->sun_path, sizeof file->path);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->made = true;
    if (backlog > 0 && listen(fd, backlog) != 0) {
        const char *reason = strerror(errno);

        socket_file_remove(file);
        return reason;
    }
    return NULL;
}

const char *socket_file_bind(struct socket_file *file, int fd, const char *path, int backlog)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *reason;
    int lock;

    *file = (struct socket_file){.made = false};
    if (strlen(path) >= sizeof name.sun_path)
        return strerror(ENAMETOOLONG);
    memcpy(name.sun_path, path, strlen(path));
    lock = lock_folder(path);
    reason = bind_locked(file, fd, &name, backlog); /* listens before the lock is gone, or it would look stale */
    if (lock >= 0)
        close(lock);
    return reason;
}

void socket_file_remove(struct socket_file *file)
{
    struct stat status;

    if (file->made && lstat(file->path, &status) == 0 && status.st_dev == file->device && status.st_ino == file->inode)
        unlink(file->path);
    file->made = false;
}
