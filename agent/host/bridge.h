/* The bridge: its state, and how its parts call each other. One thread; nothing here waits but loop_round(). */
#ifndef HOST_BRIDGE_H
#define HOST_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "host/bridge_listen.h"
#include "host/bridge_options.h"
#include "host/dial.h"
#include "host/flow.h"
#include "host/loop.h"
#include "host/status.h"

/* From accept() on. */
struct pair {
    struct bridge *bridge;
    struct pair *next; /* of all, or of those that are to be freed */
    struct pair **link;
    struct side client;
    struct side guest; /* while it is dialled its watch is the dial's */
    struct flow up;    /* client to guest */
    struct flow down;
    struct timer timer;
    enum {
        PAIR_ASKED,  /* hybrid listener: its first line is awaited */
        PAIR_DIALS,  /* an attempt is under way */
        PAIR_PAUSES, /* between two attempts */
        PAIR_UP,
        PAIR_LEAVES, /* its last bytes are on their way through a TCP socket of ours */
        PAIR_CLOSED, /* freed after the round */
    } state;
    int64_t deadline; /* of the waiting; of leaving */
    int unsent;       /* of leaving, bytes */
    int64_t pause;    /* until the next attempt */
    bool short_of;    /* descriptors, to dial with */
    struct dial dial;
    unsigned socket; /* the dial's that is watched */
    size_t line_length;
    char line[DIAL_HYBRID_LINE];
};

struct bridge {
    const struct bridge_options *options;
    struct loop loop;
    struct bridge_listener listener;
    struct dialer dialer;
    struct watch accepts;
    struct timer accept_timer;
    struct watch signals;
    struct watch parent;
    struct watch resolved;
    struct flow_room room;
    struct timer room_timer;
    struct status status;
    struct timer status_timer;
    bool status_failed; /* and that has been told */
    bool guest_half_closes;
    int guest_family; /* AF_INET for any TCP */
    struct pair *pairs;
    struct pair *closed; /* to be freed after the round */
    uint64_t pair_count;
    uint64_t short_count; /* pairs that are short of descriptors */
};

/* Prepare all but the listener; `options` are set, `signals` and `parent` (-1: none) are readable when it has to stop.
 * Return: false with errno; bridge_close() is right in any case. */
bool bridge_open(struct bridge *bridge, int signals, int parent);

/* Run until it has to stop. Return: false with errno if it could not begin. */
bool bridge_run(struct bridge *bridge);

/* Close every connection and free everything but listener and status. */
void bridge_close(struct bridge *bridge);

/* A failure that is worth a line, and the status' last error: the strings up to a NULL. */
void bridge_fail(struct bridge *bridge, ...) __attribute__((sentinel));

/* Something in the status has changed. */
void bridge_changed(struct bridge *bridge);

/* Close what is left of a pair, on TCP with a reset if `reset`; it is freed after the round. */
void bridge_close_pair(struct pair *pair, bool reset);

#endif
