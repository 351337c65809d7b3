/* An SSH server's identification string (RFC 4253, section 4.2) and the lines before it: READY-SSH, READY-PREAMBLE,
 * READY-BANNER. No I/O, no allocation. */
#ifndef HOST_PROBE_SSH_H
#define HOST_PROBE_SSH_H

#include <stddef.h>

#include "host/verdict.h"
#include "wire/text.h"

#define SSH_LONGEST_STRING 255  /* bytes of the identification string with its end */
#define SSH_LONGEST_LINE   8192 /* bytes of a line before it, with its end */
#define SSH_MOST_LINES     1024

/* One for each connection, zero-initialised. */
struct ssh_greeting {
    enum verdict verdict;
    enum { SSH_LINE_OPEN, SSH_LINE_BEFORE, SSH_LINE_STRING } line; /* what the line at hand is */
    const char *version; /* what is left of the string's beginning; NULL until it is known which */
    size_t length;       /* bytes of the line at hand */
    unsigned lines;      /* skipped */
};

/* Take `length` bytes, however the stream is cut. Return: the verdict; bytes after VERDICT_ACCEPTED are not looked at.
 * The call that says VERDICT_REFUSED first adds the reason to *why. */
enum verdict ssh_greeting_take(struct ssh_greeting *greeting, const char *bytes, size_t length, struct text *why);

#endif
