/* JSON-PROFILE, JSON-NUL: what a control payload may look like. */
#include "json_judge.h"

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
    {"{\"a\":\x01"
     "1}",
     5, "value"},
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
    {"{\"a\":\"\\uD800\\uDCzz\x01\"}", 16, "hexadecimal"},
    {"{\"a\":\"\\uDC00\\uDC00\"}", 6, "surrogate"},
    {"{\"\\uD800\":1}", 2, "surrogate"},
    /* UTF-8 */
    {"{\"a\":\"\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC0\x80\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC1\xBF\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC2\"}", 6, "UTF-8"},
    {"{\"a\":\"\xC2"
     "A\"}",
     6, "UTF-8"},
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
        assert_bad(malformed[i].text, strlen(malformed[i].text), JSON_MALFORMED, malformed[i].offset,
                   malformed[i].reason);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_profile),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(refuses_raw_nul),
        cmocka_unit_test(refuses_every_control_character_in_a_string),
    };

    return cmocka_run_group_tests_name("json_strict", tests, NULL, NULL);
}
