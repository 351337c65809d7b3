/* A client's connection and the guest's that belongs to it, once both are up: events, ends, resets, and who is told. */
#ifndef HOST_PAIR_H
#define HOST_PAIR_H

#include "host/bridge.h"

/* Begin to copy: client.watch.fd and guest.watch.fd are connected. Both watches become the pair's. */
void pair_up(struct pair *pair);

/* Close a side's socket. Drops what came and was not read, so that this tells an end of stream; or a reset, on TCP. */
void pair_close_socket(struct side *side, struct flow_room *room, bool reset);

#endif
