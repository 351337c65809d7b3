#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/text.h"

/* A buffer of exactly `capacity` bytes on the heap, so that the sanitizer sees one byte too many. */
static struct text heap_text(size_t capacity)
{
    char *buffer = malloc(capacity);

    assert_non_null(buffer);
    return text_in(buffer, capacity);
}

static void starts_empty(void **state)
{
    struct text text = heap_text(1);

    (void)state;
    assert_string_equal(text.start, "");
    text_add(&text, "");
    assert_false(text.cut);
    text_add(&text, "x");
    assert_true(text.cut);
    assert_string_equal(text.start, "");
    free(text.start);
}

static void concatenates(void **state)
{
    struct text text = heap_text(12);

    (void)state;
    text_add(&text, "abc");
    text_add_bytes(&text, "defgh", 2);
    text_add_int(&text, -42);
    text_add(&text, "xyz");
    assert_string_equal(text.start, "abcde-42xyz");
    assert_int_equal(text.length, 11);
    assert_false(text.cut);
    free(text.start);
}

static void cuts_at_every_capacity(void **state)
{
    static const char whole[] = "0123456789";

    (void)state;
    for (size_t capacity = 1; capacity <= sizeof whole + 1; capacity++) {
        struct text text = heap_text(capacity);
        const size_t kept = capacity - 1 < strlen(whole) ? capacity - 1 : strlen(whole);

        text_add(&text, whole);
        assert_int_equal(text.length, kept);
        assert_int_equal(strlen(text.start), kept);
        assert_memory_equal(text.start, whole, kept);
        assert_int_equal(text.cut, kept < strlen(whole));
        free(text.start);
    }
}

static void cuts_before_a_code_point(void **state)
{
    /* One, two, three and four bytes: boundaries at 0, 1, 3, 6, 10. */
    static const char mixed[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};

    (void)state;
    for (size_t room = 0; room <= 10; room++) {
        struct text text = heap_text(room + 1);

        text_add(&text, mixed);
        assert_int_equal(text.length, kept[room]);
        text_add(&text, "z"); /* nothing slips in behind a cut */
        if (room < 10)
            assert_int_equal(text.length, kept[room]);
        free(text.start);
    }
}

static void cuts_junk_close_to_the_edge(void **state)
{
    struct text text = heap_text(9);

    (void)state;
    text_add(&text, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80");
    assert_int_equal(text.length, 5);
    free(text.start);
}

static void prints_integers(void **state)
{
    static const struct {
        int64_t number;
        const char *text;
    } table[] = {
        {0, "0"},
        {7, "7"},
        {-1, "-1"},
        {10, "10"},
        {-128, "-128"},
        {9007199254740991, "9007199254740991"},
        {-9007199254740991, "-9007199254740991"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct text text = heap_text(strlen(table[i].text) + 1);

        text_add_int(&text, table[i].number);
        assert_string_equal(text.start, table[i].text);
        assert_false(text.cut);
        free(text.start);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(concatenates),
        cmocka_unit_test(cuts_at_every_capacity),
        cmocka_unit_test(cuts_before_a_code_point),
        cmocka_unit_test(cuts_junk_close_to_the_edge),
        cmocka_unit_test(prints_integers),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
