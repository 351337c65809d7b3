#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../guest/clock.h"
#include "../host/ready_options.h"

#define MOST_ARGUMENTS 24

static struct ready_options options;
static char reason[1024];

static int clear(void **state)
{
    (void)state;
    ready_options_clear(&options);
    return 0;
}

/* Read a command line, its words parted by single blanks. */
static enum ready_command read_line(const char *line)
{
    static char copy[512];
    char *argv[MOST_ARGUMENTS + 1] = {NULL};
    struct text complaint = text_in(reason, sizeof reason);
    int argc = 0;

    ready_options_clear(&options);
    assert_true(strlen(line) < sizeof copy);
    memcpy(copy, line, strlen(line) + 1);
    for (char *rest = copy; rest != NULL && argc < MOST_ARGUMENTS;)
        argv[argc++] = strsep(&rest, " ");
    return ready_options_read(&options, argc, argv, &complaint);
}

static void good(const char *line)
{
    if (read_line(line) != READY_RUN)
        fail_msg("refused (%s): %s", reason, line);
}

/* Refused in one line that says `words`, and what is accepted. */
static void bad(const char *line, const char *words)
{
    if (read_line(line) != READY_BAD)
        fail_msg("not refused: %s", line);
    if (strstr(reason, words) == NULL || strstr(reason, "accepted") == NULL || strchr(reason, '\n') != NULL)
        fail_msg("\"%s\", expected \"%s\": %s", reason, words, line);
}

static void has_defaults(void **state)
{
    (void)state;
    good("ready http tcp:127.0.0.1:80");
    assert_int_equal(options.count, 1);
    assert_int_equal(options.probes[0].kind, PROBE_HTTP);
    assert_int_equal(options.probes[0].address.kind, ADDRESS_TCP);
    assert_string_equal(options.probes[0].address.text, "tcp:127.0.0.1:80");
    assert_string_equal(options.probes[0].path, "/");
    assert_int_equal(options.probes[0].status, 200);
    assert_null(options.probes[0].hint);
    assert_int_equal(options.timeout, 60 * CLOCK_SECOND);
    assert_int_equal(options.attempt_timeout, 5 * CLOCK_SECOND);
    assert_int_equal(options.interval, CLOCK_SECOND / 5);
    assert_false(options.any);
    assert_false(options.json);
}

static void takes_options_of_the_whole_anywhere(void **state)
{
    (void)state;
    good("ready --any --timeout 1.5 ssh unix:/a --json agent vsock:3:1024 --interval=0.05 --attempt-timeout 2");
    assert_int_equal(options.count, 2);
    assert_true(options.any);
    assert_true(options.json);
    assert_int_equal(options.timeout, 3 * CLOCK_SECOND / 2);
    assert_int_equal(options.interval, 50 * CLOCK_MILLISECOND);
    assert_int_equal(options.attempt_timeout, 2 * CLOCK_SECOND);
    good("ready --all ssh tcp:[::1]:22");
    assert_false(options.any);
}

static void gives_options_to_the_probe_before_them(void **state)
{
    (void)state;
    good("ready tcp-banner tcp:a:25 --expect 220 --hint one http tcp:b:80 --path /x --status 204 http hybrid:/s:80 "
         "--status 503 --hint=two tcp-banner unix:/c --expect --any");
    assert_int_equal(options.count, 4);
    assert_string_equal(options.probes[0].expect, "220");
    assert_string_equal(options.probes[0].hint, "one");
    assert_string_equal(options.probes[1].path, "/x");
    assert_int_equal(options.probes[1].status, 204);
    assert_null(options.probes[1].hint);
    assert_string_equal(options.probes[2].path, "/");
    assert_int_equal(options.probes[2].status, 503);
    assert_string_equal(options.probes[2].hint, "two");
    assert_string_equal(options.probes[3].expect, "--any"); /* a value is a value */
    assert_false(options.any);
}

static void takes_both_forms_of_notify(void **state)
{
    (void)state;
    good("ready notify unix:/run/x");
    assert_int_equal(options.probes[0].address.kind, ADDRESS_UNIX);
    good("ready notify --hint h --listen vsock:9999 ssh unix:/a");
    assert_int_equal(options.probes[0].address.kind, ADDRESS_VSOCK);
    assert_int_equal(options.probes[0].address.port, 9999);
    assert_int_equal(options.count, 2);
    bad("ready notify", "TARGET missing");
    bad("ready notify ssh unix:/a", "bad target 'ssh'");
    bad("ready notify unix:/a --listen unix:/b", "bad value 'unix:/b'");
    bad("ready notify --listen unix:/a --listen unix:/b", "given twice");
    bad("ready notify vsock:3:9999", "bad target");
    bad("ready notify tcp:127.0.0.1:80", "bad target");
    bad("ready notify hybrid:/a:1", "bad target");
    bad("ready ssh --listen unix:/a", "not behind a probe that takes it");
}

