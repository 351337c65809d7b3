#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/error.h"

static void names_every_code(void **state)
{
    static const char *const names[] = {
        "",
        "malformed",
        "too_large",
        "unsupported_version",
        "unknown_op",
        "invalid_argument",
        "spawn_failed",
        "not_found",
        "permission_denied",
        "is_directory",
        "not_regular_file",
        "no_space",
        "size_mismatch",
        "unexpected_frame",
        "io_error",
        "internal",
    };

    (void)state;
    assert_int_equal(WIRE_INTERNAL + 1, sizeof names / sizeof *names);
    for (unsigned code = 0; code < sizeof names / sizeof *names; code++)
        assert_string_equal(wire_code_name((enum wire_code)code), names[code]);
}

static void maps_errno(void **state)
{
    static const struct {
        int err;
        enum wire_code code;
    } table[] = {
        {ENOENT, WIRE_NOT_FOUND},
        {ENOTDIR, WIRE_NOT_FOUND},
        {ELOOP, WIRE_NOT_FOUND},
        {EACCES, WIRE_PERMISSION_DENIED},
        {EPERM, WIRE_PERMISSION_DENIED},
        {EROFS, WIRE_PERMISSION_DENIED},
        {EISDIR, WIRE_IS_DIRECTORY},
        {ENOSPC, WIRE_NO_SPACE},
        {EDQUOT, WIRE_NO_SPACE},
        {EFBIG, WIRE_NO_SPACE},
        {ENAMETOOLONG, WIRE_INVALID_ARGUMENT},
        {EIO, WIRE_IO_ERROR},
        {EINVAL, WIRE_IO_ERROR},
        {0, WIRE_IO_ERROR},
        {99999, WIRE_IO_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(wire_code_from_errno(table[i].err), table[i].code);
}

static void keeps_the_first(void **state)
{
    struct wire_error error = {.code = WIRE_OK};

    (void)state;
    assert_false(wire_fail(&error, WIRE_NOT_FOUND, "no ", "such ", "thing", NULL));
    assert_false(wire_fail(&error, WIRE_INTERNAL, "later", NULL));
    assert_false(wire_fail_errno(&error, EIO, "later"));
    assert_int_equal(error.code, WIRE_NOT_FOUND);
    assert_string_equal(error.text, "no such thing");
}

static void takes_no_string_at_all(void **state)
{
    struct wire_error error = {.code = WIRE_OK, .text = "left over"};

    (void)state;
    wire_fail(&error, WIRE_INTERNAL, NULL);
    assert_string_equal(error.text, "");
}

static void cuts_a_long_text(void **state)
{
    struct wire_error error = {.code = WIRE_OK};
    char longer[sizeof error.text + 100];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    wire_fail(&error, WIRE_INTERNAL, "a", longer, "b", NULL);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(error.text[sizeof error.text - 2], 'x');
}

static void says_why_a_call_failed(void **state)
{
    struct wire_error error = {.code = WIRE_OK};

    (void)state;
    assert_false(wire_fail_errno(&error, ENOENT, "/a/b"));
    assert_int_equal(error.code, WIRE_NOT_FOUND);
    assert_string_equal(error.text, "/a/b: No such file or directory");
}

static void a_long_subject_does_not_hide_the_reason(void **state)
{
    struct wire_error error = {.code = WIRE_OK};
    char path[4096];
    const char *end = "x...: Permission denied";

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    wire_fail_errno(&error, EACCES, path);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_string_equal(error.text + strlen(error.text) - strlen(end), end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_code),
        cmocka_unit_test(maps_errno),
        cmocka_unit_test(keeps_the_first),
        cmocka_unit_test(takes_no_string_at_all),
        cmocka_unit_test(cuts_a_long_text),
        cmocka_unit_test(says_why_a_call_failed),
        cmocka_unit_test(a_long_subject_does_not_hide_the_reason),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
