/* JSON-DUP, JSON-LIMITS, JSON-ORDER; and the members of what was found good. */
#include "json_judge.h"

#include <stdio.h>

#include "../wire/constants.h"

static const struct {
    const char *text;
    size_t offset;
} duplicates[] = {
    {"{\"a\":1,\"a\":1}", 7},
    {"{\"\":1,\"\":1}", 6},
    {"{ \"a\" : 1 , \"b\" : 2 , \"a\" : 3 }", 22},
    {"{\"a\":1,\"\\u0061\":1}", 7},
    {"{\"\\u0061\":1,\"a\":1}", 12},
    {"{\"\\u00e9\":1,\"\xC3\xA9\":1}", 12},
    {"{\"\xE2\x82\xAC\":1,\"\\u20AC\":1}", 9},
    {"{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":1}", 18},
    {"{\"\\ud83d\\ude00\":1,\"\\uD83D\\uDE00\":1}", 18},
    {"{\"\\uD800\\uDC00\":1,\"\xF0\x90\x80\x80\":1}", 18},
    {"{\"\\uDBFF\\uDFFF\":1,\"\xF4\x8F\xBF\xBF\":1}", 18},
    {"{\"\\uD7FF\\uE000\":1,\"\xED\x9F\xBF\xEE\x80\x80\":1}", 18},
    {"{\"\\n\\t\\r\\b\\f\":1,\"\\u000A\\u0009\\u000d\\u0008\\u000C\":1}", 16},
    {"{\"\\\"\\\\\\/\":1,\"\\u0022\\u005c\\u002F\":1}", 12},
    {"{\"\\/\":1,\"/\":1}", 8},
    {"{\"a\":{\"b\":1,\"b\":2}}", 12},
    {"{\"a\":[0,{\"b\":1,\"c\":[],\"b\":2}]}", 22},
    {"{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1,\"b\":{},\"a\":1}}", 37},
    {"{\"a\":1,\"b\":{\"x\":1,\"x\":2},\"a\":3}", 18}, /* the first from the left */
    {"{\"z\":1,\"y\":1,\"y\":2,\"z\":3}", 13},
    {"{\"b\":1,\"a\":{\"c\":[{}]},\"b\":1}", 22}, /* an object is taken up again */
};

static void refuses_duplicate_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof duplicates / sizeof *duplicates; i++)
        assert_bad(duplicates[i].text, strlen(duplicates[i].text), JSON_MALFORMED, duplicates[i].offset, "duplicate");
}

/* `levels` levels, arrays and objects in turn, with `middle` in the last, which stands at *middle_at. */
static char *nested(size_t levels, const char *middle, size_t *middle_at)
{
    char *text = malloc(6 * levels + strlen(middle) + 1);
    char *at = text;

    assert_non_null(text);
    for (size_t i = 0; i < levels; i++)
        at = stpcpy(at, i % 2 == 0 ? "{\"a\":" : "[");
    *middle_at = (size_t)(at - text);
    at = stpcpy(at, middle);
    for (size_t i = levels; i > 0; i--)
        at = stpcpy(at, i % 2 == 1 ? "}" : "]");
    return text;
}

static void depth_is_limited(void **state)
{
    size_t middle_at;
    char *text = nested(LIMIT_JSON_DEPTH, "1", &middle_at);

    (void)state;
    assert_good(text, strlen(text));
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "[]", &middle_at);
    assert_bad(text, strlen(text), JSON_TOO_LARGE, middle_at, "16 levels");
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "{}", &middle_at);
    assert_bad(text, strlen(text), JSON_TOO_LARGE, middle_at, "16 levels");
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "[x", &middle_at); /* too deep before it is malformed */
    assert_bad(text, strlen(text), JSON_TOO_LARGE, middle_at, "16 levels");
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "x[", &middle_at); /* and the other way round */
    assert_bad(text, strlen(text), JSON_MALFORMED, middle_at, "value");
    free(text);
    text = nested(100000, "1", &middle_at);
    assert_int_equal(judge(text, strlen(text)).verdict, JSON_TOO_LARGE);
    free(text);
    /* levels closed again do not count */
    text = strdup("{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}");
    assert_good(text, strlen(text));
    free(text);
}

