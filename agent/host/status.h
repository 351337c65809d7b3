/* BRIDGE-STATUS: how the bridge goes, as a JSON file for its supervisor. */
#ifndef HOST_STATUS_H
#define HOST_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "wire/text.h"

struct status {
    const char *path; /* NULL: none is kept */
    const char *address;
    const char *target;
    bool listening;
    uint64_t connections; /* pairs that are up */
    uint64_t waiting;     /* clients whose guest is not connected yet */
    uint64_t accepted;
    uint64_t bytes_to_guest;
    uint64_t bytes_to_client;
    char last_error[512]; /* "": none */
    int64_t last_error_time;

    int spare; /* a descriptor to be had where there is no other */
    bool made;
    dev_t device; /* of the file as it was last written */
    ino_t inode;
};

/* Prepare; nothing is written yet. `path` may be NULL. */
void status_open(struct status *status, const char *path, const char *address, const char *target);

/* Remember an error and the time. */
void status_error(struct status *status, const char *error);

/* Replace the file as a whole. Return: 0 or errno. */
int status_write(struct status *status);

/* Remove the file if it is still the one that was written here. */
void status_remove(struct status *status);

/* Append as a JSON string, quotes and all; bytes that are not UTF-8 are shown as '?'. */
void status_add_string(struct text *text, const char *string);

#endif
