/* Inside the world in memory: what its parts (world_*.c) offer one another. */
#ifndef FUZZ_WORLD_PARTS_H
#define FUZZ_WORLD_PARTS_H

#include "world.h"

/* ---- call.c: calls that fail, descriptors, bytes */

/* One step more, of the bounded number that there may be. */
void world_count(struct world *world);
/* Return: the end of a pause of that length, or of what is left of WORLD_LEISURE. */
int64_t world_pause(struct world *world, int64_t span);
/* Every call begins so. Return: true, with errno, if it is to fail. */
bool world_fails(enum call call);
/* Note that an operation's call failed. Return: -1 with errno. */
int world_blame(int err);
struct record *world_record(void);
/* Whoever runs talks to that host. */
void world_record_on(struct host *host);
/* Whoever runs is through with its work. */
void world_record_over(void);
/* Return: `size`, or as much of it as one call moves at present. */
size_t world_piece(size_t size);
/* Return: the lowest free descriptor, now this; -1 with errno. */
int world_handle_new(enum handle_kind kind, unsigned index);
struct handle *world_handle(int fd);
int world_close_fd(int fd);
void buffer_clear(struct buffer *buffer);
/* Return: where `size` more bytes may be put; buffer->size is the caller's to raise. */
uint8_t *buffer_grow(struct buffer *buffer, size_t size);
void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
/* Take up to `size` bytes; `into` may be NULL. Return: how many. */
size_t buffer_take(struct buffer *buffer, void *into, size_t size);
static inline size_t buffer_left(const struct buffer *buffer)
{
    return buffer->size - buffer->start;
}

/* ---- turn.c: who runs, and time */

/* Somebody waits: let the others go on, or else time. To be called until what is waited for is there. */
void world_wait(int64_t deadline);
/* In a worker: let the others go on, as if it were slow. */
void world_preempt(void);
/* Return: what of POLL... holds for the descriptor. */
short world_readiness(int fd);
/* Let the workers do what they can. Return: true if they could do anything. */
bool world_run_workers(struct world *world);
int world_poll(struct pollfd *fds, unsigned count, int64_t deadline);
int world_thread(const pthread_attr_t *attributes, void *(*work)(void *), void *argument);
void world_futex_wait(atomic_uint *word, unsigned value);

/* ---- script.c: what the input says */

/* One host more, whom the script is about from now on; none where there are WORLD_HOSTS. */
void world_add_host(struct world *world, bool foreign);
/* Return: true if the next step may be done now, and is. */
bool world_script_step(struct world *world);
/* Return: true if the input is through, and its last pause. */
bool world_script_over(const struct world *world);
/* Nothing is left that anybody waits for: hosts leave, then the agent is told to stop. Return: false: even that was
 * done. */
bool world_script_end(struct world *world);

/* ---- epoll.c */
int world_epoll_create(int flags);
int world_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int world_epoll_wait(int epoll, struct epoll_event *events, int room, int milliseconds);
int world_eventfd(unsigned count, int flags);

/* ---- socket.c */
ssize_t world_recv(int fd, void *buffer, size_t size, int flags);
ssize_t world_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t world_send(int fd, const void *buffer, size_t size, int flags);
int world_shutdown(int fd, int how);
int world_accept(int listener, struct sockaddr *address, socklen_t *size);
/* What recv() and send() do if they do not fail: for a splice, which has failed, or not, as such. */
ssize_t socket_take(struct host *host, void *buffer, size_t size);
ssize_t socket_give(struct host *host, const void *buffer, size_t size);
short socket_state(const struct host *host);

/* ---- pipe.c */
ssize_t world_read(int fd, void *buffer, size_t size);
ssize_t world_write(int fd, const void *bytes, size_t size);
int world_pipe(int ends[2], int flags);
ssize_t world_splice(int from, int to, size_t size);
void world_tune_pipe(int reading_end);
int world_held(int pipe);

/* ---- files.c: the tree; file_calls.c: the calls on it */

void files_reset(struct world *world);
/* Return: its number, with `content` (of a link: where it leads); -1: there is no room for one, or it is there. */
int files_add(struct world *world, enum node_kind kind, unsigned parent, const char *name, const char *content);
/* Return: the node of that name in the directory, or -1. */
int files_find(const struct world *world, unsigned directory, const char *name);
/* Return: the node that `path` leads to from `directory`, or -1 with errno. `follow`: also where it is a link. */
int files_walk(struct world *world, unsigned directory, const char *path, bool follow);
/* Return: a hash of all that stand: where, name, kind, mode. */
uint64_t files_hash(const struct world *world);
int world_open_file(int directory, const char *path, int flags, mode_t mode);
int world_stat(int fd, struct stat *status);
int world_chmod(int fd, mode_t mode);
int world_rename(int directory, const char *from, const char *to);
int world_unlink(int directory, const char *name);
/* Without faults of their own. Return: as read() and write(). */
ssize_t file_read(struct handle *handle, void *buffer, size_t size);
ssize_t file_write(struct handle *handle, const void *bytes, size_t size);

/* ---- command.c: what `run` starts */

int world_spawn(struct child *child);
void world_kill_group(const struct child *child);
bool world_exited(const struct child *child);
bool world_reap(struct child *child);
/* Return: true if a command did something. */
bool commands_step(struct world *world);
/* Return: true if one lives, or a background process of one. */
bool commands_alive(const struct world *world);
/* Return: when one will. */
int64_t commands_next(const struct world *world);

#endif
