/* A typed request back to one control payload, for fuzz_request: what request_parse() understood, said plainly. */
#ifndef FUZZ_ENCODE_H
#define FUZZ_ENCODE_H

#include <stddef.h>

#include "wire/request.h"

/* Return: a payload that has to parse to a request equal to this one, malloc'ed, with its length. `request` is one
 * without an error. */
char *encode_request(const struct request *request, size_t *length);

#endif
