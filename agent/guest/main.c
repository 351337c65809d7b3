/* smolvm-guest-agent: life cycle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/desk.h"
#include "guest/footprint.h"
#include "guest/notify.h"
#include "wire/version.h"

#define EXIT_FAILED    1
#define EXIT_USAGE     2
#define INSTANCE_BYTES 16

static void print(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0) {
        /* Nobody to tell. */
    }
}

static void draw_instance(char out[2 * INSTANCE_BYTES + 1])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[INSTANCE_BYTES];

    sys_linux.random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        out[2 * i] = hex[bytes[i] >> 4];
        out[2 * i + 1] = hex[bytes[i] & 15U];
    }
    out[2 * INSTANCE_BYTES] = '\0';
}

static void ready(const struct desk_setup *setup)
{
    log_event(setup->log, "version ", agent_version, " is ready", NULL);
    notify_ready(setup->options->ready_fd, setup->log);
}

static int serve(const struct options *options, struct log *log)
{
    char instance[2 * INSTANCE_BYTES + 1];
    char reason[256];
    struct text complaint = text_in(reason, sizeof reason);
    struct origin origin;
    struct listener listener;
    struct desk_setup setup = {
        .sys = &sys_linux,
        .options = options,
        .origin = &origin,
        .log = log,
        .listener = &listener,
        .instance = instance,
    };

    footprint_prepare();
    start_process(&origin);
    draw_instance(instance);
    setup.signals = start_signals();
    setup.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (setup.signals < 0 || setup.stop < 0) {
        log_fatal(log, "cannot start: ", strerror(errno), NULL);
        return EXIT_FAILED;
    }
    if (!listen_open(&listener, &options->listen, &complaint) || !desk_run(&setup, ready, &complaint)) {
        log_fatal(log, reason, NULL);
        return EXIT_FAILED;
    }
    log_event(log, "stopped", NULL);
    return 0;
}

int main(int argc, char **argv)
{
    struct log log = {.quiet = false};
    char reason[512];
    struct text complaint = text_in(reason, sizeof reason);
    struct options options;

    int status = 0;

    switch (options_read(&options, argc, argv, &complaint)) {
    case OPTIONS_HELP:
        print(options_help);
        break;
    case OPTIONS_VERSION:
        print(LOG_NAME " ");
        print(agent_version);
        print("\n");
        break;
    case OPTIONS_BAD:
        log_fatal(&log, reason, NULL);
        status = EXIT_USAGE;
        break;
    case OPTIONS_SERVE:
        log.quiet = options.quiet;
        status = serve(&options, &log);
        break;
    }
    options_clear(&options);
    exit(status); /* not return: a worker that did not stop in time may still look at what stands here */
}
