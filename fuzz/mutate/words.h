/* What is worth trying as a value of a request: at the edge of a limit, or just beyond what the contract allows. */
#ifndef FUZZ_MUTATE_WORDS_H
#define FUZZ_MUTATE_WORDS_H

#include "mutate.h"

#define WORD_ROOM    64
#define REQUEST_ROOM 1024

/* Each writes a NUL-terminated text. Return: `out`. */

/* A value for a member whose name is the `length` bytes at `name`; any value for a name that no request knows. */
const char *words_value(struct mutator *mutator, const uint8_t *name, size_t length, char out[WORD_ROOM]);
/* `"name":value,` of a member that requests have. */
const char *words_member(struct mutator *mutator, char out[2 * WORD_ROOM]);
/* A whole request, some of whose members may be odd or missing. */
const char *words_request(struct mutator *mutator, char out[REQUEST_ROOM]);
/* Part of a string: an escape, a character, or what looks like one and is none. */
const char *words_fragment(struct mutator *mutator, char out[WORD_ROOM]);

#endif
