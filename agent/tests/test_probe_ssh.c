#include "banner.h"

#include "../host/probe_ssh.h"

static void *begin(const void *expected)
{
    (void)expected;
    return calloc(1, sizeof(struct ssh_greeting));
}

static enum verdict take(void *state, const char *bytes, size_t length, struct text *why)
{
    return ssh_greeting_take(state, bytes, length, why);
}

static const struct banner_parser parser = {begin, take, free};

static void is(const char *bytes, enum verdict verdict, const char *words)
{
    banner_is(&parser, NULL, bytes, strlen(bytes), verdict, words);
}

/* `count` bytes of `fill`, with `before` and `after` around them. */
static void filled_is(const char *before, char fill, size_t count, const char *after, enum verdict verdict,
                      const char *words)
{
    const size_t length = strlen(before) + count + strlen(after);
    char *bytes = malloc(length + 1);

    assert_non_null(bytes);
    memcpy(bytes, before, strlen(before));
    memset(bytes + strlen(before), fill, count);
    memcpy(bytes + strlen(before) + count, after, strlen(after) + 1);
    banner_is(&parser, NULL, bytes, length, verdict, words);
    free(bytes);
}

static void accepts_both_versions_and_ends(void **state)
{
    (void)state;
    is("SSH-2.0-OpenSSH_9.9 Debian\r\n", VERDICT_ACCEPTED, NULL);
    is("SSH-1.99-Cisco-1.25\n", VERDICT_ACCEPTED, NULL);
    is("SSH-2.0-x\nSSH-1.5-y\n", VERDICT_ACCEPTED, NULL);
    is("SSH-2.0-a\rb\n", VERDICT_ACCEPTED, NULL);
}

static void wants_the_line_to_end(void **state)
{
    static const char whole[] = "SSH-1.99-x\r\n";

    (void)state;
    for (size_t length = 0; length < strlen(whole); length++)
        banner_is(&parser, NULL, whole, length, VERDICT_MORE, NULL);
}

static void refuses_other_versions(void **state)
{
    (void)state;
    is("SSH-1.5-x\r\n", VERDICT_REFUSED, "another SSH version");
    is("SSH-1.9", VERDICT_MORE, NULL);
    is("SSH-1.99x", VERDICT_REFUSED, "another SSH version");
    is("SSH-2.1-x\r\n", VERDICT_REFUSED, "another SSH version");
    is("SSH-3", VERDICT_REFUSED, "another SSH version");
    is("SSH-\n", VERDICT_REFUSED, "another SSH version");
    is("SSH-2.0\r\n", VERDICT_REFUSED, "another SSH version");
    is("hello\r\nSSH-1.3-x\r\n", VERDICT_REFUSED, "another SSH version");
}

static void bounds_the_string(void **state)
{
    (void)state;
    filled_is("SSH-2.0-", 'x', 255 - 8 - 2, "\r\n", VERDICT_ACCEPTED, NULL);
    filled_is("SSH-2.0-", 'x', 255 - 8 - 1, "\r\n", VERDICT_REFUSED, "more than 255");
    filled_is("SSH-2.0-", 'x', 255 - 8 - 1, "\n", VERDICT_ACCEPTED, NULL);
    filled_is("SSH-2.0-", 'x', 255 - 8, "\n", VERDICT_REFUSED, "more than 255");
    filled_is("SSH-2.0-", 'x', 255 - 8, "", VERDICT_REFUSED, "more than 255"); /* before its end comes */
    filled_is("SSH-2.0-", 'x', 255 - 9, "", VERDICT_MORE, NULL);
}

static void bounds_lines_before(void **state)
{
    (void)state;
    is("one\r\n\nSS\nSSh-2.0-x\nSSH-2.0-x\n", VERDICT_ACCEPTED, NULL);
    filled_is("", 'x', 8191, "\nSSH-2.0-x\n", VERDICT_ACCEPTED, NULL);
    filled_is("", 'x', 8192, "\nSSH-2.0-x\n", VERDICT_REFUSED, "more than 8192");
    filled_is("", 'x', 8192, "", VERDICT_REFUSED, "more than 8192");
    filled_is("", 'x', 8191, "", VERDICT_MORE, NULL);
    filled_is("", '\n', 1024, "SSH-2.0-x\n", VERDICT_ACCEPTED, NULL);
    filled_is("", '\n', 1024, "S", VERDICT_MORE, NULL);
    filled_is("", '\n', 1025, "SSH-2.0-x\n", VERDICT_REFUSED, "more than 1024");
    filled_is("", '\n', 1024, "SSX", VERDICT_REFUSED, "more than 1024");
}

static void refuses_nul(void **state)
{
    static const char *const texts[] = {"\0", "ab\0c\n", "SS\0", "SSH-\0", "SSH-2.0-a\0b\n"};
    static const size_t lengths[] = {1, 5, 3, 5, 12};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        banner_is(&parser, NULL, texts[i], lengths[i], VERDICT_REFUSED, "NUL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_both_versions_and_ends),
        cmocka_unit_test(wants_the_line_to_end),
        cmocka_unit_test(refuses_other_versions),
        cmocka_unit_test(bounds_the_string),
        cmocka_unit_test(bounds_lines_before),
        cmocka_unit_test(refuses_nul),
    };

    return cmocka_run_group_tests_name("probe_ssh", tests, NULL, NULL);
}
