/* What cJSON made of a text, counted, and the same counted from the text, by a reader of its own. */
#ifndef FUZZ_TREE_H
#define FUZZ_TREE_H

#include <stddef.h>

#include <cJSON.h>

struct tally {
    size_t values;
    size_t depth;
    size_t text; /* bytes of all strings and names */
};

/* Return: what the tree holds. Dies where an object has a name twice (JSON-DUP) or there are too many levels. */
struct tally tree_tally(const cJSON *tree);

/* Return: the bytes of all strings and names of a text that json_strict() found good, once they are unescaped. */
size_t tree_text_written(const char *text, size_t length);

#endif
