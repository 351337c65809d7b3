#include <linux/vm_sockets.h>

#include "guest/clock.h"
#include "guest/number.h"
#include "host/probe_http.h"
#include "host/ready_parts.h"

#define LONGEST_TIME  1000000 /* seconds */
#define TIME_ACCEPTED "seconds over 0 and up to 1000000, fractions allowed"

const char ready_help[] =
    "usage: guestwire ready [--all|--any] KIND TARGET [KIND TARGET ...] [OPTIONS]\n"
    "Exit 0 once the service answers end to end, 1 when time is up, 2 for a bad command line.\n"
    "  agent TARGET            a ping is answered by a pong\n"
    "  ssh TARGET              an SSH identification string comes\n"
    "  tcp-banner TARGET --expect PREFIX\n"
    "                          the first bytes that come are PREFIX\n"
    "  http TARGET [--path P] [--status N]\n"
    "                          GET P (default /) is answered with status N (default 200)\n"
    "  notify unix:PATH|vsock:PORT\n"
    "                          the guest sends READY=1 there (also: notify --listen unix:PATH|vsock:PORT)\n"
    "TARGET: " ADDRESS_TARGETS "\n"
    "  --all                   every probe has to be answered (default)\n"
    "  --any                   one of them is enough\n"
    "  --timeout S             seconds for the whole (default 60)\n"
    "  --attempt-timeout S     seconds for one attempt (default 5)\n"
    "  --interval S            seconds between attempts (default 0.2)\n"
    "  --hint TEXT             said when the probe before it fails, instead of a hint by the reason\n"
    "  --json                  print the outcome as one JSON object\n"
    "  --version, --help\n";

static bool take_all(struct reading *reading, const char *value)
{
    (void)value;
    reading->all = true;
    return !reading->options->any;
}

static bool take_any(struct reading *reading, const char *value)
{
    (void)value;
    reading->options->any = true;
    return !reading->all;
}

static bool take_json(struct reading *reading, const char *value)
{
    (void)value;
    reading->options->json = true;
    return true;
}

static bool take_timeout(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIME, &reading->options->timeout);
}

static bool take_attempt_timeout(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIME, &reading->options->attempt_timeout);
}

static bool take_interval(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIME, &reading->options->interval);
}

static bool take_hint(struct reading *reading, const char *value)
{
    reading->probe->hint = value;
    return value[0] != '\0';
}

static bool take_expect(struct reading *reading, const char *value)
{
    reading->probe->expect = value;
    return value[0] != '\0';
}

static bool take_path(struct reading *reading, const char *value)
{
    reading->probe->path = value;
    return http_path_good(value);
}

static bool take_status(struct reading *reading, const char *value)
{
    uint64_t number;

    if (!number_read(value, 200, 599, &number))
        return false;
    reading->probe->status = (unsigned)number;
    return true;
}

bool ready_take_target(struct reading *reading, const char *value)
{
    struct address *address = &reading->probe->address;

    if (reading->probe->kind != PROBE_NOTIFY)
        return address_read_target(address, value);
    return address->text == NULL && address_read_listen(address, value) &&
           (address->kind == ADDRESS_UNIX ||
            (address->kind == ADDRESS_VSOCK && address->cid == (uint32_t)VMADDR_CID_ANY));
}

static bool take_help(struct reading *reading, const char *value)
{
    (void)value;
    reading->command = READY_HELP;
    return true;
}

static bool take_version(struct reading *reading, const char *value)
{
    (void)value;
    if (reading->command == READY_RUN)
        reading->command = READY_VERSION;
    return true;
}

#define KIND(kind) (1U << (kind))
#define ANY_KIND   (KIND(PROBE_NOTIFY + 1) - 1)

const struct ready_option ready_table[READY_OPTIONS] = {
    {"--all", take_all, "not together with --any", true, 0},
    {"--any", take_any, "not together with --all", true, 0},
    {"--json", take_json, "no value", true, 0},
    {"--timeout", take_timeout, TIME_ACCEPTED, false, 0},
    {"--attempt-timeout", take_attempt_timeout, TIME_ACCEPTED, false, 0},
    {"--interval", take_interval, TIME_ACCEPTED, false, 0},
    {"--hint", take_hint, "a text that is not empty", false, ANY_KIND},
    {"--expect", take_expect, "a prefix that is not empty", false, KIND(PROBE_BANNER)},
    {"--path", take_path, "/ and what follows, without white space or control characters", false, KIND(PROBE_HTTP)},
    {"--status", take_status, "a status from 200 to 599", false, KIND(PROBE_HTTP)},
    {"--listen", ready_take_target, READY_NOTIFY, false, KIND(PROBE_NOTIFY)},
    {"--help", take_help, "no value", true, 0},
    {"--version", take_version, "no value", true, 0},
};
