/* guestwire ready: one thread, one poll loop over all probes (READY-MANY). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/clock.h"
#include "host/command.h"
#include "host/ready_report.h"
#include "host/ready_start.h"
#include "host/say.h"

#define PROGRESS CLOCK_SECOND

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

struct loop {
    const struct ready_run *run;
    struct pollfd *polled; /* probe_polled() for each probe, and one for signals */
    size_t count;
    int64_t end;
    int64_t progress; /* when the next line is due; CLOCK_NEVER: none is wanted */
};

/* Return: true once enough probes have answered. */
static bool enough(const struct ready_run *run)
{
    size_t answered = 0;

    for (size_t i = 0; i < run->options->count; i++)
        answered += run->probes[i].state == PROBE_ANSWERED ? 1 : 0;
    return run->options->any ? answered > 0 : answered == run->options->count;
}

static bool any_broken(const struct ready_run *run)
{
    for (size_t i = 0; i < run->options->count; i++)
        if (run->probes[i].state == PROBE_BROKEN)
            return true;
    return false;
}

/* Poll for what the probes want, and for signals. Return: false with errno. */
static bool wait_for_events(const struct loop *loop)
{
    const struct ready_run *run = loop->run;
    int64_t due = clock_earlier(loop->end, loop->progress);
    struct pollfd *polled = loop->polled;

    for (size_t i = 0; i < run->options->count; i++) {
        due = clock_earlier(due, ready_probe_wants(&run->probes[i], polled));
        polled += probe_polled(run->probes[i].plan->kind);
    }
    return poll(loop->polled, loop->count, clock_milliseconds(now(), due)) >= 0;
}

static void step(const struct loop *loop, int64_t time)
{
    const struct ready_run *run = loop->run;
    const struct pollfd *polled = loop->polled;

    for (size_t i = 0; i < run->options->count; i++) {
        ready_probe_step(&run->probes[i], polled, time);
        polled += probe_polled(run->probes[i].plan->kind);
    }
}

/* Return: the exit status. */
static int watch(struct loop *loop, int signals)
{
    const struct ready_run *run = loop->run;
    struct pollfd *const stop = &loop->polled[loop->count - 1];
    int status;

    *stop = (struct pollfd){.fd = signals, .events = POLLIN};
    while (!any_broken(run)) {
        int64_t time;

        if (!wait_for_events(loop)) {
            if (errno == EINTR)
                continue;
            say("ready", "cannot poll: ", strerror(errno), NULL);
            return EXIT_FAILED;
        }
        if (stop->revents != 0 && (status = ready_stopped(signals)) != EXIT_OK)
            return status;
        time = now();
        step(loop, time);
        if (enough(run))
            return EXIT_OK;
        if (time >= loop->end)
            return EXIT_FAILED;
        if (time >= loop->progress) {
            ready_tell_progress(run, time);
            loop->progress += PROGRESS;
        }
    }
    return EXIT_FAILED;
}

static int run_probes(struct ready_run *run)
{
    const struct ready_options *options = run->options;
    struct loop loop = {
        .run = run,
        .count = 1,
        .end = clock_after(run->began, options->timeout),
        .progress = isatty(STDERR_FILENO) == 1 ? clock_after(run->began, PROGRESS) : CLOCK_NEVER,
    };
    const int signals = ready_start();
    int status = EXIT_FAILED;

    for (size_t i = 0; i < options->count; i++) {
        ready_probe_open(&run->probes[i], &options->probes[i], options);
        loop.count += probe_polled(options->probes[i].kind);
    }
    loop.polled = calloc(loop.count, sizeof *loop.polled);
    if (loop.polled == NULL || signals < 0)
        say("ready", "cannot start: ", strerror(errno), NULL);
    else
        status = watch(&loop, signals);

    const int64_t ended = now();
    for (size_t i = 0; i < options->count; i++) {
        ready_probe_cut(&run->probes[i], ended);
        ready_probe_close(&run->probes[i]);
    }
    if (status == EXIT_FAILED)
        ready_tell_failures(run, ended);
    if (options->json)
        ready_tell_json(run, status == EXIT_OK, ended);
    if (signals >= 0)
        close(signals);
    free(loop.polled);
    return status;
}

static int run(const struct ready_options *options)
{
    struct ready_run run = {.options = options, .began = now()};
    int status;

    run.probes = calloc(options->count, sizeof *run.probes);
    if (run.probes == NULL) {
        say("ready", "cannot start: ", strerror(ENOMEM), NULL);
        return EXIT_FAILED;
    }
    status = run_probes(&run);
    free(run.probes);
    return status;
}

int ready_main(int argc, char **argv)
{
    char reason[1024];
    struct text complaint = text_in(reason, sizeof reason);
    struct ready_options options;
    int status = EXIT_USAGE;

    switch (ready_options_read(&options, argc, argv, &complaint)) {
    case READY_HELP:
        status = say_out(ready_help);
        break;
    case READY_VERSION:
        status = say_version();
        break;
    case READY_BAD:
        say("ready", reason, NULL);
        break;
    case READY_RUN:
        status = run(&options);
        break;
    }
    ready_options_clear(&options);
    return status;
}