/* {"a":[0,0,...]} with `values` values in all, the last one spelled `last`. */
static char *with_values(size_t values, const char *last, size_t *last_at)
{
    char *text = malloc(2 * values + strlen(last) + 16);
    size_t length = 6;

    assert_non_null(text);
    memcpy(text, "{\"a\":[", length);
    for (size_t i = 3; i < values; i++) {
        text[length++] = '0';
        text[length++] = ',';
    }
    *last_at = length;
    strcpy(text + length, last);
    strcat(text, "]}");
    return text;
}

static void values_are_limited(void **state)
{
    static const char *const beginnings[] = {"0", "-x", "\"\xFF", "tru", "nope", "fx", "{}", "[]", "{]"};
    static const char *const others[] = {"x", "]", ",", "}", ":", "+1", ".5", "\x01", "\xFF"};
    size_t at;
    char *text = with_values(LIMIT_JSON_VALUES, "0", &at);

    (void)state;
    assert_good(text, strlen(text));
    free(text);
    text = with_values(LIMIT_JSON_VALUES, "{}", &at);
    assert_good(text, strlen(text));
    free(text);
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        text = with_values(LIMIT_JSON_VALUES + 1, beginnings[i], &at);
        assert_bad(text, strlen(text), JSON_TOO_LARGE, at, "4096 values");
        free(text);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        text = with_values(LIMIT_JSON_VALUES + 1, others[i], &at);
        assert_bad(text, strlen(text), JSON_MALFORMED, at, "value");
        free(text);
    }
    text = with_values(LIMIT_JSON_VALUES + 1, "", &at); /* the payload ends where the value should begin */
    assert_bad(text, at, JSON_MALFORMED, at, "too early");
    free(text);
}

/* {"name000001":0,...} with `names` names of `width` leading 'x'; `again` repeats the first one at the end. */
static char *with_names(size_t names, size_t width, bool again, size_t *last_at)
{
    char *text = malloc(names * (width + 32) + 32);
    size_t length = 1;

    assert_non_null(text);
    text[0] = '{';
    for (size_t i = 0; i < names; i++) {
        const size_t number = again && i == names - 1 ? 0 : i;

        *last_at = length;
        text[length++] = '"';
        memset(text + length, 'x', width);
        length += width;
        length += (size_t)sprintf(text + length, i % 2 == 0 ? "%06zu\":0," : "\\u003%zu%05zu\":0,",
                                  i % 2 == 0 ? number : number / 100000, number % 100000);
    }
    text[length - 1] = '}';
    text[length] = '\0';
    return text;
}

static void every_name_is_compared(void **state)
{
    static const size_t counts[] = {2, 3, 63, 64, 65, 66, LIMIT_JSON_VALUES - 1};
    static const size_t widths[] = {0, 200};
    size_t at;
    char *text;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
        text = with_names(counts[i / 2], widths[i % 2], false, &at);
        assert_good(text, strlen(text));
        free(text);
        text = with_names(counts[i / 2], widths[i % 2], true, &at);
        assert_bad(text, strlen(text), JSON_MALFORMED, at, "duplicate");
        free(text);
    }
    text = with_names(LIMIT_JSON_VALUES, 0, true, &at);
    assert_int_equal(judge(text, strlen(text)).verdict, JSON_TOO_LARGE); /* a duplicate is looked for last */
    free(text);
}

