/* From a run request to a started shell. */
#ifndef GUEST_COMMAND_H
#define GUEST_COMMAND_H

#include "guest/child.h"
#include "guest/sys.h"
#include "wire/request.h"

/* Start the request's command (RUN-SHELL, RUN-ENV). Return: true with *child and the reading ends of its two pipes,
 * non-blocking, the caller's now; false with *error set, nothing started. */
bool command_start(const struct sys *sys, const struct request *request, const struct origin *origin,
                   struct child *child, int outputs[2], struct wire_error *error);

#endif
