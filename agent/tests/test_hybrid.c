#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../host/dial.h"
#include "../host/hybrid.h"

/* The bytes end with the heap block, so that the sanitizer sees one byte too many. */
static enum dial_line judge(const char *bytes, size_t length, size_t *used)
{
    char *copy = malloc(length > 0 ? length : 1);
    enum dial_line verdict;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    verdict = dial_read_answer(copy, length, used);
    free(copy);
    return verdict;
}

static void takes_a_line_in_any_pieces(void **state)
{
    static const char answer[] = "OK 1073741824\nrest";
    const size_t line = strlen("OK 1073741824\n");
    size_t used = 0;

    (void)state;
    for (size_t length = 0; length < line; length++)
        assert_int_equal(judge(answer, length, &used), DIAL_LINE_MORE);
    for (size_t length = line; length < sizeof answer; length++) {
        assert_int_equal(judge(answer, length, &used), DIAL_LINE_OK);
        assert_int_equal(used, line);
    }
}

static void refuses_at_the_first_other_byte(void **state)
{
    static const char *const bad[] = {"KO", "\n", "ok 1\n", "OK\n", "OK\t1\n", " OK 1\n", "ERR", "O\n"};
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (judge(bad[i], strlen(bad[i]), &used) != DIAL_LINE_BAD)
            fail_msg("not refused: %s", bad[i]);
    assert_int_equal(judge("OK\0\n", 4, &used), DIAL_LINE_BAD);
    assert_int_equal(judge("OK \n", 4, &used), DIAL_LINE_OK);
}

/* BRIDGE-HYBRID: 64 bytes with the line's end. */
static void bounds_the_line(void **state)
{
    char line[DIAL_HYBRID_LINE + 2];
    size_t used = 0;

    (void)state;
    memset(line, '1', sizeof line);
    memcpy(line, "OK ", 3);
    assert_int_equal(judge(line, DIAL_HYBRID_LINE - 1, &used), DIAL_LINE_MORE);
    assert_int_equal(judge(line, DIAL_HYBRID_LINE, &used), DIAL_LINE_BAD);
    line[DIAL_HYBRID_LINE] = '\n';
    assert_int_equal(judge(line, DIAL_HYBRID_LINE + 1, &used), DIAL_LINE_BAD);
    line[DIAL_HYBRID_LINE - 1] = '\n';
    assert_int_equal(judge(line, DIAL_HYBRID_LINE, &used), DIAL_LINE_OK);
    assert_int_equal(used, DIAL_HYBRID_LINE);
}

/* BRIDGE-ADDRESS: what a client of a hybrid listener has to say first. */
static void reads_a_request(void **state)
{
    static const char *const bad[] = {"CONNECT 56\n",  "CONNECT 5\n",    "connect 55\n",
                                      "CONNECT 055\n", "CONNECT 55\r\n", "\n"};
    static const char request[] = "CONNECT 55\nCONNECT 55\n";
    size_t used = 0;

    (void)state;
    for (size_t length = 0; length < 11; length++)
        assert_int_equal(hybrid_read_request(request, length, 55, &used), DIAL_LINE_MORE);
    for (size_t length = 11; length < sizeof request; length++) {
        assert_int_equal(hybrid_read_request(request, length, 55, &used), DIAL_LINE_OK);
        assert_int_equal(used, 11);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hybrid_read_request(bad[i], strlen(bad[i]), 55, &used) != DIAL_LINE_BAD)
            fail_msg("not refused: %s", bad[i]);
    assert_int_equal(hybrid_read_request("CONNECT 4294967294\n", 19, UINT32_MAX - 1, &used), DIAL_LINE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_line_in_any_pieces),
        cmocka_unit_test(refuses_at_the_first_other_byte),
        cmocka_unit_test(bounds_the_line),
        cmocka_unit_test(reads_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
