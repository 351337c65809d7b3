/* Control payload to typed request (contract, sections 3 and 4). */
#ifndef WIRE_REQUEST_H
#define WIRE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum request_op {
    REQUEST_NONE = 0, /* no operation to serve: error says why */
    REQUEST_PING,
    REQUEST_RUN,
    REQUEST_PUT_FILE,
    REQUEST_GET_FILE
};

/* Everything that points, points into the room that request_parse() was given. */
struct request {
    enum request_op op;
    struct wire_error error; /* code not WIRE_OK: answer this, do nothing else; except that a put_file with drain set is
                                first read to its end (PUT-DRAIN) */
    bool drain;              /* put_file with a bad field but a good size */

    const char *cmd;    /* run: not empty */
    bool raw;           /* run: shell is "raw" */
    double timeout;     /* run: seconds, 0: none */
    char *timeout_text; /* run: the number as the request wrote it, NUL-terminated; NULL without a deadline */
    char **env;         /* run: "NAME=VALUE" strings, NULL-terminated; NULL: none */

    const char *path; /* put_file, get_file: not empty */
    const char *name; /* put_file: NULL if absent or null */
    int mode;         /* put_file: LIMIT_FILE_MODE_DEFAULT if absent or null */
    uint64_t size;    /* put_file */
};

/* Return: the bytes that a payload of `length` bytes needs at the most, beside the structure: less than 4 MiB. */
size_t request_room(size_t length);

/* Parse one control payload of `length` bytes (not looked at above LIMIT_CONTROL_PAYLOAD) into `room` of `size` bytes,
 * aligned as malloc() would; what is not needed of that is not touched. *request need not be initialised, and nothing
 * in it points into the payload. Never fails otherwise than through request->error (WIRE_INTERNAL: `size` is too small,
 * which request_room(length) never is), and then all else is zero but op and what PUT-DRAIN needs. A ping, run or
 * get_file with an error has op set and error set; an error before the operation is known has op REQUEST_NONE. One
 * thread at a time. */
void request_parse(struct request *request, void *room, size_t size, const char *payload, size_t length);

#endif
