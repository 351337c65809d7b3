#include "utf8.h"

size_t utf8_decode(const char *bytes, size_t available, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: below it the form is overlong */
    uint32_t first, value;
    size_t length;

    if (available == 0)
        return 0;
    first = (unsigned char)bytes[0];
    if (first < 0x80) {
        *point = first;
        return 1;
    }
    if (first < 0xC2 || first > 0xF4)
        return 0;
    length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (available < length)
        return 0;
    value = first & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        const uint32_t next = (unsigned char)bytes[i];

        if ((next & 0xC0U) != 0x80U)
            return 0;
        value = value << 6 | (next & 0x3FU);
    }
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *point = value;
    return length;
}
