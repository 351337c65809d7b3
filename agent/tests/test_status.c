#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../host/status.h"

static void expect_string(const char *string, const char *json)
{
    char shown[64];
    struct text text = text_in(shown, sizeof shown);

    status_add_string(&text, string);
    assert_string_equal(shown, json);
}

static void escapes_strings(void **state)
{
    (void)state;
    expect_string("", "\"\"");
    expect_string("unix:/run/a b", "\"unix:/run/a b\"");
    expect_string("\"\\\n\x7f", "\"\\u0022\\u005c\\u000a\\u007f\"");
    expect_string("\xc3\xa4", "\"\xc3\xa4\"");
    expect_string("a\xff\xc3", "\"a??\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
