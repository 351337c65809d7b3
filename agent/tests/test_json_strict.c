#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/constants.h"
#include "../wire/json_strict.h"

/* Judge a copy of exactly `length` bytes, so that the sanitizer sees one byte too many. */
static struct json_finding judge(const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    struct json_finding finding;

    assert_non_null(copy);
    memcpy(copy, text, length);
    finding = json_strict(copy, length);
    free(copy);
    return finding;
}

static void assert_good(const char *text, size_t length)
{
    const struct json_finding finding = judge(text, length);

    if (finding.verdict != JSON_GOOD)
        fail_msg("refused at %zu (%s): %.60s", finding.offset, finding.reason, text);
    assert_string_equal(finding.reason, "");
}

static void assert_bad(const char *text, size_t length, enum json_verdict verdict, size_t offset, const char *reason)
{
    const struct json_finding finding = judge(text, length);

    if (finding.verdict != verdict || finding.offset != offset || strstr(finding.reason, reason) == NULL)
        fail_msg("verdict %d at %zu (%s), expected %d at %zu (%s): %.60s", (int)finding.verdict, finding.offset, finding.reason,
                 (int)verdict, offset, reason, text);
}

static const char *const good[] = {
    "{}",
    " \t\r\n{ \t\r\n} \t\r\n",
    "{\"\":null}",
    "{\"a\":true,\"b\":false,\"c\":null}",
    " { \"a\" : [ ] , \"b\" : { } } ",
    "{\"a\":[1,[2,[3]],{\"b\":[]}]}",
    "{\"n\":[0,-0,1,-1,10,1234567890,0.0,-0.0,0.10,1e1,1E1,1e+1,1e-1,1E-10,0e0,-0e5,1.5e10,1e400,-1e-400]}",
    "{\"n\":1e99999999999999999999999999999999}",
    "{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
    "{\"s\":\"\\u0001\\u001f\\u00e9\\uABCD\\uabcd\\uD7FF\\uE000\\uFFFE\\uFFFF\"}",
    "{\"s\":\"\\uD800\\uDC00\\uDBFF\\uDFFF\\ud83d\\ude00\"}",
    "{\"s\":\"\x7F\"}",
    "{\"s\":\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"}",
    "{\"s\":\"\xEF\xBB\xBF\"}",
    "{\"\xC3\xA9\":1}",
    "{\"s\":\"{[,:]}//*\"}",
    "{\"a\":1,\"A\":2,\"b\":{\"a\":3},\"c\":[{\"a\":4},{\"a\":5}]}",
    "{\"a\":1,\"\\\\u0061\":2,\"a \":3,\" a\":4,\"\":5}",
    "{\"\\ud83d\\ude00\":1,\"\\uD83D\\uDE01\":2}",
};

static void accepts_the_profile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_good(good[i], strlen(good[i]));
}

/* Every part of a good payload that stops before its last bracket ends too early, at its end. */
static void refuses_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const size_t whole = (size_t)(strrchr(good[i], '}') - good[i]);

        for (size_t length = 0; length <= whole; length++) {
            const struct json_finding finding = judge(good[i], length);

            assert_int_equal(finding.verdict, JSON_MALFORMED);
            if (strcmp(finding.reason, "invalid UTF-8") == 0) {
                assert_in_range(length - finding.offset, 1, 3); /* inside a sequence */
                continue;
            }
            assert_int_equal(finding.offset, length);
            assert_string_equal(finding.reason, "the payload ends too early");
        }
    }
}

