#include "banner.h"

#include "../host/probe_notice.h"

/* One message, cut in pieces of every size. */
static void is(const char *bytes, size_t length, bool ready)
{
    for (size_t piece = 1; piece <= length + 1; piece++) {
        struct notice notice = {.ready = false};

        for (size_t at = 0; at < length; at += piece) {
            const size_t size = length - at < piece ? length - at : piece;
            char *copy = malloc(size);

            assert_non_null(copy);
            memcpy(copy, bytes + at, size);
            notice_take(&notice, copy, size);
            free(copy);
        }
        if (notice_end(&notice) != ready)
            fail_msg("expected %d: %s", ready, bytes);
    }
}

static void finds_the_line(void **state)
{
    static const char *const messages[] = {"READY=1\n", "READY=1", "STATUS=up\nREADY=1", "READY=0\nREADY=1\nX=y\n",
                                           "\n\nREADY=1\n\n"};

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        is(messages[i], strlen(messages[i]), true);
}

static void passes_others_over(void **state)
{
    static const char *const messages[] = {"",           "\n",         "READY=",     "READY=10",         "READY=1\r\n",
                                           " READY=1\n", "READY=1 \n", "XREADY=1\n", "STATUS=READY=1\n", "ready=1\n",
                                           "STOPPING=1"};

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        is(messages[i], strlen(messages[i]), false);
    is("READY=1\0", 8, false);
    is("READY=1\0\n", 9, false);
    is("\0READY=1\n", 9, false);
}

static void tells_a_whole_line_at_once(void **state)
{
    struct notice notice = {.ready = false};

    (void)state;
    assert_false(notice_take(&notice, "READY=1", 7));
    assert_true(notice_take(&notice, "\n", 1));
    assert_true(notice_take(&notice, "X", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_line),
        cmocka_unit_test(passes_others_over),
        cmocka_unit_test(tells_a_whole_line_at_once),
    };

    return cmocka_run_group_tests_name("probe_notice", tests, NULL, NULL);
}
