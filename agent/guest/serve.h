/* One request's work, in a worker: the operation, then the end of the response. */
#ifndef GUEST_SERVE_H
#define GUEST_SERVE_H

#include "guest/log.h"
#include "guest/start.h"
#include "guest/stream.h"
#include "wire/request.h"

/* Serve `request`. The sending side is shut down after a whole response (ENDING_OK: the connection lingers);
 * after anything else it is to be closed. Return: how the conversation ended. */
enum ending serve_request(const struct stream *stream, const struct request *request, const struct origin *origin,
                          struct log *log);

#endif
