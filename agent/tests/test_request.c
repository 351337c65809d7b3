/* What holds for every request: the payload, version, operation and memory. */
#include "request_parse.h"

#include "../wire/constants.h"

static void assert_zero(const struct request *request)
{
    const unsigned char *bytes = (const unsigned char *)request;

    for (size_t i = 0; i < sizeof *request; i++)
        assert_int_equal(bytes[i], 0);
}

static void serves_every_operation(void **state)
{
    struct request request = parse_good("{\"op\":\"ping\"}", REQUEST_PING);

    (void)state;
    request_clear(&request);
    assert_zero(&request);
    request_clear(&request); /* once more is harmless */
    request = parse_good("{\"op\":\"run\",\"cmd\":\"true\"}", REQUEST_RUN);
    request_clear(&request);
    request = parse_good("{\"op\":\"put_file\",\"path\":\"/x\"}", REQUEST_PUT_FILE);
    request_clear(&request);
    request = parse_good("{\"op\":\"get_file\",\"path\":\"/x\"}", REQUEST_GET_FILE);
    assert_string_equal(request.path, "/x");
    request_clear(&request);
    request = parse_good("{\"\\u006fp\":\"p\\u0069ng\"}", REQUEST_PING);
    request_clear(&request);
}

static void judges_the_payload_first(void **state)
{
    (void)state;
    refused("", REQUEST_NONE, false, WIRE_MALFORMED, "at byte 0");
    refused("[]", REQUEST_NONE, false, WIRE_MALFORMED, "object");
    refused("{\"op\":\"ping\"} x", REQUEST_NONE, false, WIRE_MALFORMED, "at byte 14");
    refused("{\"op\":\"ping\",\"op\":\"ping\"}", REQUEST_NONE, false, WIRE_MALFORMED, "duplicate");
    refused("{\"v\":2,\"op\":\"nope\",\"x\":\"\\u0000\"}", REQUEST_NONE, false, WIRE_MALFORMED, "U+0000");
    refused("{\"op\":\"ping\",\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", REQUEST_NONE, false, WIRE_TOO_LARGE, "levels");
}

static void judges_size_before_content(void **state)
{
    static const char ping[] = "{\"op\":\"ping\"}";
    char *payload = malloc(LIMIT_CONTROL_PAYLOAD + 1);
    struct request request;

    (void)state;
    assert_non_null(payload);
    memset(payload, ' ', LIMIT_CONTROL_PAYLOAD + 1);
    memcpy(payload, ping, strlen(ping));
    request = parse_bytes(payload, LIMIT_CONTROL_PAYLOAD);
    assert_int_equal(request.error.code, WIRE_OK);
    assert_int_equal(request.op, REQUEST_PING);
    request_clear(&request);
    payload[0] = 'x';
    request = parse_bytes(payload, LIMIT_CONTROL_PAYLOAD + 1);
    assert_int_equal(request.error.code, WIRE_TOO_LARGE);
    request_clear(&request);
    free(payload);
    request_parse(&request, NULL, 0, NULL, LIMIT_CONTROL_PAYLOAD + 1); /* what is beyond the limit need not be kept */
    assert_int_equal(request.error.code, WIRE_TOO_LARGE);
    request_clear(&request);
}

static void serves_version_one(void **state)
{
    static const char *const served[] = {"{\"op\":\"ping\",\"v\":1}", "{\"v\":null,\"op\":\"ping\"}",
                                         "{\"op\":\"ping\",\"V\":2}", "{\"op\":\"ping\",\"v \":2}"};
    static const char *const refusals[] = {"2",    "0",       "-1", "1.0",  "1e0",   "10e-1", "\"1\"",
                                           "true", "[1]",     "{}", "\"\"", "false", "-0",    "100000000000000000000",
                                           "1.5",  "[1,null]"};

    (void)state;
    for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
        struct request request = parse_good(served[i], REQUEST_PING);

        request_clear(&request);
    }
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char json[100] = "{\"op\":\"nope\",\"v\": "; /* judged before op */

        strcat(strcat(json, refusals[i]), " }");
        refused(json, REQUEST_NONE, false, WIRE_UNSUPPORTED_VERSION, "version");
        refused(json, REQUEST_NONE, false, WIRE_UNSUPPORTED_VERSION, refusals[i]);
    }
}

