/* What the fuzz targets share. A target is one entry point, LLVMFuzzerTestOneInput(), so that the same file is linked
 * to libFuzzer, to AFL++ or to replay.c, which has a plain main(). */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input is made of, for mutate/mutate.c. A target whose inputs are plain bytes need not say so. */
enum fuzz_form { FUZZ_BYTES, FUZZ_PAYLOAD /* one control payload */, FUZZ_STREAM /* frames */ };
struct fuzz_input {
    enum fuzz_form form;
    size_t head, tail; /* bytes before and behind that are something else */
};
extern const struct fuzz_input fuzz_input __attribute__((weak));

/* Whether an allocation was made to fail in this input; only oom/sweep.c does that. */
bool fuzz_starved(void) __attribute__((weak));
static inline bool fuzz_was_starved(void)
{
    return fuzz_starved != NULL && fuzz_starved();
}

/* The property does not hold: say which one, and die as a sanitizer does. */
#define FUZZ_CHECK(condition, words)                                                    \
    do {                                                                                \
        if (!(condition)) {                                                             \
            fprintf(stderr, "%s:%d: property broken: %s\n", __FILE__, __LINE__, words); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* Return: memory of exactly `size` bytes (never NULL), so that the sanitizer sees one byte too many. */
static inline void *fuzz_room(size_t size)
{
    void *room = malloc(size);

    if (room == NULL && size > 0)
        abort();
    return room;
}

/* Return: a copy of exactly that size. */
static inline void *fuzz_copy(const void *bytes, size_t size)
{
    void *copy = calloc(size, 1); /* not malloc(): to gcc an empty copy would be uninitialised */

    if (copy == NULL && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* Return: how long the next piece of a stream is, 1 to `most`, by a plan that this moves on. */
static inline size_t fuzz_cut(uint64_t *plan, size_t most)
{
    *plan = *plan * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *plan >> 62 == 0 ? 1 : 1 + (size_t)((*plan >> 20 & UINT32_MAX) * most >> 32);
}

/* FNV-1a, to compare contents that come in pieces. */
#define FUZZ_HASH_START UINT64_C(14695981039346656037)
static inline uint64_t fuzz_hash(uint64_t hash, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

#endif
