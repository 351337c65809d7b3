#include "host/probe_prefix.h"

enum verdict prefix_match_take(struct prefix_match *match, const char *bytes, size_t length, struct text *why)
{
    for (size_t i = 0; i < length && match->verdict == VERDICT_MORE; i++) {
        if (bytes[i] != match->expected[match->seen]) {
            text_add(why, "not the expected bytes, from byte ");
            text_add_int(why, (int64_t)match->seen);
            text_add(why, " on");
            match->verdict = VERDICT_REFUSED;
        } else if (match->expected[++match->seen] == '\0') {
            match->verdict = VERDICT_ACCEPTED;
        }
    }
    return match->verdict;
}