static void size_is_limited(void **state)
{
    char *text = malloc(LIMIT_CONTROL_PAYLOAD + 1);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', LIMIT_CONTROL_PAYLOAD + 1);
    memcpy(text + LIMIT_CONTROL_PAYLOAD - 2, "{}", 2);
    assert_good(text, LIMIT_CONTROL_PAYLOAD);
    assert_bad(text, LIMIT_CONTROL_PAYLOAD - 1, JSON_MALFORMED, LIMIT_CONTROL_PAYLOAD - 1, "too early");
    assert_bad(text, LIMIT_CONTROL_PAYLOAD + 1, JSON_TOO_LARGE, LIMIT_CONTROL_PAYLOAD, "1048576");
    text[0] = 'x'; /* size is judged first */
    assert_bad(text, LIMIT_CONTROL_PAYLOAD + 1, JSON_TOO_LARGE, LIMIT_CONTROL_PAYLOAD, "1048576");
    assert_bad(text, LIMIT_CONTROL_PAYLOAD, JSON_MALFORMED, 0, "object");
    free(text);
    assert_int_equal(json_strict(NULL, SIZE_MAX).verdict, JSON_TOO_LARGE);
}

/* The names that stand last in the largest payload keep their offsets. */
static void duplicates_at_the_far_end(void **state)
{
    static const char tail[] = "\"q\":1,\"q\":1}";
    char *text = malloc(LIMIT_CONTROL_PAYLOAD);
    const size_t start = LIMIT_CONTROL_PAYLOAD - strlen(tail);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', start);
    text[0] = '{';
    memcpy(text + start, tail, strlen(tail));
    assert_bad(text, LIMIT_CONTROL_PAYLOAD, JSON_MALFORMED, start + 6, "duplicate");
    free(text);
}

static void numbers_may_be_long(void **state)
{
    const size_t digits = 1000000;
    char *text = malloc(digits + 16);

    (void)state;
    assert_non_null(text);
    strcpy(text, "{\"a\":");
    memset(text + 5, '7', digits);
    strcpy(text + 5 + digits, "}");
    assert_good(text, strlen(text));
    free(text);
}

static void assert_members(const char *text, const char *const values[])
{
    const size_t length = strlen(text);
    char *copy = malloc(length);
    struct json_members members;
    struct json_slice slice;

    assert_non_null(copy);
    memcpy(copy, text, length);
    members = json_members_of((struct json_slice){.start = copy, .length = length});
    for (; *values != NULL; values++) {
        assert_true(json_members_next(&members, &slice));
        assert_int_equal(slice.length, strlen(*values));
        assert_memory_equal(slice.start, *values, slice.length);
    }
    assert_false(json_members_next(&members, &slice));
    assert_false(json_members_next(&members, &slice));
    free(copy);
}

static void members_are_slices(void **state)
{
    (void)state;
    assert_members("{}", (const char *const[]){NULL});
    assert_members(" \n{ \t} ", (const char *const[]){NULL});
    assert_members("{\"a\":1}", (const char *const[]){"1", NULL});
    assert_members(" { \"a\" : 1.50e1 , \"b\":\ttrue\r\n, \"c\":null}\n",
                   (const char *const[]){"1.50e1", "true", "null", NULL});
    assert_members(
        "{\"a\":\"x,}\\\"]\",\"b,:{\\\\\":[1,{\"c\":[2]},\"]\"],\"d\":{\"e\":{},\"f\":\"}\"},\"g\":-0}",
        (const char *const[]){"\"x,}\\\"]\"", "[1,{\"c\":[2]},\"]\"]", "{\"e\":{},\"f\":\"}\"}", "-0", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_duplicate_names), cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(values_are_limited),      cmocka_unit_test(every_name_is_compared),
        cmocka_unit_test(size_is_limited),         cmocka_unit_test(duplicates_at_the_far_end),
        cmocka_unit_test(numbers_may_be_long),     cmocka_unit_test(members_are_slices),
    };

    return cmocka_run_group_tests_name("json_limits", tests, NULL, NULL);
}
