/* What the two halves of a flow share: the walk over its bytes (flow.c) and its pipe (flow_pipe.c). Private to them. */
#ifndef HOST_FLOW_PARTS_H
#define HOST_FLOW_PARTS_H

#include <sys/types.h>

#include "host/flow.h"

/* ---- flow.c */

/* The receiver takes no more: what it has sent itself may still be on its way. `err` says why. */
void flow_lose_receiver(struct flow *flow, int err);

/* The sender is lost with what it has not delivered. */
void flow_lose_sender(struct flow *flow, int err);

/* `bytes` have been taken by the receiver. */
void flow_count(struct flow *flow, struct flow_room *room, size_t bytes);

/* Judge the result of a read that brought nothing. Return: false, if it is worth no further try. */
bool flow_read_nothing(struct flow *flow, ssize_t got);

/* ---- flow_pipe.c */

/* An empty pipe is for the next flow that needs it (`room` may be NULL: for none); one that holds bytes to be given up
 * is closed. */
void flow_give_pipe(struct flow *flow, struct flow_room *room);

/* Send what the pipe holds, as far as it is taken. */
void flow_flush_pipe(struct flow *flow, struct flow_room *room);

/* Take bytes into the pipe. Return: true if there may be more at once. */
bool flow_fill_by_splice(struct flow *flow, struct flow_room *room);

#endif
