/* What others sent, for a person to read. */
#ifndef HOST_SHOWN_H
#define HOST_SHOWN_H

#include <stddef.h>

#include "wire/text.h"

/* Add the bytes with everything but printable ASCII as \xNN, quotes and backslashes too. */
void shown_add(struct text *text, const char *bytes, size_t length);

#endif
