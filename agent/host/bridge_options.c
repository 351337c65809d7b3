#include "host/bridge_options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/argument.h"
#include "guest/clock.h"
#include "guest/number.h"

#define LONGEST_TIMEOUT 1000000 /* seconds */
#define DEFAULT_TIMEOUT 30
#define FIRST_PASSED_FD 3 /* of LISTEN_FDS */

const char bridge_help[] =
    "usage: guestwire bridge --listen ADDRESS --connect TARGET [OPTIONS]\n"
    "  --connect TARGET        unix:PATH, tcp:HOST:PORT, vsock:CID:PORT or hybrid:PATH:PORT\n"
    "  --listen ADDRESS        unix:PATH, tcp:HOST:PORT, vsock:[CID:]PORT, hybrid:PATH:PORT or fd:N\n"
    "                          (default: descriptor 3, where LISTEN_PID and LISTEN_FDS=1 hand it over)\n"
    "  --allow-remote          listen on a TCP address that is not loopback\n"
    "  --connect-timeout S     seconds a client waits for the guest (default 30)\n"
    "  --exit-with-parent      end when the process ends that started this one\n"
    "  --ready-fd N            write READY=1 there once connections are accepted\n"
    "  --status PATH           keep a JSON object there that says how it goes\n"
    "  --version, --help\n";

/* The state of one reading. */
struct reading {
    struct bridge_options *options;
    bool help;
    bool version;
};

static bool is_listening(int fd)
{
    int type = 0;
    int listening = 0;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

static bool take_listen(struct reading *reading, const char *value)
{
    struct address *listen = &reading->options->listen;

    return address_read_listen(listen, value) && (listen->kind != ADDRESS_FD || is_listening(listen->fd));
}

static bool take_connect(struct reading *reading, const char *value)
{
    return address_read_target(&reading->options->connect, value);
}

static bool take_connect_timeout(struct reading *reading, const char *value)
{
    return number_read_seconds(value, LONGEST_TIMEOUT, &reading->options->connect_timeout);
}

static bool take_ready_fd(struct reading *reading, const char *value)
{
    uint64_t number;

    if (!number_read(value, 0, INT32_MAX, &number) || fcntl((int)number, F_GETFD) < 0)
        return false;
    reading->options->ready_fd = (int)number;
    return true;
}

static bool take_status(struct reading *reading, const char *value)
{
    reading->options->status = value;
    return value[0] != '\0';
}

static bool take_allow_remote(struct reading *reading, const char *value)
{
    (void)value;
    return reading->options->allow_remote = true;
}

static bool take_exit_with_parent(struct reading *reading, const char *value)
{
    (void)value;
    return reading->options->exit_with_parent = true;
}

static bool take_version(struct reading *reading, const char *value)
{
    (void)value;
    return reading->version = true;
}

static bool take_help(struct reading *reading, const char *value)
{
    (void)value;
    return reading->help = true;
}

enum { LISTEN, CONNECT };

static const struct option {
    const char *name;
    bool (*take)(struct reading *reading, const char *value);
    const char *accepted; /* NULL: takes no value */
} table[] = {
    [LISTEN] = {"--listen", take_listen, ADDRESS_LISTENS},
    [CONNECT] = {"--connect", take_connect, ADDRESS_TARGETS},
    {"--connect-timeout", take_connect_timeout, "seconds over 0 and up to 1000000, fractions allowed"},
    {"--allow-remote", take_allow_remote, NULL},
    {"--exit-with-parent", take_exit_with_parent, NULL},
    {"--ready-fd", take_ready_fd, "the number of an open descriptor"},
    {"--status", take_status, "a path"},
    {"--version", take_version, NULL},
    {"--help", take_help, NULL},
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

/* A descriptor handed over by the environment. Return: false if there is none for this process. */
static bool take_passed(struct reading *reading)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    uint64_t number;

    return pid != NULL && count != NULL && number_read(pid, 1, INT32_MAX, &number) && (pid_t)number == getpid() &&
           strcmp(count, "1") == 0 && take_listen(reading, "fd:" TEXT_OF(FIRST_PASSED_FD));
}

static bool read_arguments(struct reading *reading, int argc, char **argv, struct text *complaint)
{
    bool seen[OPTION_COUNT] = {false};

    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const struct option *option = find_option(argv[i], &value);

        if (option == NULL)
            return complain_unknown(complaint, argv[i]);
        if (seen[option - table])
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
    if (!seen[CONNECT])
        return argument_refuse(complaint, table[CONNECT].name, "missing", NULL, ADDRESS_TARGETS);
    if (!seen[LISTEN] && !take_passed(reading))
        return argument_refuse(complaint, table[LISTEN].name, "missing", NULL,
                               ADDRESS_LISTENS ", or LISTEN_PID and LISTEN_FDS=1 with a listening descriptor 3");
    return true;
}

enum bridge_verdict bridge_options_read(struct bridge_options *options, int argc, char **argv, struct text *complaint)
{
    struct reading reading = {.options = options};

    *options = (struct bridge_options){.connect_timeout = DEFAULT_TIMEOUT * CLOCK_SECOND, .ready_fd = -1};
    if (!read_arguments(&reading, argc, argv, complaint))
        return BRIDGE_BAD;
    if (reading.help)
        return BRIDGE_HELP;
    return reading.version ? BRIDGE_VERSION : BRIDGE_SERVE;
}
