/* What the parts of a dial share: the connection (dial.c), the handshake on it (dial_handshake.c) and how either fails
 * (dial_failure.c). Private to them. */
#ifndef HOST_DIAL_PARTS_H
#define HOST_DIAL_PARTS_H

#include "host/dial.h"

/* Return: DIAL_FAILED, with what failed in the dial. `reason` is static or strerror()'s. */
enum dial_verdict dial_fail(struct dial *dial, enum dial_failure failure, const char *reason);

/* The same for what a system call failed with. */
enum dial_verdict dial_fail_errno(struct dial *dial, int err);

/* Return: DIAL_WAITS, with what for in the dial. */
enum dial_verdict dial_wait_for(struct dial *dial, short events, int64_t until);

/* In the states DIAL_ASK and DIAL_ANSWER: go as far as it goes at once. */
enum dial_verdict dial_shake_hands(struct dial *dial);

#endif
