/* One direction of a pair: bytes from one side to the other without a look inside, and the end of them. Copies by way
 * of one buffer that all flows share; a flow that goes on for long splices. It holds bytes only while the receiver does
 * not take them, and reads no more meanwhile (BRIDGE-PRESSURE). */
#ifndef HOST_FLOW_H
#define HOST_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/loop.h"

#define FLOW_BUFFER (128 * 1024)

/* One end of a pair. */
struct side {
    struct watch watch; /* its socket */
    int family;
    bool half_closes; /* a half-close can be passed on to it */
    bool shut;        /* and has been */
    bool eof;         /* nothing more comes from it */
    bool closing;     /* POLLRDHUP has been seen: not asked for again, it would stay */
    bool hung;        /* POLLHUP or POLLERR has been seen: not watched any more; reading never waits */
    bool gone;        /* it takes nothing more either */
    int error;        /* why it ended early (reset): errno, else 0 */
    int64_t gone_at;  /* CLOCK_NEVER before the owner has seen it */
};

/* What the flows of one bridge share. */
struct flow_room {
    char *buffer; /* FLOW_BUFFER bytes */
    struct {
        int ends[2];
    } pipes[4]; /* empty ones, for the next flow that splices */
    size_t pipe_count;
    bool pipe_used; /* since flow_room_trim() */
    int64_t now;    /* the caller's */
};

struct flow {
    struct side *from;
    struct side *to;
    uint64_t *counter; /* of bytes */
    char *held;        /* bytes that `to` has not taken, owned */
    size_t held_at;
    size_t held_end;
    int pipe[2]; /* -1, or holds `piped` bytes */
    size_t piped;
    int64_t moved;  /* when `to` last took something */
    int queued;     /* the owner's: bytes on their way to the peer of `to`, when it last looked */
    unsigned full;  /* reads in a row that filled the buffer */
    bool no_splice; /* this kind of socket does not */
    bool ended;     /* all has been delivered, or is given up */
};

/* After an end of stream. Return: true if the peer has closed, false if it merely shut down its sending side. poll()
 * shows both alike on AF_VSOCK; sending nothing tells them apart on every family, but on TCP where a close is not told,
 * and but for a side that was shut: there nothing tells, and it counts as there. */
bool side_hung_up(const struct side *side);

/* Return: false with errno. */
bool flow_room_open(struct flow_room *room);
void flow_room_close(struct flow_room *room);

/* Call now and then: closes pipes that nobody has used since the last call. Return: true if some are left. */
bool flow_room_trim(struct flow_room *room);

/* Move what can be moved at once, up to some MiB, after which an event will tell of the rest. Passes an end of stream
 * on behind the last byte. */
void flow_run(struct flow *flow, struct flow_room *room);

/* Give up what it holds, and read no more. */
void flow_drop(struct flow *flow);

/* Return: true if it waits for its sender, or for its receiver. */
bool flow_wants_input(const struct flow *flow);
bool flow_wants_room(const struct flow *flow);

#endif
