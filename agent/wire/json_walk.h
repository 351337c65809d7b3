/* Steps over a text that json_strict() has found well-formed: the profile is not checked again. Private to the JSON
 * files. */
#ifndef WIRE_JSON_WALK_H
#define WIRE_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool json_is_space(char byte);

/* Return: the first place from `at` on that is not white space, `end` if there is none. */
const char *json_skip_space(const char *at, const char *end);

/* `at` is a string's opening quote. Return: the place after its closing quote. */
const char *json_skip_string(const char *at, const char *end);

/* Return: the value of a hexadecimal digit; -1 for any other byte. */
int json_hex(char byte);

/* JSON-DUP, for an otherwise good text. Return: true with *offset that of the first name, from the left, that an
 * earlier member of the same object has too once both are unescaped. */
bool json_find_duplicate(const char *text, size_t length, size_t *offset);

#endif
