#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../host/status.h"

static void is_shown_as(const char *string, const char *json)
{
    char shown[64];
    struct text text = text_in(shown, sizeof shown);

    status_add_string(&text, string);
    assert_string_equal(shown, json);
}

static void escapes_strings(void **state)
{
    (void)state;
    is_shown_as("", "\"\"");
    is_shown_as("unix:/run/a b", "\"unix:/run/a b\"");
    is_shown_as("\"\\\n\x7f", "\"\\u0022\\u005c\\u000a\\u007f\"");
    is_shown_as("\xc3\xa4", "\"\xc3\xa4\"");
    is_shown_as("a\xff\xc3", "\"a??\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
