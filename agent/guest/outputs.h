/* A command's two streams, from its pipes to STDOUT and STDERR frames (RUN-STREAM, RUN-BACKPRESSURE). */
#ifndef GUEST_OUTPUTS_H
#define GUEST_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/stream.h"

struct output {
    int fd;            /* -1: ended */
    uint8_t type;      /* of its frames */
    bool writers_gone; /* poll() has said that nobody holds the other end; bytes may be left */
    size_t left;       /* bytes still to be framed; SIZE_MAX until outputs_limit() */
};

struct outputs {
    const struct stream *stream;
    struct output each[2];
    unsigned turn; /* index of the one framed last */
    size_t length; /* of the bytes to send in the stream's buffer */
    size_t sent;   /* of those */
    size_t tail;   /* bytes of the frame in progress that follow straight from its pipe */
};

/* Take over the reading ends of the pipes, non-blocking. */
void outputs_open(struct outputs *outputs, const struct stream *stream, const int fds[2]);

/* One step: send a part of the frame in progress, or begin one; the two take turns. Return: ENDING_OK, with *moved
 * false if there is nothing to frame or the socket takes no more; ENDING_GONE. */
enum ending outputs_step(struct outputs *outputs, bool *moved);

/* Return: true while a frame is in progress. */
bool outputs_sending(const struct outputs *outputs);

/* Return: true if both have ended and all is sent. */
bool outputs_done(const struct outputs *outputs);

/* What the pipes hold now is the last of the output (RUN-TIMEOUT). */
void outputs_limit(struct outputs *outputs);

void outputs_close(struct outputs *outputs);

#endif