static void refuses_bad_probes(void **state)
{
    (void)state;
    bad("ready", "no probe");
    bad("ready --json", "no probe");
    bad("ready ping unix:/a", "unknown argument 'ping'");
    bad("ready ssh", "ssh: TARGET missing");
    bad("ready ssh --json", "ssh: TARGET missing");
    bad("ready ssh ssh unix:/a", "bad target 'ssh'");
    bad("ready ssh 127.0.0.1:22", "bad target");
    bad("ready ssh tcp:127.0.0.1", "bad target");
    bad("ready ssh tcp:127.0.0.1:0", "bad target");
    bad("ready ssh unix:", "bad target");
    bad("ready ssh fd:0", "bad target");
    bad("ready ssh unix:/a unix:/b", "unknown argument 'unix:/b'");
    bad("ready tcp-banner unix:/a", "--expect missing");
    bad("ready tcp-banner unix:/a ssh unix:/b", "--expect missing");
}

static void refuses_bad_options(void **state)
{
    (void)state;
    bad("ready ssh unix:/a --frob", "unknown argument '--frob'");
    bad("ready ssh unix:/a --timeouts 1", "unknown argument");
    bad("ready --hint x ssh unix:/a", "not behind a probe");
    bad("ready ssh unix:/a --expect x", "not behind a probe");
    bad("ready ssh unix:/a --path /", "not behind a probe");
    bad("ready tcp-banner unix:/a --expect x --status 200", "not behind a probe");
    bad("ready ssh unix:/a --json --json", "given twice");
    bad("ready ssh unix:/a --json=1", "bad value '1'");
    bad("ready --all ssh unix:/a --any", "not together");
    bad("ready --any ssh unix:/a --all", "not together");
    bad("ready ssh unix:/a --hint a --hint b", "given twice");
    bad("ready ssh unix:/a --timeout", "value missing");
    bad("ready http unix:/a --path x", "bad value 'x'");
    bad("ready http unix:/a --status 199", "bad value");
    bad("ready http unix:/a --status 600", "bad value");
    bad("ready http unix:/a --status +200", "bad value");
    bad("ready tcp-banner unix:/a --expect ", "bad value ''");
    bad("ready ssh unix:/a --hint=", "bad value ''");
}

static void refuses_bad_times(void **state)
{
    static const char *const values[] = {"", "0", "0.0", "-1", "+1", "1e3", "1.", ".5", "1000000.1", "nan", "5s", " 5"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        static const char *const names[] = {"--timeout", "--interval", "--attempt-timeout"};
        char line[128];
        struct text text = text_in(line, sizeof line);

        text_add(&text, "ready ssh unix:/a ");
        text_add(&text, names[i % 3]);
        text_add(&text, "=");
        text_add(&text, values[i]);
        if (strchr(values[i], ' ') == NULL)
            bad(line, names[i % 3]);
    }
    good("ready ssh unix:/a --timeout 0.0000000001");
    assert_int_equal(options.timeout, 1);
}

static void helps_whatever_is_missing(void **state)
{
    (void)state;
    assert_int_equal(read_line("ready --help"), READY_HELP);
    assert_int_equal(read_line("ready --version"), READY_VERSION);
    assert_int_equal(read_line("ready ssh --help --version"), READY_HELP);
    bad("ready --help --frob", "unknown argument");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(has_defaults, clear),
        cmocka_unit_test_teardown(takes_options_of_the_whole_anywhere, clear),
        cmocka_unit_test_teardown(gives_options_to_the_probe_before_them, clear),
        cmocka_unit_test_teardown(takes_both_forms_of_notify, clear),
        cmocka_unit_test_teardown(refuses_bad_probes, clear),
        cmocka_unit_test_teardown(refuses_bad_options, clear),
        cmocka_unit_test_teardown(refuses_bad_times, clear),
        cmocka_unit_test_teardown(helps_whatever_is_missing, clear),
    };

    return cmocka_run_group_tests_name("ready_options", tests, NULL, NULL);
}
