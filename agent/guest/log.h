/* SRV-LOG: one line per event on stderr, never the content of commands or files; a line that cannot be written at once
 * is lost. */
#ifndef GUEST_LOG_H
#define GUEST_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "guest/futex.h"

#define LOG_NAME "smolvm-guest-agent"

struct log {
    struct lock lock;
    bool quiet; /* only fatal lines */
};

/* Write the strings, up to a NULL, as one line. Bytes that are not printable ASCII are shown as '?'. */
void log_event(struct log *log, ...) __attribute__((sentinel));

/* The same, also when quiet: for what ends the agent. */
void log_fatal(struct log *log, ...) __attribute__((sentinel));

/* Write without ever waiting, whatever the descriptor's mode. Return: true if all was written. */
bool write_at_once(int fd, const char *bytes, size_t length);

#endif
