#include "guest/options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "guest/argument.h"
#include "guest/clock.h"
#include "guest/listen.h"
#include "guest/memory.h"
#include "guest/number.h"
#include "wire/constants.h"

#define LONGEST_TIMEOUT 1000000 /* seconds */
#define MOST_REQUESTS   1024
#define HIGHEST_PORT    (UINT32_MAX - 1) /* VMADDR_PORT_ANY is no port */

const char options_help[] =
    "usage: smolvm-guest-agent [OPTIONS]\n"
    "  --listen ADDRESS        vsock:[CID:]PORT, vsock://PORT, unix:PATH or fd:N (default vsock:1024)\n"
    "  --port N                the same as --listen vsock:N (also by SMOLVM_AGENT_PORT)\n"
    "  --request-timeout S     seconds a host has to send its request (default 10)\n"
    "  --io-timeout S          seconds without a byte until a transfer is given up (default 60)\n"
    "  --linger-timeout S      seconds a host has to close after the response (default 5)\n"
    "  --max-requests N        run, put_file and get_file served at once, 1 to 1024 (default 64)\n"
    "  --allow-cid N|any       serve this vsock peer too (repeatable; default: the host alone)\n"
    "  --ready-fd N            write READY=1 there once connections are accepted\n"
    "  --quiet                 log fatal errors only\n"
    "  --version, --help\n";

/* The state of one reading: what has been seen, and what --port said. */
struct reading {
    struct options *options;
    bool listen_given;
    bool help;
    bool version;
};

static bool take_vsock(struct listen_address *address, const char *value)
{
    const char *colon = strchr(value, ':');
    uint64_t cid = (uint32_t)VMADDR_CID_ANY;
    uint64_t port;

    if (colon != NULL && !number_read_part(value, (size_t)(colon - value), 0, UINT32_MAX, &cid))
        return false;
    if (!number_read(colon != NULL ? colon + 1 : value, 1, HIGHEST_PORT, &port))
        return false;
    *address = (struct listen_address){.kind = LISTEN_VSOCK, .cid = (uint32_t)cid, .port = (uint32_t)port, .fd = -1};
    return true;
}

static const char *after(const char *value, const char *prefix)
{
    const size_t length = strlen(prefix);

    return strncmp(value, prefix, length) == 0 ? value + length : NULL;
}

static bool take_listen(struct reading *reading, const char *value)
{
    struct listen_address *address = &reading->options->listen;
    const char *rest;
    uint64_t number;

    reading->listen_given = true;
    if ((rest = after(value, "vsock://")) != NULL)
        return strchr(rest, ':') == NULL && take_vsock(address, rest);
    if ((rest = after(value, "vsock:")) != NULL)
        return take_vsock(address, rest);
    if ((rest = after(value, "unix:")) != NULL) {
        *address = (struct listen_address){.kind = LISTEN_UNIX, .path = rest, .fd = -1};
        return rest[0] != '\0';
    }
    if ((rest = after(value, "fd:")) != NULL && number_read(rest, 0, INT32_MAX, &number)) {
        *address = (struct listen_address){.kind = LISTEN_FD, .fd = (int)number};
        return listen_fd_kind(address->fd) != LISTEN_FD_BAD;
    }
    return false;
}

static bool take_port(struct reading *reading, const char *value)
{
    struct listen_address address;

    if (strchr(value, ':') != NULL || !take_vsock(&address, value))
        return false;
    if (!reading->listen_given)
        reading->options->listen = address;
    return true;
}

static bool take_request_timeout(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIMEOUT, &reading->options->request_timeout);
}

static bool take_io_timeout(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIMEOUT, &reading->options->io_timeout);
}

static bool take_linger_timeout(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIMEOUT, &reading->options->linger_timeout);
}

static bool take_max_requests(struct reading *reading, const char *value)
{
    uint64_t number;

    if (!number_read(value, 1, MOST_REQUESTS, &number))
        return false;
    reading->options->max_requests = (unsigned)number;
    return true;
}

static bool take_allow_cid(struct reading *reading, const char *value)
{
    struct peers *peers = &reading->options->peers;
    uint64_t cid;

    if (strcmp(value, "any") == 0) {
        peers->any = true;
        return true;
    }
    if (!number_read(value, 0, UINT32_MAX, &cid))
        return false;
    peers->cids[peers->count++] = (uint32_t)cid;
    return true;
}

static bool take_ready_fd(struct reading *reading, const char *value)
{
    uint64_t number;

    if (!number_read(value, 0, INT32_MAX, &number) || fcntl((int)number, F_GETFD) < 0)
        return false;
    reading->options->ready_fd = (int)number;
    return true;
}

