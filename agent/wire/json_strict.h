/* The JSON profile of the contract's section 2: a validator, not a parser. No recursion, no allocation; at most 20 KiB
 * of stack. */
#ifndef WIRE_JSON_STRICT_H
#define WIRE_JSON_STRICT_H

#include <stdbool.h>
#include <stddef.h>

enum json_verdict {
    JSON_GOOD,
    JSON_MALFORMED, /* JSON-PROFILE, JSON-DUP, JSON-NUL */
    JSON_TOO_LARGE  /* JSON-LIMITS: size, depth or values */
};

struct json_finding {
    enum json_verdict verdict;
    size_t offset;      /* of the first offence, from the left (JSON-ORDER) */
    const char *reason; /* static text, e.g. "raw control character in a string"; "" for JSON_GOOD */
};

/* Judge one control payload of `length` bytes. It need not be NUL-terminated, and is not looked at above
 * LIMIT_CONTROL_PAYLOAD. */
struct json_finding json_strict(const char *text, size_t length);

/* The members of an object that json_strict() found good, in document order, as slices of the text: cJSON keeps that
 * order but loses how a number was written (1.0 against 1), which JSON-INT needs. */
struct json_slice {
    const char *start;
    size_t length;
};
struct json_members {
    const char *at;
    const char *end;
};

/* Start at an object's text (from `{` to `}`, white space around it allowed). */
struct json_members json_members_of(struct json_slice object);
/* Return: true with *value the next member's value as written, without white space around it; false after the last. */
bool json_members_next(struct json_members *members, struct json_slice *value);

#endif
