/* The file an upload is written to, from the choice of its directory to the rename (PUT-ATOMIC, PUT-DIRFD, PUT-CLEAN).
 */
#ifndef GUEST_TARGET_H
#define GUEST_TARGET_H

#include "guest/sys.h"
#include "wire/error.h"
#include "wire/request.h"

struct target {
    const struct sys *sys;
    const char *path;                       /* for error texts */
    int directory;                          /* opened once, everything goes through it; -1: not open */
    int file;                               /* -1: not open */
    char *resolved;                         /* owned; `name` may point into it */
    size_t room;                            /* bytes at resolved */
    const char *name;                       /* final name in the directory */
    char temporary[sizeof PUT_PREFIX + 16]; /* empty once there is none */
};

/* Choose the place by the request's path and name and create the temporary file. Return: true, or false with *error
 * set; in both cases target_discard() is due. */
bool target_open(struct target *target, const struct sys *sys, const struct request *request, struct wire_error *error);

/* After the last byte: set the mode, close, rename. Return: true if the file stands at its place. */
bool target_commit(struct target *target, mode_t mode, struct wire_error *error);

/* Remove what is not committed, close and free everything. May be called twice. */
void target_discard(struct target *target);

#endif
