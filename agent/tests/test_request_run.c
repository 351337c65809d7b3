#include "request_parse.h"

#include <stdio.h>

#include "../wire/constants.h"

#define RUN "{\"op\":\"run\",\"cmd\":\"x\","

static void refused_run(const char *members, const char *words)
{
    char json[400];

    snprintf(json, sizeof json, "{\"op\":\"run\",%s}", members);
    refused(json, REQUEST_RUN, false, WIRE_INVALID_ARGUMENT, words);
}

static void defaults(void **state)
{
    static const char *const spellings[] = {RUN "\"a\":1}", RUN "\"shell\":null,\"timeout\":null,\"env\":null}",
                                            RUN
                                            "\"SHELL\":\"raw\",\"Timeout\":-1,\"ENV\":{\"A\":\"b\"},\"CMD\":\"y\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        struct request request = parse_good(spellings[i], REQUEST_RUN);

        assert_string_equal(request.cmd, "x");
        assert_false(request.raw);
        assert_true(request.timeout == 0);
        assert_null(request.timeout_text);
        assert_null(request.env);
        request_clear(&request);
    }
}

static void reads_cmd(void **state)
{
    struct request request =
        parse_good("{\"cmd\":\"echo \\\"\\u00e9\\n\\ud83d\\ude00\\\"\",\"op\":\"run\"}", REQUEST_RUN);

    (void)state;
    assert_string_equal(request.cmd, "echo \"\xC3\xA9\n\xF0\x9F\x98\x80\"");
    request_clear(&request);
    refused_run("\"a\":1", "cmd");
    refused_run("\"CMD\":\"x\"", "cmd");
    refused_run("\"cmd\":null", "cmd");
    refused_run("\"cmd\":\"\"", "cmd");
    refused_run("\"cmd\":5", "cmd");
    refused_run("\"cmd\":true", "cmd");
    refused_run("\"cmd\":[\"ls\"]", "cmd");
    refused_run("\"cmd\":{}", "cmd");
}

static void reads_shell(void **state)
{
    struct request request = parse_good(RUN "\"shell\":\"raw\"}", REQUEST_RUN);

    (void)state;
    assert_true(request.raw);
    request_clear(&request);
    request = parse_good(RUN "\"shell\":\"login\"}", REQUEST_RUN);
    assert_false(request.raw);
    request_clear(&request);
    refused_run("\"cmd\":\"x\",\"shell\":\"\"", "shell");
    refused_run("\"cmd\":\"x\",\"shell\":\"RAW\"", "shell");
    refused_run("\"cmd\":\"x\",\"shell\":\"raw \"", "shell");
    refused_run("\"cmd\":\"x\",\"shell\":\"/bin/sh\"", "shell");
    refused_run("\"cmd\":\"x\",\"shell\":true", "shell");
    refused_run("\"cmd\":\"x\",\"shell\":0", "shell");
    refused_run("\"cmd\":\"x\",\"shell\":[]", "shell");
}

static void reads_timeout(void **state)
{
    static const struct {
        const char *written;
        double seconds;
    } deadlines[] = {
        {"1", 1},
        {"0.5", 0.5},
        {"1.0", 1},
        {"2e0", 2},
        {"1E+2", 100},
        {"25e-1", 2.5},
        {"5e-324", 5e-324},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"0.1", 0.1},
        {"9007199254740993", 9007199254740992.0},
        {"0.30000000000000004", 0.30000000000000004},
        {"1.00000000000000000000000000000000000000000000000000000000000000000000000000000000000000001", 1},
    };
    static const char *const none[] = {"0", "-0", "0.0", "-0.0", "0e5", "-0e5", "0e999", "1e-400", "-1e-400"};
    static const char *const bad[] = {"-1",    "-0.5", "-5e-324", "1e400", "-1e400", "1e99999999999999999999",
                                      "\"1\"", "true", "[1]",     "{}",    "\"\"",   "false"};

    (void)state;
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        char json[200];
        struct request request;

        snprintf(json, sizeof json, RUN "\"timeout\" : %s }", deadlines[i].written);
        request = parse_good(json, REQUEST_RUN);
        assert_true(request.timeout == deadlines[i].seconds);
        assert_string_equal(request.timeout_text, deadlines[i].written);
        request_clear(&request);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char json[200];
        struct request request;

        snprintf(json, sizeof json, RUN "\"timeout\":%s}", none[i]);
        request = parse_good(json, REQUEST_RUN);
        assert_true(request.timeout == 0);
        assert_null(request.timeout_text);
        request_clear(&request);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char members[200];

        snprintf(members, sizeof members, "\"cmd\":\"x\",\"timeout\":%s", bad[i]);
        refused_run(members, "timeout");
    }
}

static void timeout_may_be_long(void **state)
{
    const size_t zeros = 100000;
    char *json = malloc(zeros + 100);
    struct request request;
    size_t at;

    (void)state;
    assert_non_null(json);
    at = strlen(strcpy(json, RUN "\"timeout\":1.5"));
    memset(json + at, '0', zeros);
    strcpy(json + at + zeros, "}");
    request = parse_good(json, REQUEST_RUN);
    assert_true(request.timeout == 1.5);
    assert_int_equal(strlen(request.timeout_text), zeros + 3);
    request_clear(&request);
    free(json);
}

