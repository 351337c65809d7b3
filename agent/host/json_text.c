#include "host/json_text.h"

#include <string.h>

#include "guest/clock.h"
#include "wire/utf8.h"

#define LONGEST_ESCAPE 6 /* \u001f; U+FFFD has three bytes */

static void add_ascii(struct text *json, char byte)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char number = (unsigned char)byte;
    const char escape[] = {'\\', 'u', '0', '0', hex[number >> 4], hex[number & 15U]};

    if (number < ' ' || number == 0x7F) {
        text_add_bytes(json, escape, sizeof escape);
        return;
    }
    if (byte == '"' || byte == '\\')
        text_add(json, "\\");
    text_add_bytes(json, &byte, 1);
}

void json_add_string(struct text *json, const char *string)
{
    const size_t length = strlen(string);

    text_add(json, "\"");
    for (size_t at = 0; at < length;) {
        uint32_t point;
        const size_t width = utf8_decode(string + at, length - at, &point);

        if (width == 0)
            text_add(json, "\xEF\xBF\xBD");
        else if (width == 1)
            add_ascii(json, string[at]);
        else
            text_add_bytes(json, string + at, width);
        at += width > 0 ? width : 1;
    }
    text_add(json, "\"");
}

size_t json_string_room(const char *string)
{
    return LONGEST_ESCAPE * strlen(string) + 2;
}

void json_add_seconds(struct text *json, int64_t span)
{
    const int64_t thousandths = span / CLOCK_MILLISECOND;
    const char places[] = {'.', (char)('0' + thousandths / 100 % 10), (char)('0' + thousandths / 10 % 10),
                           (char)('0' + thousandths % 10)};

    text_add_int(json, thousandths / 1000);
    text_add_bytes(json, places, sizeof places);
}
