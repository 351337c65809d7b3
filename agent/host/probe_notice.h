/* Messages of systemd's notification protocol: lines `NAME=VALUE`, of which READY=1 is looked for (READY-NOTIFY). No
 * I/O, no allocation. */
#ifndef HOST_PROBE_NOTICE_H
#define HOST_PROBE_NOTICE_H

#include <stdbool.h>
#include <stddef.h>

/* One for each message, zero-initialised. */
struct notice {
    bool ready;
    bool differs;  /* the line at hand is another one */
    size_t column; /* of the line at hand, while it is the same */
};

/* Take a part of the message. Return: true once a whole line is READY=1. */
bool notice_take(struct notice *notice, const char *bytes, size_t length);

/* The message has ended, and with it its last line. Return: true if a line of it is READY=1. */
bool notice_end(struct notice *notice);

#endif