static void reads_all_fields_of_one_request(void **state)
{
    struct request request = parse_good(
        "{\"env\":{\"A\":1},\"timeout\":3,\"v\":1,\"shell\":\"raw\",\"op\":\"run\",\"cmd\":\"x\"}", REQUEST_RUN);

    (void)state;
    assert_string_equal(request.cmd, "x");
    assert_true(request.raw);
    assert_true(request.timeout == 3);
    assert_string_equal(request.timeout_text, "3");
    assert_string_equal(request.env[0], "A=1");
    assert_null(request.env[1]);
    request_clear(&request);
}

static void reads_env(void **state)
{
    static const char *const expected[] = {"A=b",
                                           "EMPTY=",
                                           "N=5",
                                           "ZERO=0",
                                           "MINUS=-7",
                                           "BIG=9007199254740991",
                                           "LOW=-9007199254740991",
                                           "a b=c=d\n",
                                           "\xC3\xA9=\xF0\x9F\x98\x80",
                                           NULL};
    struct request request =
        parse_good(RUN "\"env\": { \"A\":\"b\" , \"EMPTY\":\"\",\"N\": 5 ,\"ZERO\":-0,\"MINUS\":-7,"
                       "\"BIG\":9007199254740991,\"LOW\":-9007199254740991,\"a b\":\"c=d\\n\","
                       "\"\\u00e9\":\"\\ud83d\\ude00\"}}",
                   REQUEST_RUN);
    size_t i = 0;

    (void)state;
    for (; expected[i] != NULL; i++)
        assert_string_equal(request.env[i], expected[i]);
    assert_null(request.env[i]);
    request_clear(&request);
    request = parse_good(RUN "\"env\":{}}", REQUEST_RUN);
    assert_true(request.env == NULL || request.env[0] == NULL);
    request_clear(&request);
}

static void refuses_a_bad_env(void **state)
{
    static const char *const bad[] = {
        "[]",
        "\"A=b\"",
        "5",
        "true",
        "{\"A\":null}",
        "{\"A\":true}",
        "{\"A\":1.0}",
        "{\"A\":1e0}",
        "{\"A\":0.5}",
        "{\"A\":[\"b\"]}",
        "{\"A\":{}}",
        "{\"A\":9007199254740992}",
        "{\"A\":-9007199254740992}",
        "{\"A\":10000000000000000}",
        "{\"A\":-0.0}",
        "{\"A\":123456789012345678901234567890}",
        "{\"\":\"b\"}",
        "{\"A=\":\"b\"}",
        "{\"=\":\"b\"}",
        "{\"A\\u003dB\":\"b\"}",
        "{\"B\":\"ok\",\"A\":false}",
        "{\"\":5}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char members[200];

        snprintf(members, sizeof members, "\"cmd\":\"x\",\"env\":%s", bad[i]);
        refused_run(members, "env");
    }
    refused_run("\"cmd\":\"x\",\"env\":{\"GOOD\":1,\"WRONG\":1.0}", "\"WRONG\" must be a string or an integer");
    refused_run("\"cmd\":\"x\",\"env\":{\"A=B\":1}", "\"A=B\" is not a variable's name");
}

static void env_may_be_large(void **state)
{
    const size_t members = LIMIT_JSON_VALUES - 4; /* beside the outer object, op, cmd and env */
    char *json = malloc(members * 32 + 64);
    struct request request;
    size_t count = 0, length;

    (void)state;
    assert_non_null(json);
    length = (size_t)sprintf(json, "%s\"env\":{", RUN);
    for (size_t i = 0; i < members; i++)
        length += (size_t)sprintf(json + length, "%s\"N%zu\":%s%zu", i == 0 ? "" : ",", i, i % 2 == 0 ? "" : "-", i);
    strcpy(json + length, "}}");
    request = parse_good(json, REQUEST_RUN);
    while (request.env[count] != NULL)
        count++;
    assert_int_equal(count, members);
    assert_string_equal(request.env[0], "N0=0");
    assert_string_equal(request.env[4091], "N4091=-4091");
    request_clear(&request);
    free(json);
}

static void the_first_bad_field_is_answered(void **state)
{
    (void)state;
    refused_run("\"env\":5,\"timeout\":-1,\"shell\":0,\"cmd\":0", "cmd");
    refused_run("\"env\":5,\"timeout\":-1,\"shell\":0,\"cmd\":\"x\"", "shell");
    refused_run("\"env\":5,\"timeout\":-1,\"cmd\":\"x\"", "timeout");
    refused_run("\"env\":5,\"timeout\":1,\"cmd\":\"x\"", "env"); /* and the timeout's text does not leak */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(reads_cmd),
        cmocka_unit_test(reads_shell),
        cmocka_unit_test(reads_timeout),
        cmocka_unit_test(timeout_may_be_long),
        cmocka_unit_test(reads_all_fields_of_one_request),
        cmocka_unit_test(reads_env),
        cmocka_unit_test(refuses_a_bad_env),
        cmocka_unit_test(env_may_be_large),
        cmocka_unit_test(the_first_bad_field_is_answered),
    };

    return cmocka_run_group_tests_name("request_run", tests, NULL, NULL);
}
