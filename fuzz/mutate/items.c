#include "items.h"

#include <string.h>

#define MOST_DEPTH 64

size_t items_skip_space(const uint8_t *text, size_t size, size_t at)
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

bool items_is_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte != '\0' && strchr("+-.E", byte));
}

struct items items_find(const uint8_t *text, size_t size)
{
    struct items items = {.count = 0};
    size_t open[MOST_DEPTH], depth = 0, at = 0;
    size_t name = size; /* where the name stands that the next value has; `size`: none */

    while (at < size && items.count < MOST_ITEMS) {
        const size_t start = name < size ? name : at;
        const uint8_t byte = text[at];
        size_t end = at + 1;

        if (byte == '"') {
            const size_t colon = items_skip_space(text, size, end = skip_string(text, size, at));

            if (colon < size && text[colon] == ':') {
                name = at;
                at = colon + 1;
                continue;
            }
        } else if (items_is_word(byte)) {
            while (end < size && items_is_word(text[end]))
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