static const struct {
    const char *text;
    size_t offset;
    const char *reason;
} malformed[] = {
    /* not one object */
    {"", 0, "too early"},
    {" ", 1, "too early"},
    {"[]", 0, "object"},
    {"null", 0, "object"},
    {"\"a\"", 0, "object"},
    {"1", 0, "object"},
    {"}", 0, "object"},
    {"\xEF\xBB\xBF{}", 0, "object"},
    {"{}}", 2, "follows"},
    {"{} {}", 3, "follows"},
    {"{},", 2, "follows"},
    {"{}\x0B", 2, "follows"},
    {"{}//", 2, "follows"},
    {"{}\xEF\xBB\xBF", 2, "follows"},
    /* white space */
    {"\x0C{}", 0, "object"},
    {"\x0B{}", 0, "object"},
    {"{\xC2\xA0}", 1, "name"},
    {"{\"a\":\x01" "1}", 5, "value"},
    {"/**/{}", 0, "object"},
    {"{/**/}", 1, "name"},
    {"{\"a\":1/**/}", 6, "comma"},
    /* structure */
    {"{,}", 1, "name"},
    {"{\"a\":1,}", 7, "name"},
    {"{\"a\":1,,\"b\":1}", 7, "name"},
    {"{\"a\" \"b\"}", 5, "colon"},
    {"{\"a\",1}", 4, "colon"},
    {"{\"a\"::1}", 5, "value"},
    {"{\"a\":}", 5, "value"},
    {"{\"a\":,}", 5, "value"},
    {"{a:1}", 1, "name"},
    {"{'a':1}", 1, "name"},
    {"{1:1}", 1, "name"},
    {"{null:1}", 1, "name"},
    {"{\"a\":1 \"b\":2}", 7, "comma"},
    {"{\"a\":1;\"b\":2}", 6, "comma"},
    {"{\"a\":[1,]}", 8, "value"},
    {"{\"a\":[,1]}", 6, "value"},
    {"{\"a\":[1 2]}", 8, "comma"},
    {"{\"a\":[1:2]}", 7, "comma"},
    {"{\"a\":[1}", 7, "comma"},
    {"{\"a\":[}", 6, "value"},
    {"{\"a\":1]", 6, "comma"},
    {"{]", 1, "name"},
    {"{\"a\":[\"b\":1]}", 9, "comma"},
    /* literals */
    {"{\"a\":True}", 5, "value"},
    {"{\"a\":tru}", 8, "true"},
    {"{\"a\":truE}", 8, "true"},
    {"{\"a\":truee}", 9, "comma"},
    {"{\"a\":nul}", 8, "true"},
    {"{\"a\":fals\x65\x65}", 10, "comma"},
    {"{\"a\":NaN}", 5, "value"},
    {"{\"a\":nan}", 6, "true"},
    {"{\"a\":Infinity}", 5, "value"},
    {"{\"a\":-Infinity}", 6, "digit"},
    {"{\"a\":undefined}", 5, "value"},
    /* numbers */
    {"{\"a\":01}", 6, "comma"},
    {"{\"a\":00}", 6, "comma"},
    {"{\"a\":-01}", 7, "comma"},
    {"{\"a\":1.}", 7, "digit"},
    {"{\"a\":.5}", 5, "value"},
    {"{\"a\":-.5}", 6, "digit"},
    {"{\"a\":+1}", 5, "value"},
    {"{\"a\":--1}", 6, "digit"},
    {"{\"a\":-}", 6, "digit"},
    {"{\"a\":1e}", 7, "digit"},
    {"{\"a\":1e+}", 8, "digit"},
    {"{\"a\":1.e1}", 7, "digit"},
    {"{\"a\":1e1.5}", 8, "comma"},
    {"{\"a\":0x1}", 6, "comma"},
    {"{\"a\":1_0}", 6, "comma"},
    {"{\"a\":1f}", 6, "comma"},
    {"{\"a\":\xEF\xBC\x91}", 5, "value"},
    /* strings */
    {"{\"a\":\"\n\"}", 6, "raw control"},
    {"{\"a\":\"\t\"}", 6, "raw control"},
    {"{\"a\":\"\x1F\"}", 6, "raw control"},
    {"{\"\x01\":1}", 2, "raw control"},
    {"{\"a\":\"\\a\"}", 7, "escape"},
    {"{\"a\":\"\\'\"}", 7, "escape"},
    {"{\"a\":\"\\x41\"}", 7, "escape"},
    {"{\"a\":\"\\U0041\"}", 7, "escape"},
    {"{\"a\":\"\\\n\"}", 7, "escape"},
    {"{\"a\":\"\\\xC3\xA9\"}", 7, "escape"},
    {"{\"a\":\"\\u12\"}", 10, "hexadecimal"},
    {"{\"a\":\"\\u12G4\"}", 10, "hexadecimal"},
    {"{\"a\":\"\\uZZZZ\"}", 8, "hexadecimal"},
    {"{\"a\":\"\\u+123\"}", 8, "hexadecimal"},
    {"{\"a\":\"\\u 123\"}", 8, "hexadecimal"},
    {"{\"a\":\"\\u00\xC3\xA9\"}", 10, "hexadecimal"},
    {"{\"a\":'b'}", 5, "value"},
    /* U+0000 */
    {"{\"a\":\"\\u0000\"}", 6, "U+0000"},
    {"{\"a\":\"x\\u0000y\"}", 7, "U+0000"},
    {"{\"\\u0000\":1}", 2, "U+0000"},
    /* surrogates */
    {"{\"a\":\"\\uD800\"}", 6, "surrogate"},
    {"{\"a\":\"\\uDBFF\"}", 6, "surrogate"},
    {"{\"a\":\"\\uDC00\"}", 6, "surrogate"},
    {"{\"a\":\"\\uDFFF\"}", 6, "surrogate"},
    {"{\"a\":\"x\\uD800y\"}", 7, "surrogate"},
    {"{\"a\":\"\\uDC00\\uD800\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800\\uD800\\uDC00\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800\\u0041\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800\\u0000\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800\\uE000\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800\\n\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800uDC00\"}", 6, "surrogate"},
    {"{\"a\":\"\\uD800\\uDC00\\uDC00\"}", 18, "surrogate"},
    {"{\"a\":\"\\uD800\\uDCzz\"}", 16, "hexadecimal"},
    {"{\"\\uD800\":1}", 2, "surrogate"},
    /* UTF-8 */
    {"{\"a\":\"\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC0\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC1\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC2\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC2" "A\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC2\xC0\"}", 6, "UTF-8"},
    {"{\"a\":\"\xE0\x9F\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xE2\x82\"}", 6, "UTF-8"},
    {"{\"a\":\"\xED\xA0\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xED\xBF\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xF0\x8F\xBF\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xF0\x90\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xF4\x90\x80\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xF5\x80\x80\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xF8\x88\x80\x80\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xFF\"}", 6, "UTF-8"},
    {"{\"ok\xFE\":1}", 4, "UTF-8"},
    {"{\"a\":\"\xE2\x82", 6, "UTF-8"},
    /* the first offence from the left */
    {"{\"a\":\"\xFF\\u0000\n", 6, "UTF-8"},
    {"{\"a\":1,\"a\":\"\xFF\"}", 12, "UTF-8"},
    {"{\"a\":1,\"a\":2", 12, "too early"},
    {"{\"a\":1,\"a\":2}x", 13, "follows"},
};

