#include "mutate.h"

#include "fuzz.h"

/* splitmix64 */
size_t mutate_random(struct mutator *mutator, size_t bound)
{
    uint64_t mixed = mutator->random += UINT64_C(0x9E3779B97F4A7C15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return (size_t)((mixed ^ mixed >> 31) % bound);
}

bool mutate_replace(struct edit *edit, size_t at, size_t old, const void *with, size_t length)
{
    void *kept;

    if (edit->most - (edit->size - old) < length)
        return false;
    kept = fuzz_copy(with, length);
    memmove(edit->bytes + at + length, edit->bytes + at + old, edit->size - at - old);
    if (length > 0)
        memcpy(edit->bytes + at, kept, length);
    edit->size = edit->size - old + length;
    free(kept);
    return true;
}

bool mutate_bytes_at(struct mutator *mutator, struct edit *edit, size_t at, size_t old)
{
    const size_t room = old + (edit->most - edit->size);
    uint8_t *piece = fuzz_room(room + 1);
    size_t now;
    bool done;

    memcpy(piece, edit->bytes + at, old);
    now = mutator->bytes(piece, old, room);
    done = now > 0 && mutate_replace(edit, at, old, piece, now);
    free(piece);
    return done;
}
