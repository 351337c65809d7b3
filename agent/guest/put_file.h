/* put_file (contract, section 4). */
#ifndef GUEST_PUT_FILE_H
#define GUEST_PUT_FILE_H

#include "guest/stream.h"
#include "wire/request.h"

/* Receive the upload and answer it. A request with an error (request->drain) is read to its end and answered with that
 * error. Return: how the conversation ended. */
enum ending put_file_serve(const struct stream *stream, const struct request *request);

#endif
