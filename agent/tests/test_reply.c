#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>
#include <cmocka.h>

#include "../wire/arena.h"
#include "../wire/frame.h"
#include "../wire/json_strict.h"
#include "../wire/reply.h"

/* A block of exactly the promised room, so that the sanitizer sees one byte too many. */
static uint8_t *room(size_t length)
{
    uint8_t *out = malloc(length);

    assert_non_null(out);
    return out;
}

static void assert_control(const uint8_t *out, size_t length, const char *json)
{
    const size_t payload = strlen(json);

    assert_int_equal(length, LIMIT_FRAME_HEADER + payload);
    assert_int_equal(out[0], FRAME_JSON);
    assert_int_equal((size_t)out[1] << 24 | (size_t)out[2] << 16 | (size_t)out[3] << 8 | out[4], payload);
    assert_memory_equal(out + LIMIT_FRAME_HEADER, json, payload);
}

static void writes_exact_bytes(void **state)
{
    static const uint8_t eof[] = {FRAME_EOF, 0, 0, 0, 0};
    uint8_t *out = room(REPLY_ROOM);
    struct wire_error error = {.code = WIRE_NOT_FOUND, .text = "/x: gone"};

    (void)state;
    assert_control(out, reply_pong(out, "0.1.0", "a1b2"),
                   "{\"ok\":true,\"op\":\"pong\",\"agent_version\":\"0.1.0\",\"proto\":1,\"instance\":\"a1b2\"}");
    assert_control(out, reply_ok(out), "{\"ok\":true}");
    assert_control(out, reply_exit(out, 0), "{\"ok\":true,\"op\":\"exit\",\"exit_code\":0}");
    assert_control(out, reply_exit(out, 255), "{\"ok\":true,\"op\":\"exit\",\"exit_code\":255}");
    assert_control(out, reply_exit(out, -9), "{\"ok\":true,\"op\":\"exit\",\"exit_code\":-9}");
    assert_control(out, reply_file(out, 0644, 12), "{\"ok\":true,\"mode\":420,\"size\":12}");
    assert_control(out, reply_file(out, 0107777, 5000000000), "{\"ok\":true,\"mode\":4095,\"size\":5000000000}");
    assert_control(out, reply_file(out, 0, 9007199254740990), "{\"ok\":true,\"mode\":0,\"size\":9007199254740990}");
    assert_control(out, reply_file(out, 0, UINT64_MAX), "{\"ok\":true,\"mode\":0,\"size\":9007199254740991}");
    assert_control(out, reply_error(out, &error),
                   "{\"ok\":false,\"op\":\"error\",\"error\":\"/x: gone\",\"code\":\"not_found\"}");
    assert_int_equal(reply_eof(out), sizeof eof);
    assert_memory_equal(out, eof, sizeof eof);
    free(out);
}

static void timeout_keeps_the_spelling(void **state)
{
    static const char *const numbers[] = {"1", "0.50", "1e1", "2.5E-1"};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint8_t *out = room(strlen(numbers[i]) + REPLY_ROOM);
        char json[100] = "{\"ok\":true,\"op\":\"timeout\",\"timeout\":";

        strcat(strcat(json, numbers[i]), "}");
        assert_control(out, reply_timeout(out, numbers[i], strlen(numbers[i])), json);
        free(out);
    }
}

static void timeout_may_be_long(void **state)
{
    const size_t length = 100000;
    char *number = malloc(length);
    uint8_t *out = room(length + REPLY_ROOM);
    size_t written;

    (void)state;
    assert_non_null(number);
    memset(number, '0', length);
    memcpy(number, "0.5", 3);
    written = reply_timeout(out, number, length);
    assert_int_equal(written, LIMIT_FRAME_HEADER + strlen("{\"ok\":true,\"op\":\"timeout\",\"timeout\":}") + length);
    assert_int_equal(out[written - 1], '}');
    free(number);
    free(out);
}

/* The decoded error text of a reply that must be good JSON of the contract's shape. Caller frees. */
static char *error_text(const struct wire_error *error)
{
    uint8_t *out = room(REPLY_ROOM);
    const size_t length = reply_error(out, error);
    const char *json = (const char *)out + LIMIT_FRAME_HEADER;
    static max_align_t memory[1024];
    cJSON *tree;
    char *text;

    assert_int_equal(json_strict(json, length - LIMIT_FRAME_HEADER).verdict, JSON_GOOD);
    arena_use(memory, sizeof memory);
    tree = cJSON_ParseWithLength(json, length - LIMIT_FRAME_HEADER);
    assert_non_null(tree);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(tree, "ok")));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tree, "op")->valuestring, "error");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tree, "code")->valuestring, wire_code_name(error->code));
    text = strdup(cJSON_GetObjectItemCaseSensitive(tree, "error")->valuestring);
    assert_non_null(text);
    assert_in_range(strlen(text), 1, LIMIT_ERROR_TEXT);
    free(out);
    return text;
}

