/* SRV-READY: tell whoever started the agent that connections are accepted. */
#ifndef GUEST_NOTIFY_H
#define GUEST_NOTIFY_H

#include "guest/log.h"

/* Write READY=1 to `ready_fd` (-1: none; closed afterwards if above 2) and follow NOTIFY_SOCKET. Never waits: a
 * notification that could take time goes on in a thread of its own. Failures are logged. */
void notify_ready(int ready_fd, struct log *log);

#endif
