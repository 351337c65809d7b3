/* A worker's end of a conversation: send and receive under the deadline of CONV-STALL, watching for hang-up and for the
 * stop. */
#ifndef GUEST_STREAM_H
#define GUEST_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/sys.h"
#include "wire/constants.h"

/* Room for a frame of the largest chunk, and so for any reply too. */
#define STREAM_BUFFER (LIMIT_FRAME_HEADER + LIMIT_CHUNK)

struct stream {
    const struct sys *sys;
    int fd;             /* the host's connection, non-blocking */
    int stop;           /* readable once the agent stops; never read */
    int64_t io_timeout; /* ns */
    uint8_t *buffer;    /* STREAM_BUFFER bytes, for whoever is at work */
};

/* How a conversation, or a step of it, ended. */
enum ending {
    ENDING_OK,      /* the step is done; of a conversation: the terminal frame is sent */
    ENDING_GONE,    /* the host hung up */
    ENDING_STALLED, /* CONV-STALL */
    ENDING_STOPPED, /* SRV-STOP */
    ENDING_BROKEN   /* closed on purpose: FRAME-CAP, GET-BROKEN */
};

/* Return: a few words for the log. */
const char *ending_text(enum ending ending);

/* After POLLHUP or POLLRDHUP. Return: true if the host hung up, false if it merely shut down its sending side
 * (CONV-HALFCLOSE). On AF_VSOCK poll() shows both alike; sending nothing tells them apart on every family. */
bool stream_hung_up(const struct sys *sys, int fd);

/* Wait until `events` hold on the connection, or on `other` (-1: none) POLLIN. Return: ENDING_OK, ENDING_STALLED after
 * `deadline`, ENDING_STOPPED. Hang-ups are for the call that follows to find. */
enum ending stream_wait(const struct stream *stream, short events, int other, int64_t deadline);

/* Send all of it. */
enum ending stream_send(const struct stream *stream, const void *bytes, size_t length);

/* Receive 1 to `size` bytes; *received says how many. End of stream is ENDING_GONE. */
enum ending stream_receive(const struct stream *stream, void *buffer, size_t size, size_t *received);

/* Receive and drop up to `limit` bytes, also descriptors. Return: as recv(). */
ssize_t stream_discard(const struct sys *sys, int fd, size_t limit);

#endif