static void refuses_what_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        assert_bad(malformed[i].text, strlen(malformed[i].text), JSON_MALFORMED, malformed[i].offset, malformed[i].reason);
}

static void refuses_raw_nul(void **state)
{
    (void)state;
    assert_bad("{\"a\":\"\0\"}", 9, JSON_MALFORMED, 6, "U+0000");
    assert_bad("{\"\0\":1}", 7, JSON_MALFORMED, 2, "U+0000");
    assert_bad("{\"a\":\"\\\0\"}", 10, JSON_MALFORMED, 7, "escape");
    assert_bad("{\"a\":\"\\u\0\"}", 11, JSON_MALFORMED, 8, "hexadecimal");
    assert_bad("\0{}", 3, JSON_MALFORMED, 0, "object");
    assert_bad("{\0}", 3, JSON_MALFORMED, 1, "name");
    assert_bad("{\"a\":\0}", 7, JSON_MALFORMED, 5, "value");
    assert_bad("{}\0", 3, JSON_MALFORMED, 2, "follows");
}

static void refuses_every_control_character_in_a_string(void **state)
{
    char text[] = "{\"a\":\"?\"}";

    (void)state;
    for (int byte = 0; byte < 0x80; byte++) {
        text[6] = (char)byte;
        if (byte < 0x20 || byte == '"' || byte == '\\')
            assert_int_equal(judge(text, sizeof text - 1).verdict, JSON_MALFORMED);
        else
            assert_good(text, sizeof text - 1);
    }
}

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

