/* A pipe between a socket and a file; where splicing does not work there is the stream's buffer. */
#ifndef GUEST_TRANSFER_H
#define GUEST_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/sys.h"

struct transfer {
    const struct sys *sys;
    int pipe[2]; /* -1: splicing is not, or no longer, possible */
};

/* Never fails. */
void transfer_open(struct transfer *transfer, const struct sys *sys);
/* Splice no more; what the pipe held is gone. May be called twice. */
void transfer_close_pipe(struct transfer *transfer);

#endif
