/* The first line of a hybrid socket's client (BRIDGE-ADDRESS). Bytes in, verdict out. */
#ifndef HOST_HYBRID_H
#define HOST_HYBRID_H

#include <stddef.h>
#include <stdint.h>

#include "host/dial.h"

/* The first `length` bytes, as far as they came, of what has to be `CONNECT PORT` and a newline. Return: whether it is
 * whole, with its number of bytes in *used, or may become whole. */
enum dial_line hybrid_read_request(const char *bytes, size_t length, uint32_t port, size_t *used);

#endif
