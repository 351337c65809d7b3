/* One attempt to connect to a target, without blocking: every address of a name in turn, and for a hybrid socket its
 * CONNECT/OK handshake. The caller polls, calls dial_step() when something happened, and decides about time and
 * repeats. */
#ifndef HOST_DIAL_H
#define HOST_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "host/address.h"
#include "host/resolve.h"

/* What all dials of one target share. */
struct dialer {
    struct address target;
    struct resolver *resolver; /* tcp, else NULL */
    int64_t attempt;           /* nanoseconds that the caller gives an attempt, so that a silent address leaves time for
                                * those behind it; CLOCK_NEVER: no such limit */
};

/* Return: true, with `attempt` CLOCK_NEVER; false with errno. dialer_close() frees. */
bool dialer_open(struct dialer *dialer, const struct address *target);
void dialer_close(struct dialer *dialer);

/* The longest line of a hybrid handshake, with its end (BRIDGE-HYBRID). */
#define DIAL_HYBRID_LINE 64

enum dial_verdict {
    DIAL_WAITS,  /* for dial->events of dial->fd; where fd is -1 for the resolver; at the latest at dial->until */
    DIAL_DONE,   /* dial_take() */
    DIAL_FAILED, /* dial->failure, dial->reason */
};

/* How an attempt failed. Of several addresses the last one counts. */
enum dial_failure {
    DIAL_REFUSED,     /* nothing listens */
    DIAL_ABSENT,      /* no such socket, no such guest */
    DIAL_UNRESOLVED,  /* no such name */
    DIAL_UNREACHABLE, /* no way there, or no answer */
    DIAL_CLOSED,      /* hybrid: closed instead of an answer */
    DIAL_UNEXPECTED,  /* hybrid: another answer than OK */
    DIAL_SHORT,       /* of descriptors or memory, here */
    DIAL_OTHER,
};

struct dial {
    const struct dialer *dialer;
    int fd;          /* non-blocking, close-on-exec; -1: none. After a failure it stays, to keep its number for the next
                      * attempt where descriptors are short. */
    unsigned socket; /* counts sockets made: another one may have the same number as the one before */
    short events;    /* POLLIN or POLLOUT */
    int64_t until;   /* CLOCK_NEVER; or when a silent address gives way to the next one */

    enum dial_failure failure;
    const char *reason; /* static or strerror()'s */

    enum { DIAL_NAME, DIAL_CONNECT, DIAL_ASK, DIAL_ANSWER } state; /* the rest is dial.c's */
    size_t index; /* of the address that comes next; the next attempt goes on with it, so that each has its turn */
    size_t tried; /* addresses in this attempt */
    int64_t end;  /* of this attempt, CLOCK_NEVER */
    size_t sent;
    size_t length;
    char line[DIAL_HYBRID_LINE];
};

/* An idle dial. */
void dial_prepare(struct dial *dial, const struct dialer *dialer);

/* Begin an attempt and go as far as it goes at once. `now` as of clock.h. A socket left of the attempt before is
 * closed. */
enum dial_verdict dial_start(struct dial *dial, int64_t now);

/* Go on: after an event, or when `until` has come. */
enum dial_verdict dial_step(struct dial *dial, int64_t now);

/* Return: the connected socket, now the caller's. No byte behind a handshake has been read. */
int dial_take(struct dial *dial);

/* Close what the dial holds; it may be started again. */
void dial_drop(struct dial *dial);

enum dial_line { DIAL_LINE_MORE, DIAL_LINE_OK, DIAL_LINE_BAD };

/* The answer of a hybrid socket as far as it came, its first `length` bytes. Return: whether it is whole, with the
 * number of its bytes in *used, or may become whole. */
enum dial_line dial_read_answer(const char *bytes, size_t length, size_t *used);

#endif
