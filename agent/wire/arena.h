/* Where cJSON's tree goes: a piece of memory taken from its start on, never given back in parts. cJSON is compiled with
 * these in place of malloc() and its kin. One tree at a time, so one thread at a time. */
#ifndef WIRE_ARENA_H
#define WIRE_ARENA_H

#include <stddef.h>

/* Take from these `size` bytes from now on. `start` is aligned as malloc() would. */
void arena_use(void *start, size_t size);

/* Return: `size` bytes, aligned to ARENA_ALIGN; NULL if that much is not left. */
void *arena_take(size_t size);
#define ARENA_ALIGN 8

/* For cJSON alone. */
void arena_ignore(void *taken);
void *arena_refuse(void *taken, size_t size);

#endif
