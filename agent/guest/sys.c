#include "guest/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "guest/child.h"
#include "guest/clock.h"
#include "guest/footprint.h"
#include "guest/futex.h"
#include "wire/constants.h"

static int64_t linux_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

static int linux_poll(struct pollfd *fds, unsigned count, int64_t deadline)
{
    int ready;

    if (deadline == CLOCK_NEVER) {
        ready = poll(fds, count, -1);
    } else {
        const int64_t now = linux_now();
        const int64_t left = deadline > now ? deadline - now : 0;
        const struct timespec span = {.tv_sec = left / CLOCK_SECOND, .tv_nsec = left % CLOCK_SECOND};

        ready = ppoll(fds, count, &span, NULL);
    }
    if (ready > 0)
        return ready;
    for (unsigned i = 0; i < count; i++)
        fds[i].revents = 0;
    return 0;
}

static int linux_accept(int listener, struct sockaddr *address, socklen_t *size)
{
    return accept4(listener, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static ssize_t linux_splice(int from, int to, size_t size)
{
    return splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

/* The command writes on while a frame is on its way: measured, a quarter less time for a flood. Where the kernel allows
 * the user no more, the pipe stays as it is. */
static void linux_tune_pipe(int reading_end)
{
    fcntl(reading_end, F_SETFL, O_NONBLOCK);
    fcntl(reading_end, F_SETPIPE_SZ, 4 * LIMIT_CHUNK);
}

static int linux_held(int pipe)
{
    int bytes;

    return ioctl(pipe, FIONREAD, &bytes) == 0 ? bytes : 0;
}

static int linux_open(int directory, const char *path, int flags, mode_t mode)
{
    int fd;

    do {
        fd = openat(directory, path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int linux_rename(int directory, const char *from, const char *to)
{
    return renameat(directory, from, directory, to);
}

static int linux_unlink(int directory, const char *name)
{
    return unlinkat(directory, name, 0);
}

/* Early at boot the pool may not be ready: names that are merely hard to guess beat an agent that waits. */
static void linux_random(uint8_t *bytes, size_t count)
{
    uint64_t state;

    if (getrandom(bytes, count, GRND_NONBLOCK) == (ssize_t)count ||
        getrandom(bytes, count, GRND_INSECURE) == (ssize_t)count)
        return;
    state = (uint64_t)linux_now() ^ (uint64_t)getpid() << 40;
    for (size_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(state >> 56);
    }
}

static int linux_thread(const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
    pthread_t thread;

    return pthread_create(&thread, attributes, work, argument);
}

const struct sys sys_linux = {
    .now = linux_now,
    .poll = linux_poll,
    .recv = recv,
    .recvmsg = recvmsg,
    .send = send,
    .shutdown = shutdown,
    .close = close,
    .accept = linux_accept,
    .epoll_create = epoll_create1,
    .epoll_ctl = epoll_ctl,
    .epoll_wait = epoll_wait,
    .eventfd = eventfd,
    .read = read,
    .write = write,
    .splice = linux_splice,
    .pipe = pipe2,
    .tune_pipe = linux_tune_pipe,
    .held = linux_held,
    .open = linux_open,
    .stat = fstat,
    .chmod = fchmod,
    .rename = linux_rename,
    .unlink = linux_unlink,
    .random = linux_random,
    .thread = linux_thread,
    .wait = futex_wait,
    .wake = futex_wake,
    .rest = footprint_release,
    .spawn = child_spawn,
    .kill_group = child_kill_group,
    .exited = child_exited,
    .reap = child_reap,
};