#define BAD "\xEF\xBF\xBD"

/* JSON-OUT: whatever bytes went into an error text. */
static void error_text_is_made_valid(void **state)
{
    static const struct {
        const char *given, *sent;
    } table[] = {
        {"plain", "plain"},
        {"a\"b\\c/d", "a\"b\\c/d"},
        {"\x01\t\n\r\x1f\x7f", "\x01\t\n\r\x1f\x7f"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\xF4\x8F\xBF\xBF\xEE\x80\x80", "\xF4\x8F\xBF\xBF\xEE\x80\x80"},
        {"a\xFFz", "a" BAD "z"},
        {"\x80", BAD},
        {"\xC0\xAF", BAD BAD},
        {"\xC1\xBF", BAD BAD},
        {"\xE0\x9F\xBF", BAD BAD BAD},
        {"\xED\xA0\x80", BAD BAD BAD},
        {"\xF0\x8F\xBF\xBF", BAD BAD BAD BAD},
        {"\xF4\x90\x80\x80", BAD BAD BAD BAD},
        {"\xF5", BAD},
        {"cut \xE2\x82", "cut " BAD BAD},
        {"\xC3\"", BAD "\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wire_error error = {.code = WIRE_IO_ERROR};
        char *sent;

        strcpy(error.text, table[i].given);
        sent = error_text(&error);
        assert_string_equal(sent, table[i].sent);
        free(sent);
    }
}

static void control_characters_are_escaped(void **state)
{
    uint8_t *out = room(REPLY_ROOM);
    struct wire_error error = {.code = WIRE_INTERNAL, .text = "\x01\x1f\n\"\\"};

    (void)state;
    assert_control(out, reply_error(out, &error),
                   "{\"ok\":false,\"op\":\"error\",\"error\":\"\\u0001\\u001f\\u000a\\\"\\\\\",\"code\":\"internal\"}");
    free(out);
}

static void error_text_is_bounded(void **state)
{
    static const char *const fill[] = {"x", "\xFF", "\x01", "\"", "\xC3\xA9", "\xF0\x9F\x98\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof fill / sizeof *fill; i++) {
        const size_t unit = strlen(fill[i]);

        for (size_t lead = 0; lead < 4; lead++) {
            struct wire_error error = {.code = WIRE_UNSUPPORTED_VERSION};
            size_t at = lead;
            char *sent;

            memset(error.text, 'a', lead);
            for (; at + unit < sizeof error.text; at += unit)
                memcpy(error.text + at, fill[i], unit);
            sent = error_text(&error);
            if (fill[i][0] == '\xFF') /* each grows to three bytes: cut, and never inside one */
                assert_int_equal(strlen(sent), LIMIT_ERROR_TEXT - (LIMIT_ERROR_TEXT - lead) % 3);
            else
                assert_string_equal(sent, error.text);
            free(sent);
        }
    }
}

static void error_text_is_never_empty(void **state)
{
    struct wire_error error = {.code = WIRE_NO_SPACE, .text = ""};
    char *sent = error_text(&error);
    uint8_t *out = room(REPLY_ROOM);

    (void)state;
    assert_string_equal(sent, "no_space");
    free(sent);
    error.code = WIRE_OK; /* a caller's mistake still answers something true */
    assert_control(out, reply_error(out, &error),
                   "{\"ok\":false,\"op\":\"error\",\"error\":\"internal\",\"code\":\"internal\"}");
    free(out);
}

static void pong_strings_are_bounded(void **state)
{
    char longer[2000];
    uint8_t *out = room(REPLY_ROOM);
    size_t length;

    (void)state;
    memset(longer, '\x01', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    length = reply_pong(out, longer, longer);
    assert_int_equal(json_strict((const char *)out + LIMIT_FRAME_HEADER, length - LIMIT_FRAME_HEADER).verdict,
                     JSON_GOOD);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_exact_bytes),
        cmocka_unit_test(timeout_keeps_the_spelling),
        cmocka_unit_test(timeout_may_be_long),
        cmocka_unit_test(error_text_is_made_valid),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(error_text_is_bounded),
        cmocka_unit_test(error_text_is_never_empty),
        cmocka_unit_test(pong_strings_are_bounded),
    };

    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
