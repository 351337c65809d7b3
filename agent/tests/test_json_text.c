#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../guest/clock.h"
#include "../host/json_text.h"
#include "../host/shown.h"
#include "../wire/json_strict.h"

static void is(const char *string, const char *expected)
{
    const size_t room = json_string_room(string) + 1;
    char *buffer = malloc(room);
    struct text text;

    assert_non_null(buffer);
    text = text_in(buffer, room);
    json_add_string(&text, string);
    assert_false(text.cut);
    assert_string_equal(buffer, expected);
    free(buffer);
}

static void escapes(void **state)
{
    (void)state;
    is("", "\"\"");
    is("a \"b\" \\ /", "\"a \\\"b\\\" \\\\ /\"");
    is("\x01\n\x1F\x7F", "\"\\u0001\\u000a\\u001f\\u007f\"");
    is("caf\xC3\xA9 \xF0\x9F\x98\x80", "\"caf\xC3\xA9 \xF0\x9F\x98\x80\"");
}

static void replaces_what_is_no_utf8(void **state)
{
    (void)state;
    is("a\xFFz", "\"a\xEF\xBF\xBDz\"");
    is("\xC3", "\"\xEF\xBF\xBD\"");
    is("\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""); /* a surrogate */
    is("\xC0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");                 /* overlong */
}

/* Every string of two bytes is a good JSON string. */
static void is_always_good_json(void **state)
{
    (void)state;
    for (unsigned first = 1; first < 256; first++)
        for (unsigned second = 1; second < 256; second++) {
            const char string[] = {(char)first, (char)second, '\0'};
            char buffer[64];
            struct text text = text_in(buffer, sizeof buffer);

            text_add(&text, "{\"x\":");
            json_add_string(&text, string);
            text_add(&text, "}");
            assert_int_equal(json_strict(buffer, text.length).verdict, JSON_GOOD);
        }
}

static void prints_seconds(void **state)
{
    static const struct {
        int64_t span;
        const char *text;
    } table[] = {
        {0, "0.000"},
        {999999, "0.000"},
        {CLOCK_MILLISECOND, "0.001"},
        {12 * CLOCK_SECOND + 345678901, "12.345"},
        {60 * CLOCK_SECOND, "60.000"},
        {CLOCK_SECOND / 20, "0.050"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char buffer[32];
        struct text text = text_in(buffer, sizeof buffer);

        json_add_seconds(&text, table[i].span);
        assert_string_equal(buffer, table[i].text);
    }
}

static void shows_foreign_bytes(void **state)
{
    char buffer[64];
    struct text text = text_in(buffer, sizeof buffer);

    (void)state;
    shown_add(&text, "ok\0\x1B[2J\"\\\xE9\r\n", 11);
    assert_string_equal(buffer, "ok\\x00\\x1b[2J\\x22\\x5c\\xe9\\x0d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(replaces_what_is_no_utf8),
        cmocka_unit_test(is_always_good_json),
        cmocka_unit_test(prints_seconds),
        cmocka_unit_test(shows_foreign_bytes),
    };

    return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
