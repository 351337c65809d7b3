#include "host/hybrid.h"

#include <string.h>

#include "wire/text.h"

enum dial_line hybrid_read_request(const char *bytes, size_t length, uint32_t port, size_t *used)
{
    char wanted[DIAL_HYBRID_LINE];
    struct text text = text_in(wanted, sizeof wanted);

    text_add(&text, "CONNECT ");
    text_add_int(&text, port);
    text_add(&text, "\n");
    if (memcmp(bytes, wanted, length < text.length ? length : text.length) != 0)
        return DIAL_LINE_BAD;
    *used = text.length;
    return length < text.length ? DIAL_LINE_MORE : DIAL_LINE_OK;
}
