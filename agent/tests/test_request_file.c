/* put_file and get_file. */
#include "request_parse.h"

#include <stdio.h>

#include "../wire/constants.h"

#define PUT "{\"op\":\"put_file\",\"path\":\"/x\","

static void refused_put(const char *members, bool drain, const char *words)
{
    char json[400];

    snprintf(json, sizeof json, "{\"op\":\"put_file\",%s}", members);
    refused(json, REQUEST_PUT_FILE, drain, WIRE_INVALID_ARGUMENT, words);
}

static void put_defaults(void **state)
{
    static const char *const spellings[] = {PUT "\"a\":1}", PUT "\"name\":null,\"mode\":null}",
                                            PUT "\"NAME\":\"n\",\"Mode\":1,\"SIZE\":5,\"Path\":5}"};

    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        struct request request = parse_good(spellings[i], REQUEST_PUT_FILE);

        assert_string_equal(request.path, "/x");
        assert_null(request.name);
        assert_int_equal(request.mode, 0600);
        assert_true(request.size == 0);
        request_clear(&request);
    }
}

static void put_reads_its_fields(void **state)
{
    struct request request = parse_good(
        "{\"size\":9007199254740991,\"mode\":4095,\"name\":\"a\\/b\",\"path\":\"caf\\u00e9/..\",\"op\":\"put_file\"}",
        REQUEST_PUT_FILE);

    (void)state;
    assert_string_equal(request.path, "caf\xC3\xA9/..");
    assert_string_equal(request.name, "a/b");
    assert_int_equal(request.mode, 07777);
    assert_true(request.size == 9007199254740991);
    request_clear(&request);
    request = parse_good(PUT "\"name\":\"\",\"mode\":-0,\"size\":-0}", REQUEST_PUT_FILE);
    assert_string_equal(request.name, "");
    assert_int_equal(request.mode, 0);
    assert_true(request.size == 0);
    request_clear(&request);
    request = parse_good(PUT "\"mode\":420,\"size\":4294967296}", REQUEST_PUT_FILE);
    assert_int_equal(request.mode, 0644);
    assert_true(request.size == 4294967296);
    request_clear(&request);
}

static void put_refuses_bad_fields_after_the_upload(void **state)
{
    static const char *const paths[] = {"null", "\"\"", "5", "true", "[\"/x\"]", "{}"};
    static const char *const names[] = {"5", "true", "[]", "{\"a\":1}"};
    static const char *const modes[] = {"-1",    "4096",     "420.0",
                                        "4.2e2", "\"0644\"", "true",
                                        "[]",    "{}",       "9007199254740992",
                                        "1e400", "-4096",    "100000000000000000000"};
    char members[200];

    (void)state;
    refused_put("\"size\":3", true, "path");
    refused_put("\"a\":1", true, "path");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(members, sizeof members, "\"size\":3,\"path\":%s", paths[i]);
        refused_put(members, true, "path");
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(members, sizeof members, "\"path\":\"/x\",\"size\":3,\"name\":%s", names[i]);
        refused_put(members, true, "name");
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        snprintf(members, sizeof members, "\"path\":\"/x\",\"size\":3,\"mode\":%s", modes[i]);
        refused_put(members, true, "mode");
    }
}

static void put_knows_how_much_to_drain(void **state)
{
    struct request request = parse("{\"op\":\"put_file\",\"size\":70000}");

    (void)state;
    assert_true(request.drain);
    assert_true(request.size == 70000);
    request_clear(&request);
}

static void put_refuses_a_bad_size_at_once(void **state)
{
    static const char *const sizes[] = {"-1",
                                        "null",
                                        "1.0",
                                        "1e0",
                                        "\"1\"",
                                        "true",
                                        "false",
                                        "[]",
                                        "{}",
                                        "9007199254740992",
                                        "10000000000000000",
                                        "18446744073709551616",
                                        "-9007199254740991",
                                        "0.5",
                                        "1e400",
                                        "-0.0",
                                        "\"\""};
    char members[200];

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(members, sizeof members, "\"path\":\"/x\",\"size\":%s", sizes[i]);
        refused_put(members, false, "size");
        snprintf(members, sizeof members, "\"path\":\"/x\",\"mode\":-1,\"size\":%s", sizes[i]);
        refused_put(members, false, "mode"); /* the first error found */
    }
}

static void put_answers_the_first_bad_field(void **state)
{
    (void)state;
    refused_put("\"mode\":-1,\"name\":5,\"path\":5", true, "path");
    refused_put("\"mode\":-1,\"name\":5,\"path\":\"/x\"", true, "name");
    refused_put("\"mode\":-1,\"path\":\"/x\"", true, "mode");
    refused_put("\"size\":-1,\"mode\":-1,\"name\":5,\"path\":5", false, "path");
}

static void get_reads_its_path(void **state)
{
    static const char *const bad[] = {"\"a\":1",    "\"PATH\":\"/x\"", "\"path\":null", "\"path\":\"\"",
                                      "\"path\":5", "\"path\":[]",     "\"path\":{}",   "\"path\":false"};
    struct request request =
        parse_good("{\"op\":\"get_file\",\"path\":\"a b\",\"size\":-1,\"mode\":\"x\"}", REQUEST_GET_FILE);

    (void)state;
    assert_string_equal(request.path, "a b");
    request_clear(&request);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char json[200];

        snprintf(json, sizeof json, "{\"op\":\"get_file\",%s}", bad[i]);
        refused(json, REQUEST_GET_FILE, false, WIRE_INVALID_ARGUMENT, "path");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_defaults),
        cmocka_unit_test(put_reads_its_fields),
        cmocka_unit_test(put_refuses_bad_fields_after_the_upload),
        cmocka_unit_test(put_knows_how_much_to_drain),
        cmocka_unit_test(put_refuses_a_bad_size_at_once),
        cmocka_unit_test(put_answers_the_first_bad_field),
        cmocka_unit_test(get_reads_its_path),
    };

    return cmocka_run_group_tests_name("request_file", tests, NULL, NULL);
}
