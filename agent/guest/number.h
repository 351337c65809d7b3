/* Decimal numbers of the command line: digits only, no sign, no white space. */
#ifndef GUEST_NUMBER_H
#define GUEST_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Return: true with *number if `text` is a decimal number from `least` to `most`. */
bool number_read(const char *text, uint64_t least, uint64_t most, uint64_t *number);

/* The same for the first `length` characters. */
bool number_read_part(const char *text, size_t length, uint64_t least, uint64_t most, uint64_t *number);

/* Return: true with *nanoseconds if `text` is DIGITS or DIGITS.DIGITS seconds, over 0 and at most `most`. */
bool number_read_seconds(const char *text, uint64_t most, int64_t *nanoseconds);

#endif
