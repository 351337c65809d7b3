/* Where a guest's READY=1 arrives (READY-NOTIFY): a Unix datagram socket, or a vsock stream socket on which each
 * connection is a message. */
#ifndef HOST_READY_LISTEN_H
#define HOST_READY_LISTEN_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/probe_notice.h"
#include "host/socket_file.h"

/* Connections heard at once; one more takes the place of the oldest. Each has LISTEN_MOST_BYTES to say it. */
#define LISTEN_CLIENTS    8
#define LISTEN_MOST_BYTES 65536

struct ready_client {
    int fd; /* -1: none */
    uint64_t order;
    size_t came;
    struct notice notice;
};

struct ready_listen {
    int fd; /* -1: closed */
    bool stream;
    struct socket_file file;
    uint64_t accepted;
    struct ready_client clients[LISTEN_CLIENTS];
};

/* Listen at `address` (unix or vsock). Before any thread is started. Return: NULL, or the reason why not (static or
 * strerror()'s), with nothing left. */
const char *ready_listen_open(struct ready_listen *listen, const struct address *address);

/* The same for a listening stream socket, which is the caller's no longer. */
void ready_listen_take(struct ready_listen *listen, int fd);

/* What to poll for. */
#define LISTEN_POLLED (1 + LISTEN_CLIENTS)
void ready_listen_events(const struct ready_listen *listen, struct pollfd polled[LISTEN_POLLED]);

/* Take what has come, as poll() left `polled`. Return: true once a message was READY=1. */
bool ready_listen_step(struct ready_listen *listen, const struct pollfd polled[LISTEN_POLLED]);

/* Close everything, and remove the socket's file while it is still the one made here. */
void ready_listen_close(struct ready_listen *listen);

#endif
