/* Bounded text building without stdio: error texts, log lines, replies. What does not fit is cut, never overrun: at the
 * start of a UTF-8 sequence, and from then on nothing is added. */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The digits of a constant as a string literal. */
#define TEXT_OF(constant)        TEXT_OF_EXPANDED(constant)
#define TEXT_OF_EXPANDED(digits) #digits

struct text {
    char *start;
    size_t length;
    size_t capacity; /* bytes at start, one of them kept for the NUL */
    bool cut;        /* something did not fit */
};

/* Start an empty, NUL-terminated text in `buffer` (capacity at least 1). */
struct text text_in(char *buffer, size_t capacity);

/* Each appends and keeps the NUL at the end. */
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add_int(struct text *text, int64_t number); /* in decimal */

#endif
