#include "text.h"

#include <string.h>

struct text text_in(char *buffer, size_t capacity)
{
    buffer[0] = '\0';
    return (struct text){.start = buffer, .length = 0, .capacity = capacity, .cut = false};
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0U) == 0x80U;
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    size_t room = text->capacity - 1 - text->length;

    if (text->cut)
        return;
    if (room < length) {
        /* A UTF-8 sequence has at most three continuation bytes. */
        for (unsigned back = 0; back < 3 && room > 0 && is_continuation(bytes[room]); back++)
            room--;
        length = room;
        text->cut = true;
    }
    if (length > 0)
        memcpy(text->start + text->length, bytes, length);
    text->length += length;
    text->start[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_int(struct text *text, int64_t number)
{
    char digits[20]; /* of INT64_MIN: a sign and 19 digits */
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[--at] = '-';
    text_add_bytes(text, digits + at, sizeof digits - at);
}
