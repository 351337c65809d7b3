/* The system calls that the front desk and the operations make: one table, passed by pointer, so that a test can put
 * faults or an in-memory world behind the same code. Every entry behaves as the call it is named after (errno on
 * failure) except as said. */
#ifndef GUEST_SYS_H
#define GUEST_SYS_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

struct child;

struct sys {
    int64_t (*now)(void); /* clock.h */
    /* Wait until `deadline` at the longest. Return: as poll(); 0 too when a signal came. */
    int (*poll)(struct pollfd *fds, unsigned count, int64_t deadline);

    ssize_t (*recv)(int fd, void *buffer, size_t size, int flags);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
    ssize_t (*send)(int fd, const void *buffer, size_t size, int flags);
    int (*shutdown)(int fd, int how);
    int (*close)(int fd);

    int (*accept)(int listener, struct sockaddr *address, socklen_t *size); /* non-blocking, close-on-exec */
    int (*epoll_create)(int flags);
    int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event *event);
    int (*epoll_wait)(int epoll, struct epoll_event *events, int room, int milliseconds);

    int (*eventfd)(unsigned count, int flags);
    ssize_t (*read)(int fd, void *buffer, size_t size);
    ssize_t (*write)(int fd, const void *buffer, size_t size);
    ssize_t (*splice)(int from, int to, size_t size); /* never waits for a pipe */
    int (*pipe)(int ends[2], int flags);
    void (*tune_pipe)(
        int reading_end);  /* for reading a command's output: non-blocking, and with room for several frames */
    int (*held)(int pipe); /* bytes that a pipe holds; 0 where that cannot be known */

    int (*open)(int directory, const char *path, int flags, mode_t mode);
    int (*stat)(int fd, struct stat *status);
    int (*chmod)(int fd, mode_t mode);
    int (*rename)(int directory, const char *from, const char *to);
    int (*unlink)(int directory, const char *name);
    void (*random)(uint8_t *bytes, size_t count); /* never waits, never fails */

    int (*thread)(const pthread_attr_t *attributes, void *(*work)(void *), void *argument); /* Return: 0 or errno */
    void (*wait)(atomic_uint *word, unsigned value);                                        /* futex.h, these two */
    void (*wake)(atomic_uint *word);
    void (*rest)(void); /* footprint_release() */

    /* child.h */
    int (*spawn)(struct child *child);
    void (*kill_group)(const struct child *child);
    bool (*exited)(const struct child *child);
    bool (*reap)(struct child *child);
};

/* The kernel. */
extern const struct sys sys_linux;

#endif
