/* A pipe, and memory where splicing does not work, between a socket and a file. */
#ifndef GUEST_TRANSFER_H
#define GUEST_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/sys.h"

struct transfer {
    const struct sys *sys;
    int pipe[2];     /* -1: splicing is not, or no longer, possible */
    uint8_t *buffer; /* LIMIT_CHUNK bytes; NULL until transfer_buffer() */
};

/* Never fails: without a pipe there is the buffer. */
void transfer_open(struct transfer *transfer, const struct sys *sys);
/* Stop splicing; what the pipe held is gone. */
void transfer_close_pipe(struct transfer *transfer);
/* Return: the buffer, or NULL: no memory. */
uint8_t *transfer_buffer(struct transfer *transfer);
void transfer_close(struct transfer *transfer);

#endif
