#include "host/shown.h"

void shown_add(struct text *text, const char *bytes, size_t length)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        const char escape[] = {'\\', 'x', hex[byte >> 4], hex[byte & 15U]};

        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            text_add_bytes(text, escape, sizeof escape);
        else
            text_add_bytes(text, &bytes[i], 1);
    }
}
