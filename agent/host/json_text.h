/* JSON written piece by piece. */
#ifndef HOST_JSON_TEXT_H
#define HOST_JSON_TEXT_H

#include <stdint.h>

#include "wire/text.h"

/* Add a string with its quotes: escaped where JSON asks for it, U+FFFD for every byte that is not part of valid UTF-8.
 */
void json_add_string(struct text *json, const char *string);

/* Return: the most bytes that json_add_string() adds. */
size_t json_string_room(const char *string);

/* Add nanoseconds, at least 0, as seconds with three places. */
void json_add_seconds(struct text *json, int64_t span);

#endif
