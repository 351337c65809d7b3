/* Mutations that know frames and JSON, so that fuzzing gets past the header and the first brace. Nothing here belongs
 * to one engine: how plain bytes are mutated is given. mutate.c hangs them on libFuzzer's hooks, which AFL++'s driver
 * does not call.
 */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mutator {
    uint64_t random; /* any start; the same start and input give the same output */
    size_t (*bytes)(uint8_t *data, size_t size, size_t most); /* Return: the new size, at most `most`; 0: no idea */
};

/* Return: the next of a row of random numbers, below `bound` (1 or more). */
size_t mutate_random(struct mutator *mutator, size_t bound);

/* An input that is edited where it stands. */
struct edit {
    uint8_t *bytes;
    size_t size;
    size_t most; /* room at `bytes` */
};

/* Put `length` bytes, which may be part of the input, in the place of `old` bytes at `at`. Return: false, and nothing
 * done, where they do not fit. */
bool mutate_replace(struct edit *edit, size_t at, size_t old, const void *with, size_t length);

/* Let mutator->bytes loose on `old` bytes at `at`, which may grow. Return: false where nothing came of it. */
bool mutate_bytes_at(struct mutator *mutator, struct edit *edit, size_t at, size_t old);

/* Each changes `size` bytes with room for `most`. Return: the new size, 1 to `most`; 0 where nothing came of it. */

/* One control payload: its values, members, escapes, nesting; the text need not be well-formed. */
size_t mutate_json(struct mutator *mutator, uint8_t *text, size_t size, size_t most);
/* A stream of frames: a payload, whose length is put right nine times in ten, or the frames themselves. */
size_t mutate_stream(struct mutator *mutator, uint8_t *stream, size_t size, size_t most);

/* Each puts something of `other` into the edited input, as the above would. Return: false where nothing came of it. */
bool mutate_cross_json(struct mutator *mutator, struct edit *edit, const uint8_t *other, size_t size);
bool mutate_cross_stream(struct mutator *mutator, struct edit *edit, const uint8_t *other, size_t size);

#endif
