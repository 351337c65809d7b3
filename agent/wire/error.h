/* The one error currency of the wire code and the operations, and the one table from errno to wire codes. */
#ifndef WIRE_ERROR_H
#define WIRE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "constants.h"

/* ERR-CODE, in the contract's order. WIRE_OK is no error. */
enum wire_code {
    WIRE_OK = 0,
#define X(name, text) WIRE_##name,
    WIRE_CODES(X)
#undef X
};

/* What went wrong, once. `text` is NUL-terminated, any bytes; reply_error() makes it valid UTF-8 and bounds it
 * (ERR-SHAPE). */
struct wire_error {
    enum wire_code code;
    char text[512];
};

/* Return: the code's name on the wire ("not_found"); "" for WIRE_OK. */
const char *wire_code_name(enum wire_code code);

/* ERR-ERRNO. Return: the code for a failed call on a file; WIRE_IO_ERROR for any errno the contract does not name.
 * (Making pipes or a process is WIRE_SPAWN_FAILED whatever the errno: the caller says so itself.) */
enum wire_code wire_code_from_errno(int err);

/* Set *error unless it already holds one (the first error found is the one answered, PUT-DRAIN). The text is the
 * concatenation of the given strings up to a NULL; what does not fit is cut. Return: false, always, so that a failure
 * can be returned in one statement. */
bool wire_fail(struct wire_error *error, enum wire_code code, ...) __attribute__((sentinel));

/* The same for a failed system call on `subject`: code by wire_code_from_errno(err), text "SUBJECT: strerror". */
bool wire_fail_errno(struct wire_error *error, int err, const char *subject);

#endif
