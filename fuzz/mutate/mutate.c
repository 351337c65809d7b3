/* The hooks of libFuzzer, which AFL++ knows too, on the mutations of mutate.h. */
#include "mutate.h"

#include "fuzz.h"

/* The engine's: it knows the dictionary. Where it has none, it does not call what is below either. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *out, size_t most, unsigned seed);

/* One mutation in this many takes the whole input for bytes, head and tail too. */
#define SELDOM 12

static struct fuzz_input described(void)
{
    return &fuzz_input != NULL ? fuzz_input : (struct fuzz_input){.form = FUZZ_BYTES};
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    struct mutator mutator = {.random = seed, .bytes = LLVMFuzzerMutate};
    const struct fuzz_input input = described();
    const size_t edges = input.head + input.tail;
    uint8_t *middle = data + input.head;
    size_t (*mutate)(struct mutator *, uint8_t *, size_t, size_t) =
        input.form == FUZZ_STREAM ? mutate_stream : mutate_json;
    size_t now;
    void *tail;

    if (input.form == FUZZ_BYTES || size <= edges || mutate_random(&mutator, SELDOM) == 0)
        return LLVMFuzzerMutate(data, size, most);
    tail = fuzz_copy(data + size - input.tail, input.tail);
    now = mutate(&mutator, middle, size - edges, most - edges);
    if (input.tail > 0)
        memcpy(middle + now, tail, input.tail);
    free(tail);
    return edges + now;
}

/* The first input, with something of the second in it. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *out, size_t most, unsigned seed)
{
    struct mutator mutator = {.random = seed, .bytes = LLVMFuzzerMutate};
    const struct fuzz_input input = described();
    const size_t edges = input.head + input.tail;
    bool (*cross)(struct mutator *, struct edit *, const uint8_t *, size_t) =
        input.form == FUZZ_STREAM ? mutate_cross_stream : mutate_cross_json;
    struct edit edit;

    if (input.form == FUZZ_BYTES || first_size <= edges || second_size <= edges || most < first_size)
        return 0;
    edit = (struct edit){.bytes = out + input.head, .size = first_size - edges, .most = most - edges};
    memcpy(out, first, first_size);
    if (!cross(&mutator, &edit, second + input.head, second_size - edges))
        return 0;
    memcpy(out + input.head + edit.size, first + first_size - input.tail, input.tail);
    return edges + edit.size;
}
