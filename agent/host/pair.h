/* A client's connection and the guest's that belongs to it, once both are up: events, ends, resets, and who is told. */
#ifndef HOST_PAIR_H
#define HOST_PAIR_H

#include "guest/clock.h"
#include "host/bridge.h"

#define PAIR_PATIENCE       CLOCK_SECOND       /* BRIDGE-CLOSE: for a receiver that takes nothing */
#define PAIR_RESET_PATIENCE (CLOCK_SECOND / 2) /* BRIDGE-RESET: within 1 s */

/* Begin to copy: client.watch.fd and guest.watch.fd are connected. Both watches become the pair's. */
void pair_up(struct pair *pair);

/* Close a side's socket. Drops what came and was not read, so that this tells an end of stream; or a reset, on TCP. */
void pair_close_socket(struct side *side, struct flow_room *room, bool reset);

/* Return: bytes on their way to the side's peer, as far as the kernel says. */
int pair_queued_at(const struct side *side);

/* Both directions are over: close, at once or when what TCP still has to deliver is delivered. */
void pair_leave(struct pair *pair);

/* Look again whether that is so. */
void pair_leaving(struct pair *pair);

#endif
