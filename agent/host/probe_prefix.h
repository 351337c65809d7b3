/* The bytes that a service sends first of its own accord (READY-PREFIX). No I/O, no allocation. */
#ifndef HOST_PROBE_PREFIX_H
#define HOST_PROBE_PREFIX_H

#include <stddef.h>

#include "host/verdict.h"
#include "wire/text.h"

/* One for each connection; `expected` is set by the caller and not empty, all else is zero. */
struct prefix_match {
    const char *expected;
    enum verdict verdict;
    size_t seen; /* bytes that match */
};

/* As ssh_greeting_take(). */
enum verdict prefix_match_take(struct prefix_match *match, const char *bytes, size_t length, struct text *why);

#endif
