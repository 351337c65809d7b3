/* get_file (contract, section 4). */
#ifndef GUEST_GET_FILE_H
#define GUEST_GET_FILE_H

#include "guest/stream.h"
#include "wire/request.h"

/* Send the file, or the error. Return: how the conversation ended. */
enum ending get_file_serve(const struct stream *stream, const struct request *request);

#endif
