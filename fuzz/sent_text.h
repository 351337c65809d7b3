/* ERR-SHAPE and JSON-OUT, from the side of whoever reads a reply. */
#ifndef FUZZ_SENT_TEXT_H
#define FUZZ_SENT_TEXT_H

#include <cJSON.h>

#include "fuzz.h"
#include "wire/utf8.h"

/* The sent text is the given one, with U+FFFD for what is no UTF-8, cut at a character. */
static inline void same_text(const cJSON *sent, const char *given, size_t limit)
{
    const char *at;
    const size_t length = strlen(given);
    size_t from = 0;

    FUZZ_CHECK(cJSON_IsString(sent) && strlen(sent->valuestring) <= limit, "a text within its bound");
    for (at = sent->valuestring; *at != '\0' && from < length;) {
        uint32_t point;
        const size_t good = utf8_decode(given + from, length - from, &point);
        const char *wanted = good > 0 ? given + from : "\xEF\xBF\xBD";
        const size_t width = good > 0 ? good : 3;

        FUZZ_CHECK(strncmp(at, wanted, width) == 0, "the same text");
        at += width;
        from += good > 0 ? good : 1;
    }
    FUZZ_CHECK(*at == '\0' && (from == length || strlen(sent->valuestring) > limit - 4),
               "all of it, as far as it fits");
}

#endif
