/* The values of a JSON text, leniently: one that fuzzing has broken has values all the same. */
#ifndef FUZZ_MUTATE_ITEMS_H
#define FUZZ_MUTATE_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOST_ITEMS 256

/* A value, with its name where it is a member. */
struct item {
    size_t start, value, end; /* of the name, else of the value; of the value; behind it */
};

struct items {
    struct item all[MOST_ITEMS];
    size_t count;
};

/* Return: the first MOST_ITEMS values, outer ones before inner ones. */
struct items items_find(const uint8_t *text, size_t size);

/* Return: the first place from `at` on that is not white space; `size` if there is none. */
size_t items_skip_space(const uint8_t *text, size_t size, size_t at);

/* Return: the byte can be part of a number or a literal. */
bool items_is_word(uint8_t byte);

#endif
