#include "banner.h"

#include "../host/probe_prefix.h"

static void *begin(const void *expected)
{
    struct prefix_match *match = calloc(1, sizeof *match);

    assert_non_null(match);
    match->expected = expected;
    return match;
}

static enum verdict take(void *state, const char *bytes, size_t length, struct text *why)
{
    return prefix_match_take(state, bytes, length, why);
}

static const struct banner_parser parser = {begin, take, free};

static void matches(void **state)
{
    (void)state;
    banner_is(&parser, "220 ", "220 mail ready\r\n", 16, VERDICT_ACCEPTED, NULL);
    banner_is(&parser, "220 ", "220 ", 4, VERDICT_ACCEPTED, NULL);
    banner_is(&parser, "220 ", "220", 3, VERDICT_MORE, NULL);
    banner_is(&parser, "\xFF", "\xFF", 1, VERDICT_ACCEPTED, NULL);
}

static void refuses_the_first_other_byte(void **state)
{
    (void)state;
    banner_is(&parser, "220 ", "421 ", 4, VERDICT_REFUSED, "from byte 0 on");
    banner_is(&parser, "220 ", "221", 3, VERDICT_REFUSED, "from byte 2 on");
    banner_is(&parser, "220 ", "220\0", 4, VERDICT_REFUSED, "from byte 3 on");
    banner_is(&parser, "ab", " ab", 3, VERDICT_REFUSED, "from byte 0 on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(refuses_the_first_other_byte),
    };

    return cmocka_run_group_tests_name("probe_prefix", tests, NULL, NULL);
}
