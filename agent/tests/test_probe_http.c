#include "banner.h"

#include "../host/probe_http.h"

static void *begin(const void *expected)
{
    struct http_answer *answer = calloc(1, sizeof *answer);

    assert_non_null(answer);
    answer->expected = *(const unsigned *)expected;
    return answer;
}

static enum verdict take(void *state, const char *bytes, size_t length, struct text *why)
{
    return http_answer_take(state, bytes, length, why);
}

static const struct banner_parser parser = {begin, take, free};

static void is(unsigned expected, const char *bytes, enum verdict verdict, const char *words)
{
    banner_is(&parser, &expected, bytes, strlen(bytes), verdict, words);
}

static void accepts_the_status(void **state)
{
    (void)state;
    is(200, "HTTP/1.1 200 OK\r\n", VERDICT_ACCEPTED, NULL);
    is(200, "HTTP/1.0 200 OK\n", VERDICT_ACCEPTED, NULL);
    is(200, "HTTP/1.1 200\r\n", VERDICT_ACCEPTED, NULL);
    is(200, "HTTP/1.1 200 \r\n", VERDICT_ACCEPTED, NULL);
    is(503, "HTTP/1.1 503 Not\xFF yet\r\nRetry-After: 1\r\n", VERDICT_ACCEPTED, NULL);
}

static void wants_the_line_to_end(void **state)
{
    static const char whole[] = "HTTP/1.1 200 OK\r\n";
    const unsigned expected = 200;

    (void)state;
    for (size_t length = 0; length < strlen(whole); length++)
        banner_is(&parser, &expected, whole, length, VERDICT_MORE, NULL);
}

static void refuses_another_status(void **state)
{
    (void)state;
    is(200, "HTTP/1.1 404 Not Found\r\n", VERDICT_REFUSED, "status 404 where 200 was expected");
    is(204, "HTTP/1.1 200\r\n", VERDICT_REFUSED, "status 200 where 204");
    is(200, "HTTP/1.1 020 OK\r\n", VERDICT_REFUSED, "status 20 where 200");
}

static void refuses_what_is_no_status_line(void **state)
{
    static const char *const lines[] = {
        "SSH-2.0-x\r\n",      "\r\nHTTP/1.1 200 OK\r\n", "http/1.1 200 OK\r\n", "HTTP/2 200\r\n",
        "HTTP/1.2 200\r\n",   "HTTP/1.1  200\r\n",       "HTTP/1.1 2000\r\n",   "HTTP/1.1 20\r\n",
        "HTTP/1.1 200OK\r\n", "HTTP/1.1\t200 OK\r\n",    "HTTP/1.1 -20 OK\r\n", "HTTP/1.1 2x0 OK\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        is(200, lines[i], VERDICT_REFUSED, "no HTTP/1 status line");
}

static void skips_interim_responses(void **state)
{
    (void)state;
    is(200, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", VERDICT_ACCEPTED, NULL);
    is(200, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nA:\r\n\r\nHTTP/1.1 102 P\n\nHTTP/1.1 200 OK\n", VERDICT_ACCEPTED,
       NULL);
    is(200, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\n", VERDICT_REFUSED, "status 500");
    is(200, "HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", VERDICT_MORE, NULL); /* a field, as it stands there */
    is(200, "HTTP/1.1 100 Continue\r\n\r\nx", VERDICT_REFUSED, "no HTTP/1 status line");
}

/* An answer whose status line ends at byte `length`. */
static void long_is(size_t length, bool interim, enum verdict verdict)
{
    static const char first[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static const char start[] = "HTTP/1.1 200 ";
    const size_t before = (interim ? strlen(first) : 0) + strlen(start);
    const unsigned expected = 200;
    char *bytes = malloc(length + 1);

    assert_non_null(bytes);
    memset(bytes, 'x', length);
    if (interim)
        memcpy(bytes, first, strlen(first));
    memcpy(bytes + before - strlen(start), start, strlen(start));
    memcpy(bytes + length - 2, "\r\n", 3);
    banner_is(&parser, &expected, bytes, length, verdict, verdict == VERDICT_REFUSED ? "within 8192 bytes" : NULL);
    if (verdict == VERDICT_ACCEPTED)
        banner_is(&parser, &expected, bytes, length - 1, VERDICT_MORE, NULL);
    free(bytes);
}

static void bounds_the_whole(void **state)
{
    (void)state;
    long_is(8192, false, VERDICT_ACCEPTED);
    long_is(8192, true, VERDICT_ACCEPTED);
    long_is(8193, false, VERDICT_REFUSED);
    long_is(8193, true, VERDICT_REFUSED);
}

static void asks(void **state)
{
    char room[256];
    struct text text = text_in(room, sizeof room);

    (void)state;
    http_request(&text, "/healthz?x=1", "[::1]:80");
    assert_ptr_equal(strstr(room, "GET /healthz?x=1 HTTP/1.1\r\nHost: [::1]:80\r\n"), room);
    assert_string_equal(room + text.length - strlen("\r\nConnection: close\r\n\r\n"), "\r\nConnection: close\r\n\r\n");
}

static void judges_paths(void **state)
{
    (void)state;
    assert_true(http_path_good("/"));
    assert_true(http_path_good("/a%20b?c=d"));
    assert_false(http_path_good(""));
    assert_false(http_path_good("healthz"));
    assert_false(http_path_good("/a b"));
    assert_false(http_path_good("/a\r\nX: y"));
    assert_false(http_path_good("/\x7F"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_status),
        cmocka_unit_test(wants_the_line_to_end),
        cmocka_unit_test(refuses_another_status),
        cmocka_unit_test(refuses_what_is_no_status_line),
        cmocka_unit_test(skips_interim_responses),
        cmocka_unit_test(bounds_the_whole),
        cmocka_unit_test(asks),
        cmocka_unit_test(judges_paths),
    };

    return cmocka_run_group_tests_name("probe_http", tests, NULL, NULL);
}
