/* run (contract, section 4). */
#ifndef GUEST_RUN_H
#define GUEST_RUN_H

#include "guest/start.h"
#include "guest/stream.h"
#include "wire/request.h"

/* Run the command, send its output and its end. Return: how the conversation ended; no process of the run's that has to
 * die is left (RUN-REAP). */
enum ending run_serve(const struct stream *stream, const struct request *request, const struct origin *origin);

#endif
