/* What the parts of the bridge share beyond bridge.h: clients come in (bridge_accept.c), wait (bridge_wait.c), and
 * their guests are dialled (bridge_dial.c). Private to them and bridge.c. */
#ifndef HOST_BRIDGE_PARTS_H
#define HOST_BRIDGE_PARTS_H

#include "host/bridge.h"

#define BRIDGE_TIMERS 8 /* besides the pairs' */

/* The listener is readable: take in who has come. */
void bridge_accept(struct watch *watch, uint32_t events);

/* A pause of accepting is over, if descriptors are there again. */
void bridge_accept_again(struct timer *timer);

/* A client has been accepted; wait for its first line if it has to send one, and dial. */
void bridge_wait(struct pair *pair);

/* Close a pair that waits, with a line: `subject`, and the reason. */
void bridge_give_up(struct pair *pair, const char *subject, const char *reason);

/* Before anything else of the dialling. */
void bridge_dial_prepare(struct pair *pair);

/* Dial, until the guest is connected or --connect-timeout is over. The pair may be up or closed on return. */
void bridge_dial(struct pair *pair);

/* The timer of a pair that dials or pauses is due. The same. */
void bridge_dial_due(struct pair *pair);

/* The client has gone: the guest has but a moment to take what it sent. */
void bridge_dial_hurry(struct pair *pair);

/* The resolver has an answer: go on with those who wait for it. */
void bridge_resolved(struct bridge *bridge);

#endif
