/* UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Return: the length, 1 to 4, of the well-formed sequence at the start of the `available` bytes, with *point its code
 * point; 0 if there is none. */
size_t utf8_decode(const char *bytes, size_t available, uint32_t *point);

#endif
