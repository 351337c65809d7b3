/* What the tests of the JSON validator share. */
#ifndef TESTS_JSON_JUDGE_H
#define TESTS_JSON_JUDGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/json_strict.h"

/* Judge a copy of exactly `length` bytes, so that the sanitizer sees one byte too many. */
static inline struct json_finding judge(const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    struct json_finding finding;

    assert_non_null(copy);
    memcpy(copy, text, length);
    finding = json_strict(copy, length);
    free(copy);
    return finding;
}

static inline void assert_good(const char *text, size_t length)
{
    const struct json_finding finding = judge(text, length);

    if (finding.verdict != JSON_GOOD)
        fail_msg("refused at %zu (%s): %.60s", finding.offset, finding.reason, text);
    assert_string_equal(finding.reason, "");
}

static inline void assert_bad(const char *text, size_t length, enum json_verdict verdict, size_t offset,
                              const char *reason)
{
    const struct json_finding finding = judge(text, length);

    if (finding.verdict != verdict || finding.offset != offset || strstr(finding.reason, reason) == NULL)
        fail_msg("verdict %d at %zu (%s), expected %d at %zu (%s): %.60s", (int)finding.verdict, finding.offset,
                 finding.reason, (int)verdict, offset, reason, text);
}

#endif
