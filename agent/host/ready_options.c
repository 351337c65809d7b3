#include "host/ready_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/argument.h"
#include "guest/clock.h"
#include "host/ready_parts.h"

static const char *const kinds[] = {"agent", "ssh", "tcp-banner", "http", "notify"};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

const char *probe_kind_name(enum probe_kind kind)
{
    return kinds[kind];
}

static bool complain_unknown(struct text *complaint, const char *argument)
{
    argument_unknown(complaint, argument);
    text_add(complaint, " KIND TARGET with KIND one of " READY_KINDS ", and");
    for (size_t i = 0; i < READY_OPTIONS; i++) {
        text_add(complaint, " ");
        text_add(complaint, ready_table[i].name);
    }
    return false;
}

/* Return: the option that `argument` names, with *value what follows its '=', or NULL; NULL if there is none. */
static const struct ready_option *find_option(const char *argument, const char **value)
{
    for (size_t i = 0; i < READY_OPTIONS; i++)
        if (argument_names(argument, ready_table[i].name, value))
            return &ready_table[i];
    return NULL;
}

/* `next` is the argument after it, or NULL. Return: false with a complaint; *used says whether that was its value. */
static bool read_option(struct reading *reading, const struct ready_option *option, const char *value, const char *next,
                        bool *used, struct text *complaint)
{
    const unsigned bit = 1U << (option - ready_table);
    unsigned *seen = option->kinds == 0 ? &reading->seen : &reading->seen_here;

    *used = false;
    if (option->kinds != 0 && (reading->probe == NULL || (option->kinds & 1U << reading->probe->kind) == 0))
        return argument_refuse(
            complaint, option->name, "not behind a probe that takes it", NULL,
            "--expect with tcp-banner, --path and --status with http, --listen with notify, --hint with all");
    if ((*seen & bit) != 0)
        return argument_refuse(complaint, option->name, "given twice", NULL, "once");
    *seen |= bit;
    if (option->flag && value != NULL)
        return argument_refuse(complaint, option->name, "bad value", value, "no value");
    if (!option->flag && value == NULL) {
        if (next == NULL)
            return argument_refuse(complaint, option->name, "value missing", NULL, option->accepted);
        value = next;
        *used = true;
    }
    return option->take(reading, value) ||
           argument_refuse(complaint, option->name, "bad value", value, option->accepted);
}

/* Return: false with a complaint where something of the probe at hand is missing. */
static bool end_probe(const struct reading *reading, struct text *complaint)
{
    const struct probe_plan *probe = reading->probe;

    if (probe == NULL)
        return true;
    if (probe->address.text == NULL)
        return argument_refuse(complaint, probe_kind_name(probe->kind), "TARGET missing", NULL,
                               probe->kind == PROBE_NOTIFY ? READY_NOTIFY : ADDRESS_TARGETS);
    if (probe->kind == PROBE_BANNER && probe->expect == NULL)
        return argument_refuse(complaint, "tcp-banner", "--expect missing", NULL, "--expect PREFIX");
    return true;
}

/* Begin the probe that `kind` names. `target` is what follows, or NULL. Return: false with a complaint; *used says
 * whether that was its target. */
static bool begin_probe(struct reading *reading, const char *kind, const char *target, bool *used,
                        struct text *complaint)
{
    size_t index = 0;

    while (index < KIND_COUNT && strcmp(kinds[index], kind) != 0)
        index++;
    if (index == KIND_COUNT)
        return complain_unknown(complaint, kind);
    if (!end_probe(reading, complaint))
        return false;
    reading->probe = &reading->options->probes[reading->options->count++];
    *reading->probe = (struct probe_plan){.kind = (enum probe_kind)index, .path = "/", .status = 200};
    reading->seen_here = 0;
    *used = target != NULL && strncmp(target, "--", 2) != 0;
    if (!*used || ready_take_target(reading, target))
        return true;
    return argument_refuse(complaint, kind, "bad target", target,
                           reading->probe->kind == PROBE_NOTIFY ? READY_NOTIFY : ADDRESS_TARGETS);
}

static bool read_arguments(struct reading *reading, int argc, char **argv, struct text *complaint)
{
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const struct ready_option *option = find_option(argv[i], &value);
        bool used = false;

        if (option == NULL ? !begin_probe(reading, argv[i], argv[i + 1], &used, complaint)
                           : !read_option(reading, option, value, argv[i + 1], &used, complaint))
            return false;
        i += used ? 1 : 0;
    }
    if (reading->command != READY_RUN)
        return true;
    if (reading->probe == NULL)
        return argument_refuse(complaint, "ready", "no probe", NULL, "KIND TARGET with KIND one of " READY_KINDS);
    return end_probe(reading, complaint);
}

enum ready_command ready_options_read(struct ready_options *options, int argc, char **argv, struct text *complaint)
{
    struct reading reading = {.options = options, .command = READY_RUN};

    *options = (struct ready_options){
        .probes = calloc((size_t)argc, sizeof *options->probes),
        .timeout = 60 * CLOCK_SECOND,
        .interval = CLOCK_SECOND / 5,
        .attempt_timeout = 5 * CLOCK_SECOND,
    };
    if (options->probes == NULL) {
        text_add(complaint, strerror(ENOMEM));
        return READY_BAD;
    }
    return read_arguments(&reading, argc, argv, complaint) ? reading.command : READY_BAD;
}

void ready_options_clear(struct ready_options *options)
{
    free(options->probes);
    options->probes = NULL;
    options->count = 0;
}
