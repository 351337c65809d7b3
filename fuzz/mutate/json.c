#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "items.h"
#include "words.h"

#define MOST_WRAPS 20

static bool put(struct edit *edit, size_t at, size_t old, const char *text)
{
    return mutate_replace(edit, at, old, text, strlen(text));
}

/* Mostly one that suits the member's name. */
static bool set_value(struct mutator *mutator, struct edit *edit, struct item item)
{
    const uint8_t *quote = edit->bytes + item.start;
    const uint8_t *close = item.start < item.value ? memchr(quote + 1, '"', item.value - item.start - 1) : NULL;
    const size_t length = close != NULL && mutate_random(mutator, 4) > 0 ? (size_t)(close - quote) - 1 : 0;
    char word[WORD_ROOM];

    return put(edit, item.value, item.end - item.value, words_value(mutator, quote + 1, length, word));
}

/* The item again, before itself: where it is a member, that is JSON-DUP. */
static bool repeat(struct edit *edit, struct item item)
{
    return mutate_replace(edit, item.start, 0, edit->bytes + item.start, item.end - item.start) &&
           put(edit, item.end, 0, ",");
}

static bool drop(struct edit *edit, struct item item)
{
    const size_t comma = items_skip_space(edit->bytes, edit->size, item.end);
    const size_t end = comma < edit->size && edit->bytes[comma] == ',' ? comma + 1 : item.end;

    return put(edit, item.start, end - item.start, "");
}

static bool wrap(struct mutator *mutator, struct edit *edit, struct item item)
{
    const bool object = mutate_random(mutator, 2) == 0;
    bool done = false;

    for (size_t times = 1 + mutate_random(mutator, MOST_WRAPS); times > 0; times--)
        done = put(edit, item.end, 0, object ? "}" : "]") && put(edit, item.value, 0, object ? "{\"a\":" : "[");
    return done;
}

/* One character of a name or string, written as an escape that means the same; or something more in it. */
static bool change_string(struct mutator *mutator, struct edit *edit, struct item item)
{
    const size_t at = item.start + 1 + mutate_random(mutator, item.end - item.start);
    char text[WORD_ROOM];

    if (edit->bytes[item.start] != '"' || at >= item.end)
        return false;
    if (mutate_random(mutator, 3) > 0)
        return put(edit, at, 0, words_fragment(mutator, text));
    if (!items_is_word(edit->bytes[at]) || edit->bytes[at - 1] == '\\')
        return false;
    snprintf(text, sizeof text, mutate_random(mutator, 2) == 0 ? "\\u%04x" : "\\u%04X", edit->bytes[at]);
    return put(edit, at, 1, text);
}

/* A number's neighbour, or the same number written otherwise. */
static bool change_number(struct mutator *mutator, struct edit *edit, struct item item)
{
    static const char *const tails[] = {"0", ".0", "e0", "E-1", "9", "00000000"};
    char digits[20] = "", changed[24];
    const size_t length = item.end - item.value, choice = mutate_random(mutator, 4);

    if (length >= sizeof digits - 1 || strchr("-0123456789", edit->bytes[item.value]) == NULL)
        return false;
    if (choice == 0)
        return put(edit, item.end, 0, tails[mutate_random(mutator, sizeof tails / sizeof *tails)]);
    if (choice == 1)
        return put(edit, item.value, 0, "-");
    memcpy(digits, edit->bytes + item.value, length);
    snprintf(changed, sizeof changed, "%lld", strtoll(digits, NULL, 10) + (choice == 2 ? 1 : -1));
    return put(edit, item.value, length, changed);
}

static bool change_item(struct mutator *mutator, struct edit *edit, const struct items *items, struct item item)
{
    static const char *const spaces[] = {" ", "\t", "\n", "\r", "\f", ",", ":"};
    const struct item other = items->all[mutate_random(mutator, items->count)];
    char member[2 * WORD_ROOM];

    switch (mutate_random(mutator, 13)) {
    case 0:
    case 1:
    case 2:
        return set_value(mutator, edit, item);
    case 3:
        return drop(edit, item);
    case 4:
        return repeat(edit, item);
    case 5:
        return mutate_replace(edit, item.value, item.end - item.value, edit->bytes + other.value,
                              other.end - other.value);
    case 6:
        return put(edit, item.start, 0, words_member(mutator, member));
    case 7:
        return change_string(mutator, edit, item);
    case 8:
        return put(edit, item.value, 0, spaces[mutate_random(mutator, sizeof spaces / sizeof *spaces)]);
    case 9:
        return wrap(mutator, edit, item);
    case 10:
        return change_number(mutator, edit, item);
    default:
        return mutate_bytes_at(mutator, edit, item.value, item.end - item.value);
    }
}

size_t mutate_json(struct mutator *mutator, uint8_t *text, size_t size, size_t most)
{
    struct edit edit = {.bytes = text, .size = size, .most = most};
    const struct items items = items_find(text, size);
    char request[REQUEST_ROOM];

    if (mutate_random(mutator, 10) == 0 && put(&edit, 0, size, words_request(mutator, request)))
        return edit.size;
    if (items.count > 0 && mutate_random(mutator, 10) > 0 &&
        change_item(mutator, &edit, &items, items.all[mutate_random(mutator, items.count)]))
        return edit.size;
    return mutator->bytes(text, edit.size, most);
}

bool mutate_cross_json(struct mutator *mutator, struct edit *edit, const uint8_t *other, size_t size)
{
    const struct items here = items_find(edit->bytes, edit->size), there = items_find(other, size);
    struct item from, to;

    if (here.count == 0 || there.count == 0)
        return false;
    to = here.all[mutate_random(mutator, here.count)];
    from = there.all[mutate_random(mutator, there.count)];
    if (from.start < from.value && to.start < to.value) /* a member for a member */
        return mutate_replace(edit, to.start, to.end - to.start, other + from.start, from.end - from.start);
    return mutate_replace(edit, to.value, to.end - to.value, other + from.value, from.end - from.value);
}
