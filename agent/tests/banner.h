/* What the tests of the readiness gate's parsers share: a stream fed in pieces of every size. */
#ifndef TESTS_BANNER_H
#define TESTS_BANNER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../host/verdict.h"
#include "../wire/text.h"

/* A parser as a test sees it: `take` and a fresh state, made by `begin` from what the test expects. */
struct banner_parser {
    void *(*begin)(const void *expected); /* to be freed by end() */
    enum verdict (*take)(void *state, const char *bytes, size_t length, struct text *why);
    void (*end)(void *state);
};

/* Feed one piece, copied to a heap block of its exact size: the sanitizer sees one byte too many. */
static inline enum verdict banner_piece(const struct banner_parser *parser, void *state, const char *bytes,
                                        size_t length, struct text *why)
{
    char *copy = malloc(length > 0 ? length : 1);
    enum verdict verdict;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    verdict = parser->take(state, copy, length, why);
    free(copy);
    return verdict;
}

static inline void banner_feed(const struct banner_parser *parser, const void *expected, const char *bytes,
                               size_t length, size_t piece, enum verdict verdict, const char *words)
{
    char reason[256];
    struct text why = text_in(reason, sizeof reason);
    void *state = parser->begin(expected);
    enum verdict last = banner_piece(parser, state, bytes, 0, &why);
    size_t told;

    assert_int_equal(last, VERDICT_MORE);
    for (size_t at = 0; at < length; at += piece)
        last = banner_piece(parser, state, bytes + at, length - at < piece ? length - at : piece, &why);
    if (last != verdict)
        fail_msg("verdict %d (%s), expected %d, in pieces of %zu: %.60s", (int)last, reason, (int)verdict, piece,
                 bytes);
    if (verdict == VERDICT_REFUSED ? strstr(reason, words) == NULL : why.length > 0)
        fail_msg("reason \"%s\", expected \"%s\": %.60s", reason, words, bytes);
    /* A verdict is for good, and its reason is told once. */
    told = why.length;
    if (verdict != VERDICT_MORE) {
        assert_int_equal(banner_piece(parser, state, "SSH-2.0-x\n", 10, &why), verdict);
        assert_int_equal(why.length, told);
    }
    parser->end(state);
}

/* The stream has that verdict however it is cut; `words` stand in the reason of a refusal, else NULL. */
static inline void banner_is(const struct banner_parser *parser, const void *expected, const char *bytes, size_t length,
                             enum verdict verdict, const char *words)
{
    static const size_t pieces[] = {1, 2, 3, 7, 64, 4096, SIZE_MAX / 2};

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        banner_feed(parser, expected, bytes, length, pieces[i], verdict, words);
}

#endif