/* `opening` nested levels below the outer object, of alternating kinds, then `middle`, then as many closing brackets. */
static char *nested(size_t levels, const char *middle, size_t *opening)
{
    char *text = calloc(1, 32 * levels + strlen(middle) + 64);

    assert_non_null(text);
    strcat(text, "{\"a\":");
    for (size_t i = 1; i < levels; i++)
        strcat(text, i % 2 == 1 ? "[" : "{\"a\":");
    *opening = strlen(text);
    strcat(text, middle);
    for (size_t i = levels - 1; i > 0; i--)
        strcat(text, i % 2 == 1 ? "]" : "}");
    strcat(text, "}");
    return text;
}

static void depth_is_limited(void **state)
{
    size_t opening;
    char *text = nested(LIMIT_JSON_DEPTH, "1", &opening);

    (void)state;
    assert_good(text, strlen(text));
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "[]", &opening);
    assert_bad(text, strlen(text), JSON_TOO_LARGE, opening, "16 levels");
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "{}", &opening);
    assert_bad(text, strlen(text), JSON_TOO_LARGE, opening, "16 levels");
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "[x", &opening); /* too deep before it is malformed */
    assert_bad(text, strlen(text), JSON_TOO_LARGE, opening, "16 levels");
    free(text);
    text = nested(LIMIT_JSON_DEPTH, "x[", &opening); /* and the other way round */
    assert_bad(text, strlen(text), JSON_MALFORMED, opening, "value");
    free(text);
    text = nested(100000, "1", &opening);
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
    static const size_t widths[] = {0, 200};

    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        size_t at;
        char *text = with_names(LIMIT_JSON_VALUES - 1, widths[i], false, &at);

        assert_good(text, strlen(text));
        free(text);
        text = with_names(LIMIT_JSON_VALUES - 1, widths[i], true, &at);
        assert_bad(text, strlen(text), JSON_MALFORMED, at, "duplicate");
        free(text);
        text = with_names(LIMIT_JSON_VALUES, widths[i], true, &at);
        assert_int_equal(judge(text, strlen(text)).verdict, JSON_TOO_LARGE); /* a duplicate is looked for last */
        free(text);
    }
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
    assert_members(" { \"a\" : 1.50e1 , \"b\":\ttrue\r\n, \"c\":null}\n", (const char *const[]){"1.50e1", "true", "null", NULL});
    assert_members("{\"a\":\"x,}\\\"]\",\"b,:{\\\\\":[1,{\"c\":[2]},\"]\"],\"d\":{\"e\":{},\"f\":\"}\"},\"g\":-0}",
                   (const char *const[]){"\"x,}\\\"]\"", "[1,{\"c\":[2]},\"]\"]", "{\"e\":{},\"f\":\"}\"}", "-0", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_profile),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(refuses_raw_nul),
        cmocka_unit_test(refuses_every_control_character_in_a_string),
        cmocka_unit_test(refuses_duplicate_names),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(values_are_limited),
        cmocka_unit_test(every_name_is_compared),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(duplicates_at_the_far_end),
        cmocka_unit_test(numbers_may_be_long),
        cmocka_unit_test(members_are_slices),
    };

    return cmocka_run_group_tests_name("json_strict", tests, NULL, NULL);
}
