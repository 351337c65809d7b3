#include "banner.h"

#include "../host/probe_pong.h"
#include "../wire/reply.h"
#include "../wire/request.h"

static void *begin(const void *expected)
{
    (void)expected;
    return calloc(1, sizeof(struct pong));
}

static enum verdict take(void *state, const char *bytes, size_t length, struct text *why)
{
    return pong_take(state, bytes, length, why);
}

static void end(void *state)
{
    pong_clear(state);
    free(state);
}

static const struct banner_parser parser = {begin, take, end};

static void frame_is(uint8_t type, const char *payload, enum verdict verdict, const char *words)
{
    const size_t length = strlen(payload);
    char *bytes = malloc(LIMIT_FRAME_HEADER + length);

    assert_non_null(bytes);
    frame_encode_header((uint8_t *)bytes, (struct frame_header){.type = type, .length = (uint32_t)length});
    memcpy(bytes + LIMIT_FRAME_HEADER, payload, length);
    banner_is(&parser, NULL, bytes, LIMIT_FRAME_HEADER + length, verdict, words);
    if (verdict == VERDICT_ACCEPTED)
        banner_is(&parser, NULL, bytes, LIMIT_FRAME_HEADER + length - 1, VERDICT_MORE, NULL);
    free(bytes);
}

static void accepts_what_the_agent_sends(void **state)
{
    uint8_t frame[REPLY_ROOM];
    const size_t length = reply_pong(frame, "1.2.3", "abcd");

    (void)state;
    banner_is(&parser, NULL, (const char *)frame, length, VERDICT_ACCEPTED, NULL);
    frame_is(FRAME_JSON, "{\"op\":\"pong\",\"ok\":true}", VERDICT_ACCEPTED, NULL);
    frame_is(FRAME_JSON, " {\"ok\":true,\"o\\u0070\":\"pong\",\"x\":[{}]}\n", VERDICT_ACCEPTED, NULL);
}

static void refuses_other_answers(void **state)
{
    static const char *const answers[] = {
        "{}",
        "{\"ok\":true}",
        "{\"op\":\"pong\"}",
        "{\"ok\":1,\"op\":\"pong\"}",
        "{\"ok\":\"true\",\"op\":\"pong\"}",
        "{\"ok\":false,\"op\":\"pong\"}",
        "{\"ok\":true,\"op\":\"ping\"}",
        "{\"ok\":true,\"op\":\"pongs\"}",
        "{\"ok\":true,\"op\":[\"pong\"]}",
        "{\"OK\":true,\"op\":\"pong\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        frame_is(FRAME_JSON, answers[i], VERDICT_REFUSED, "another answer than a pong");
    frame_is(FRAME_JSON, "{\"ok\":false,\"op\":\"error\",\"error\":\"no room\"}", VERDICT_REFUSED, "an error: no room");
}

static void refuses_what_is_no_good_json(void **state)
{
    static const char *const payloads[] = {
        "",
        "pong",
        "[]",
        "{\"ok\":true,\"op\":\"pong\"}x",
        "{\"ok\":true,\"ok\":true,\"op\":\"pong\"}",
        "{\"ok\":true,\"op\":\"pong\\u0000\"}",
        "{\"ok\":true,\"op\":\"pong\",\"x\":01}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        frame_is(FRAME_JSON, payloads[i], VERDICT_REFUSED, "no good JSON");
}

/* Judged at the header: nothing is read or allocated for it. */
static void refuses_headers(void **state)
{
    (void)state;
    frame_is(FRAME_EOF, "", VERDICT_REFUSED, "a frame of type 5");
    frame_is(FRAME_DATA, "{\"ok\":true,\"op\":\"pong\"}", VERDICT_REFUSED, "a frame of type 4");
    banner_is(&parser, NULL, "\0\0\0\0\2", 5, VERDICT_REFUSED, "a frame of type 0");
    banner_is(&parser, NULL, "\1\0\x10\0\1", 5, VERDICT_REFUSED, "more than 1048576");
    banner_is(&parser, NULL, "\1\0\x10\0\0", 5, VERDICT_MORE, NULL);
    banner_is(&parser, NULL, "\1\1\0\0\1", 5, VERDICT_REFUSED, "over the cap");
    banner_is(&parser, NULL, "SSH-2.0-OpenSSH\r\n", 17, VERDICT_REFUSED, "no frame");
    banner_is(&parser, NULL, "HTTP/1.1 400 Bad Request\r\n", 26, VERDICT_REFUSED, "no frame");
}

/* The longest answer there is, and the deepest. */
static void takes_the_longest(void **state)
{
    const size_t length = LIMIT_CONTROL_PAYLOAD;
    char *payload = malloc(length + 1);

    (void)state;
    assert_non_null(payload);
    memset(payload, ' ', length);
    memcpy(payload, "{\"ok\":true,\"op\":\"pong\",\"x\":\"", 28);
    memcpy(payload + length - 2, "\"}", 3);
    frame_is(FRAME_JSON, payload, VERDICT_ACCEPTED, NULL);
    free(payload);
}

static void asks(void **state)
{
    uint8_t frame[PONG_REQUEST_ROOM + LIMIT_FRAME_HEADER];
    const size_t length = pong_request(frame, sizeof frame);
    struct request request;
    void *room = malloc(request_room(length));

    (void)state;
    assert_non_null(room);
    assert_true(length > LIMIT_FRAME_HEADER);
    request_parse(&request, room, request_room(length), (const char *)frame + LIMIT_FRAME_HEADER,
                  length - LIMIT_FRAME_HEADER);
    assert_int_equal(request.op, REQUEST_PING);
    assert_int_equal(request.error.code, WIRE_OK);
    assert_int_equal(pong_request(frame, LIMIT_FRAME_HEADER + 1), 0);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_the_agent_sends),
        cmocka_unit_test(refuses_other_answers),
        cmocka_unit_test(refuses_what_is_no_good_json),
        cmocka_unit_test(refuses_headers),
        cmocka_unit_test(takes_the_longest),
        cmocka_unit_test(asks),
    };

    return cmocka_run_group_tests_name("probe_pong", tests, NULL, NULL);
}