static void refuses_unknown_operations(void **state)
{
    static const char *const operations[] = {"\"\"", "\"pong\"", "\"PING\"", "\"ping \"",  "\"pin\"", "\"pings\"",
                                             "null", "1",        "true",     "[\"ping\"]", "{}",      "\"put-file\""};

    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        char json[100] = "{\"op\":";

        strcat(strcat(json, operations[i]), ",\"cmd\":1,\"path\":1}");
        refused(json, REQUEST_NONE, false, WIRE_UNKNOWN_OP, "unknown op");
        refused(json, REQUEST_NONE, false, WIRE_UNKNOWN_OP, operations[i]);
        refused(json, REQUEST_NONE, false, WIRE_UNKNOWN_OP, "ping run put_file get_file");
    }
    refused("{}", REQUEST_NONE, false, WIRE_UNKNOWN_OP, "unknown op");
    refused("{\"OP\":\"ping\"}", REQUEST_NONE, false, WIRE_UNKNOWN_OP, "unknown op");
    refused("{\"a\":{\"op\":\"ping\"}}", REQUEST_NONE, false, WIRE_UNKNOWN_OP, "unknown op");
}

static void quotes_no_more_than_a_little(void **state)
{
    char json[5000] = "{\"op\":\"";
    struct request request;

    (void)state;
    memset(json + strlen(json), 'x', 4000);
    strcat(json, "\"}");
    request = parse(json);
    assert_int_equal(request.error.code, WIRE_UNKNOWN_OP);
    assert_non_null(strstr(request.error.text, "xxx...: op is one of ping run put_file get_file"));
    assert_in_range(strlen(request.error.text), 1, 200);
    request_clear(&request);
}

/* JSON-UNKNOWN: whatever their value; JSON-PROFILE: numbers of any length. */
static void ignores_unknown_members(void **state)
{
    const size_t digits = 100000;
    char *json = malloc(digits + 100);
    struct request request =
        parse_good("{\"a\":[1e999,{\"v\":2,\"op\":3}],\"op\":\"ping\",\"cmd\":5,\"path\":[],\"size\":-1,\"z\":null}",
                   REQUEST_PING);

    (void)state;
    request_clear(&request);
    assert_non_null(json);
    for (int kind = 0; kind < 3; kind++) {
        static const char *const head[] = {"", "0.", "1e"};

        const size_t at = strlen(strcat(strcpy(json, "{\"n\":"), head[kind]));

        memset(json + at, '9', digits);
        strcpy(json + at + digits, ",\"op\":\"run\",\"cmd\":\"x\",\"timeout\":2}");
        request = parse_good(json, REQUEST_RUN);
        assert_string_equal(request.timeout_text, "2"); /* still in step */
        request_clear(&request);
    }
    free(json);
}

/* However little room there is, the request is refused and nothing beyond it is touched. */
static void survives_want_of_memory(void **state)
{
    static const char json[] =
        "{\"op\":\"run\",\"cmd\":\"x\",\"timeout\":1.5,\"env\":{\"A\":\"b\",\"C\":5},\"more\":[1,{\"x\":\"y\"}]}";
    size_t size = 0;
    bool served = false;

    (void)state;
    for (; !served && size < request_room(strlen(json)); size++) {
        struct request request;

        request_memory = malloc(size + 1);
        assert_non_null(request_memory);
        request_parse(&request, request_memory, size, json, strlen(json));
        served = request.error.code == WIRE_OK;
        if (!served) {
            assert_int_equal(request.error.code, WIRE_INTERNAL);
            assert_non_null(strstr(request.error.text, "no memory"));
        }
        request_clear(&request);
    }
    assert_true(served);
    assert_in_range(size, 20, request_room(strlen(json)) - 1);
}

/* What takes the most memory for its length. */
static void always_has_enough_room(void **state)
{
    static const char *const shapes[][2] = {
        {"{\"op\":\"ping\",\"x\":[0", ",0"},          {"{\"op\":\"ping\",\"x\":[\"\"", ",\"\""},
        {"{\"op\":\"ping\",\"x\":[[]", ",[]"},        {"{\"op\":\"ping\",\"x\":[\"a\"", ",\"a\""},
        {"{\"op\":\"ping\",\"x\":[1e5", ",12345678"},
    };
    static char json[40000];

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t count = 0; count <= 4000; count += count < 40 ? 1 : 660) {
            struct request request;
            char *end = json + strlen(strcpy(json, shapes[i][0]));

            for (size_t j = 0; j < count; j++)
                end = strcpy(end, shapes[i][1]) + strlen(shapes[i][1]);
            strcpy(end, "]}");
            request = parse_good(json, REQUEST_PING);
            request_clear(&request);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_every_operation),     cmocka_unit_test(judges_the_payload_first),
        cmocka_unit_test(judges_size_before_content), cmocka_unit_test(serves_version_one),
        cmocka_unit_test(refuses_unknown_operations), cmocka_unit_test(quotes_no_more_than_a_little),
        cmocka_unit_test(ignores_unknown_members),    cmocka_unit_test(survives_want_of_memory),
        cmocka_unit_test(always_has_enough_room),
    };

    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
