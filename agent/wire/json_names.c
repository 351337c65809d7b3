/* JSON-DUP: all names of a text, sorted by object and by what they spell, so that equal ones are neighbours. Sorting
 * keeps the cost of names made to collide at n log n, and a name fits 32 bits, so that the heap is not needed. */
#include "json_walk.h"

#include "constants.h"
#include "utf8.h"

/* A name: its object's number, from the left, above the offset of its opening quote. */
#define OFFSET_BITS 20
#define OFFSET_MASK ((1U << OFFSET_BITS) - 1)
_Static_assert(LIMIT_CONTROL_PAYLOAD - 1 <= OFFSET_MASK, "an offset fits its bits");
_Static_assert(LIMIT_JSON_VALUES - 1 <= UINT32_MAX >> OFFSET_BITS, "an object's number fits its bits");

/* More names than this take a larger array, so that the usual request does not grow the stack. */
#define FEW 64

static uint32_t hex4(const char *digits)
{
    uint32_t unit = 0;

    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)json_hex(digits[i]);
    return unit;
}

/* *at is the backslash. Return: the code point; *at is moved behind the escape, or the pair of escapes. */
static uint32_t unescape(const char **at)
{
    static const char letters[] = "b\bf\fn\nr\rt\t";
    const char letter = (*at)[1];

    if (letter == 'u') {
        uint32_t point = hex4(*at + 2);

        *at += 6;
        if (point >= 0xD800 && point <= 0xDBFF) {
            point = 0x10000 + ((point - 0xD800) << 10) + (hex4(*at + 2) - 0xDC00);
            *at += 6;
        }
        return point;
    }
    *at += 2;
    for (size_t i = 0; letters[i] != '\0'; i += 2)
        if (letters[i] == letter)
            return (unsigned char)letters[i + 1];
    return (unsigned char)letter;
}

/* Return: the next code point of a string, 0 at its closing quote (JSON-NUL: no name holds U+0000). */
static uint32_t next_point(const char **at, const char *end)
{
    uint32_t point = 0;

    if (**at == '"')
        return 0;
    if (**at == '\\')
        return unescape(at);
    *at += utf8_decode(*at, (size_t)(end - *at), &point);
    return point;
}

struct source {
    const char *text, *end;
};

static int compare_spelling(const struct source *source, uint32_t left, uint32_t right)
{
    const char *a = source->text + (left & OFFSET_MASK) + 1;
    const char *b = source->text + (right & OFFSET_MASK) + 1;
    uint32_t from_a, from_b;

    do {
        from_a = next_point(&a, source->end);
        from_b = next_point(&b, source->end);
    } while (from_a == from_b && from_a != 0);
    return (from_a > from_b) - (from_a < from_b);
}

static bool is_before(const struct source *source, uint32_t left, uint32_t right)
{
    const int spelling = left >> OFFSET_BITS == right >> OFFSET_BITS ? compare_spelling(source, left, right) : 0;

    return spelling != 0 ? spelling < 0 : left < right;
}

static void swap(uint32_t *left, uint32_t *right)
{
    const uint32_t kept = *left;

    *left = *right;
    *right = kept;
}

/* Let names[at] sink until none below it comes later. */
static void sink(const struct source *source, uint32_t *names, size_t at, size_t count)
{
    size_t below;

    for (; (below = 2 * at + 1) < count; at = below) {
        if (below + 1 < count && is_before(source, names[below], names[below + 1]))
            below++;
        if (!is_before(source, names[at], names[below]))
            return;
        swap(&names[at], &names[below]);
    }
}

/* Heapsort: libc's qsort_r() does no better here and is ten times as long. */
static void sort(const struct source *source, uint32_t *names, size_t count)
{
    for (size_t at = count / 2; at-- > 0;)
        sink(source, names, at, count);
    while (count-- > 1) {
        swap(&names[0], &names[count]);
        sink(source, names, 0, count);
    }
}

/* Return: how many names there are; the first of them, as many as there is room for, are in `names`. */
static size_t collect(const struct source *source, uint32_t *names, size_t room)
{
    uint32_t open[LIMIT_JSON_DEPTH + 1] = {0}; /* the number of the object open at each level */
    uint32_t objects = 0;
    size_t depth = 0, count = 0;
    const char *at = source->text;

    while (at < source->end) {
        if (*at == '"') {
            const char *after = json_skip_string(at, source->end);
            const char *colon = json_skip_space(after, source->end);

            if (colon < source->end && *colon == ':' && count++ < room)
                names[count - 1] = open[depth] << OFFSET_BITS | (uint32_t)(at - source->text);
            at = after;
            continue;
        }
        if ((*at == '{' || *at == '[') && depth < LIMIT_JSON_DEPTH)
            open[++depth] = *at == '{' ? objects++ : 0;
        else if ((*at == '}' || *at == ']') && depth > 0)
            depth--;
        at++;
    }
    return count;
}

static bool find(struct source *source, uint32_t *names, size_t count, size_t *offset)
{
    bool found = false;

    sort(source, names, count);
    for (size_t i = 1; i < count; i++) {
        const size_t later = names[i] & OFFSET_MASK;

        if (names[i - 1] >> OFFSET_BITS != names[i] >> OFFSET_BITS ||
            compare_spelling(source, names[i - 1], names[i]) != 0)
            continue;
        if (!found || later < *offset)
            *offset = later;
        found = true;
    }
    return found;
}

static bool __attribute__((noinline)) find_among_many(struct source *source, size_t *offset)
{
    uint32_t names[LIMIT_JSON_VALUES]; /* every name has a value */

    return find(source, names, collect(source, names, LIMIT_JSON_VALUES), offset);
}

bool json_find_duplicate(const char *text, size_t length, size_t *offset)
{
    uint32_t names[FEW];
    struct source source = {.text = text, .end = text + length};
    const size_t count = collect(&source, names, FEW);

    return count <= FEW ? find(&source, names, count, offset) : find_among_many(&source, offset);
}
