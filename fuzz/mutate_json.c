#include "mutate.h"

#include <string.h>

#include "fuzz.h"

#define MOST_ITEMS 256
#define MOST_DEPTH 64
#define MOST_WRAPS 20

/* A value, with its name where it is a member. */
struct item {
    size_t start, value, end; /* of the name, else of the value; of the value; behind it */
};

struct items {
    struct item all[MOST_ITEMS];
    size_t count;
};

static size_t skip_space(const uint8_t *text, size_t size, size_t at)
{
    while (at < size && strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0')
        at++;
    return at;
}

static size_t skip_string(const uint8_t *text, size_t size, size_t at)
{
    for (at++; at < size && text[at] != '"'; at++)
        at += text[at] == '\\' ? 1 : 0;
    return at < size ? at + 1 : size;
}

static bool is_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte != '\0' && strchr("+-.E", byte));
}

/* Leniently: a text that fuzzing has broken has values all the same. */
static struct items find_items(const uint8_t *text, size_t size)
{
    struct items items = {.count = 0};
    size_t open[MOST_DEPTH], depth = 0, at = 0;
    size_t name = size; /* where the name stands that the next value has; `size`: none */

    while (at < size && items.count < MOST_ITEMS) {
        const size_t start = name < size ? name : at;
        const uint8_t byte = text[at];
        size_t end = at + 1;

        if (byte == '"') {
            const size_t colon = skip_space(text, size, end = skip_string(text, size, at));

            if (colon < size && text[colon] == ':') {
                name = at;
                at = colon + 1;
                continue;
            }
        } else if (is_word(byte)) {
            while (end < size && is_word(text[end]))
                end++;
        } else if (byte == '{' || byte == '[') {
            if (depth < MOST_DEPTH)
                open[depth++] = items.count;
            items.all[items.count++] = (struct item){.start = start, .value = at++, .end = size};
            name = size;
            continue;
        } else {
            if ((byte == '}' || byte == ']') && depth > 0)
                items.all[open[--depth]].end = end;
            at = end;
            continue;
        }
        items.all[items.count++] = (struct item){.start = start, .value = at, .end = end};
        name = size;
        at = end;
    }
    return items;
}

static const char *pick(struct mutator *mutator, const char *const *words, size_t count)
{
    return words[mutate_random(mutator, count)];
}
#define PICK(mutator, words) pick(mutator, words, sizeof(words) / sizeof *(words))

static const char *const values[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1e0",
    "0.5",
    "2",
    "4095",
    "4096",
    "384",
    "9007199254740991",
    "9007199254740992",
    "-9007199254740991",
    "1e308",
    "1e309",
    "5e-324",
    "1e-400",
    "18446744073709551616",
    "\"\"",
    "\"raw\"",
    "\"login\"",
    "\"ping\"",
    "\"run\"",
    "\"put_file\"",
    "\"get_file\"",
    "\"/\"",
    "\"a/b\"",
    "\"..\"",
    "\"=\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "{}",
    "[]",
    "{\"A\":\"b\"}",
    "{\"A\":1,\"B\":-0}",
    "{\"\":1}",
    "{\"A=\":1}",
};
static const char *const names[] = {"v", "op", "cmd", "shell", "timeout", "env", "path", "name", "mode", "size"};

static bool add_member(struct mutator *mutator, struct edit *edit, const struct items *items)
{
    const struct item *item = &items->all[mutate_random(mutator, items->count)];
    char member[64];

    snprintf(member, sizeof member, "\"%s\":%s,", PICK(mutator, names), PICK(mutator, values));
    return mutate_replace(edit, item->start, 0, member, strlen(member));
}

/* The item again, before itself: where it is a member, that is JSON-DUP. */
static bool repeat(struct edit *edit, struct item item)
{
    return mutate_replace(edit, item.start, 0, edit->bytes + item.start, item.end - item.start) &&
           mutate_replace(edit, item.end, 0, ",", 1);
}

