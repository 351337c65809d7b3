/* Typed reply to the bytes of a whole control frame, header included (JSON-OUT holds for any input). No I/O, no
 * allocation. */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Room for any reply below but reply_timeout(). An error text is at most LIMIT_ERROR_TEXT bytes, and JSON may take six
 * for one. */
#define REPLY_ROOM (6 * LIMIT_ERROR_TEXT + 256)

/* Each writes one frame at `out` (at least REPLY_ROOM bytes). Return: its length. */

/* At most 512 bytes of each string are sent. */
size_t reply_pong(uint8_t *out, const char *agent_version, const char *instance);
/* put_file: {"ok":true} */
size_t reply_ok(uint8_t *out);
size_t reply_exit(uint8_t *out, int exit_code);
/* get_file's header. A size above LIMIT_JSON_INTEGER is sent as that (JSON-INT; the size is a hint, GET-EXACT). */
size_t reply_file(uint8_t *out, unsigned mode, uint64_t size);
/* The text is made valid UTF-8 (U+FFFD for what is not) and cut to LIMIT_ERROR_TEXT bytes; an empty one becomes the
 * code. */
size_t reply_error(uint8_t *out, const struct wire_error *error);
/* get_file's end: the EOF frame, empty payload */
size_t reply_eof(uint8_t *out);

/* `number` as the request wrote it, `length` characters; out has length + REPLY_ROOM bytes. */
size_t reply_timeout(uint8_t *out, const char *number, size_t length);

#endif