static bool take_quiet(struct reading *reading, const char *value)
{
    (void)value;
    reading->options->quiet = true;
    return true;
}

static bool take_version(struct reading *reading, const char *value)
{
    (void)value;
    reading->version = true;
    return true;
}

static bool take_help(struct reading *reading, const char *value)
{
    (void)value;
    reading->help = true;
    return true;
}

#define SECONDS_ACCEPTED "seconds over 0 and up to 1000000, fractions allowed"

static const struct option {
    const char *name;
    bool (*take)(struct reading *reading, const char *value);
    const char *accepted; /* NULL: takes no value */
    bool repeatable;
} table[] = {
    {"--listen", take_listen,
     "vsock:[CID:]PORT, vsock://PORT, unix:PATH, or fd:N of a listening or connected stream socket", false},
    {"--port", take_port, "a port from 1 to 4294967294", false},
    {"--request-timeout", take_request_timeout, SECONDS_ACCEPTED, false},
    {"--io-timeout", take_io_timeout, SECONDS_ACCEPTED, false},
    {"--linger-timeout", take_linger_timeout, SECONDS_ACCEPTED, false},
    {"--max-requests", take_max_requests, "a number from 1 to 1024", false},
    {"--allow-cid", take_allow_cid, "a CID from 0 to 4294967295, or any", true},
    {"--ready-fd", take_ready_fd, "the number of an open descriptor", false},
    {"--quiet", take_quiet, NULL, false},
    {"--version", take_version, NULL, false},
    {"--help", take_help, NULL, false},
};
#define OPTION_COUNT (sizeof table / sizeof *table)

static bool complain_unknown(struct text *complaint, const char *argument)
{
    argument_unknown(complaint, argument);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        text_add(complaint, " ");
        text_add(complaint, table[i].name);
    }
    return false;
}

/* Return: the option that `argument` names, with *value what follows its '=', or NULL; NULL if there is none. */
static const struct option *find_option(const char *argument, const char **value)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (argument_names(argument, table[i].name, value))
            return &table[i];
    return NULL;
}

static bool read_arguments(struct reading *reading, int argc, char **argv, struct text *complaint)
{
    bool seen[OPTION_COUNT] = {false};

    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const struct option *option = find_option(argv[i], &value);

        if (option == NULL)
            return complain_unknown(complaint, argv[i]);
        if (seen[option - table] && !option->repeatable)
            return argument_refuse(complaint, option->name, "given twice", NULL, "once");
        seen[option - table] = true;
        if (option->accepted == NULL && value != NULL)
            return argument_refuse(complaint, option->name, "bad value", value, "no value");
        if (option->accepted != NULL && value == NULL && (value = argv[++i]) == NULL)
            return argument_refuse(complaint, option->name, "value missing", NULL, option->accepted);
        if (!option->take(reading, value))
            return argument_refuse(complaint, option->name, "bad value", value, option->accepted);
        if (reading->help || reading->version)
            return true; /* what comes behind does not matter */
    }
    if (!reading->listen_given && !seen[1]) {
        const char *port = getenv("SMOLVM_AGENT_PORT");

        if (port != NULL && port[0] != '\0' && !take_port(reading, port))
            return argument_refuse(complaint, "SMOLVM_AGENT_PORT", "bad value", port, table[1].accepted);
    }
    return true;
}

enum options_verdict options_read(struct options *options, int argc, char **argv, struct text *complaint)
{
    struct reading reading = {.options = options};

    *options = (struct options){
        .listen = {.kind = LISTEN_VSOCK, .cid = VMADDR_CID_ANY, .port = PROTOCOL_VSOCK_PORT, .fd = -1},
        .request_timeout = SECONDS_REQUEST_TIMEOUT * CLOCK_SECOND,
        .io_timeout = SECONDS_IO_TIMEOUT * CLOCK_SECOND,
        .linger_timeout = SECONDS_LINGER_TIMEOUT * CLOCK_SECOND,
        .max_requests = LIMIT_WORK_SLOTS,
        .ready_fd = -1,
    };
    options->peers.room =
        ((size_t)argc + 1) * sizeof *options->peers.cids; /* no more can be named than there are arguments */
    options->peers.cids = memory_map(options->peers.room);
    if (options->peers.cids == NULL) {
        text_add(complaint, "no memory");
        return OPTIONS_BAD;
    }
    if (!read_arguments(&reading, argc, argv, complaint))
        return OPTIONS_BAD;
    if (reading.help)
        return OPTIONS_HELP;
    return reading.version ? OPTIONS_VERSION : OPTIONS_SERVE;
}

void options_clear(struct options *options)
{
    memory_unmap(options->peers.cids, options->peers.room);
    options->peers = (struct peers){.count = 0};
}