static bool drop(struct edit *edit, struct item item)
{
    const size_t comma = skip_space(edit->bytes, edit->size, item.end);
    const size_t end = comma < edit->size && edit->bytes[comma] == ',' ? comma + 1 : item.end;

    return mutate_replace(edit, item.start, end - item.start, "", 0);
}

static bool wrap(struct mutator *mutator, struct edit *edit, struct item item)
{
    const bool object = mutate_random(mutator, 2) == 0;
    const char *opening = object ? "{\"a\":" : "[";
    bool done = false;

    for (size_t times = 1 + mutate_random(mutator, MOST_WRAPS); times > 0; times--)
        done = mutate_replace(edit, item.end, 0, object ? "}" : "]", 1) &&
               mutate_replace(edit, item.value, 0, opening, strlen(opening));
    return done;
}

/* One character of a name or string, written as an escape that means the same. */
static bool escape(struct mutator *mutator, struct edit *edit, struct item item)
{
    const size_t at = item.start + 1 + mutate_random(mutator, item.end - item.start);
    char escaped[7];

    if (edit->bytes[item.start] != '"' || at >= item.end || !is_word(edit->bytes[at]) || edit->bytes[at - 1] == '\\')
        return false;
    snprintf(escaped, sizeof escaped, mutate_random(mutator, 2) == 0 ? "\\u%04x" : "\\u%04X", edit->bytes[at]);
    return mutate_replace(edit, at, 1, escaped, 6);
}

static bool copy_value(struct mutator *mutator, struct edit *edit, const struct items *items, struct item to)
{
    const struct item from = items->all[mutate_random(mutator, items->count)];

    return mutate_replace(edit, to.value, to.end - to.value, edit->bytes + from.value, from.end - from.value);
}

static bool change_item(struct mutator *mutator, struct edit *edit, const struct items *items, struct item item)
{
    static const char *const spaces[] = {" ", "\t", "\n", "\r", "\f", ",", ":"};
    const char *value = PICK(mutator, values);

    switch (mutate_random(mutator, 12)) {
    case 0:
    case 1:
        return mutate_replace(edit, item.value, item.end - item.value, value, strlen(value));
    case 2:
        return drop(edit, item);
    case 3:
        return repeat(edit, item);
    case 4:
        return copy_value(mutator, edit, items, item);
    case 5:
        return add_member(mutator, edit, items);
    case 6:
        return escape(mutator, edit, item);
    case 7:
        return mutate_replace(edit, item.value, 0, PICK(mutator, spaces), 1);
    case 8:
        return wrap(mutator, edit, item);
    default:
        return mutate_bytes_at(mutator, edit, item.value, item.end - item.value);
    }
}

size_t mutate_json(struct mutator *mutator, uint8_t *text, size_t size, size_t most)
{
    struct edit edit = {.bytes = text, .size = size, .most = most};
    const struct items items = find_items(text, size);

    if (items.count > 0 && mutate_random(mutator, 10) > 0 &&
        change_item(mutator, &edit, &items, items.all[mutate_random(mutator, items.count)]))
        return edit.size;
    return mutator->bytes(text, edit.size, most);
}

bool mutate_cross_json(struct mutator *mutator, struct edit *edit, const uint8_t *other, size_t size)
{
    const struct items here = find_items(edit->bytes, edit->size), there = find_items(other, size);
    struct item from, to;

    if (here.count == 0 || there.count == 0)
        return false;
    to = here.all[mutate_random(mutator, here.count)];
    from = there.all[mutate_random(mutator, there.count)];
    if (from.start < from.value && to.start < to.value) /* a member for a member */
        return mutate_replace(edit, to.start, to.end - to.start, other + from.start, from.end - from.start);
    return mutate_replace(edit, to.value, to.end - to.value, other + from.value, from.end - from.value);
}
