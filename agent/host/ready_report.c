#include "host/ready_report.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/clock.h"
#include "host/json_text.h"
#include "host/say.h"

#define LINE_ROOM 2048

static void add_name(struct text *text, const struct ready_probe *probe)
{
    text_add(text, probe_kind_name(probe->plan->kind));
    text_add(text, " ");
    text_add(text, probe->plan->address.text);
}

static const char *hint_of(const struct ready_probe *probe)
{
    return probe->plan->hint != NULL ? probe->plan->hint : ready_reason_hint(probe->reason);
}

void ready_tell_progress(const struct ready_run *run, int64_t now)
{
    char line[LINE_ROOM];
    struct text text = text_in(line, sizeof line);

    text_add_int(&text, (now - run->began) / CLOCK_SECOND);
    text_add(&text, " s:");
    for (size_t i = 0; i < run->options->count; i++) {
        const struct ready_probe *probe = &run->probes[i];

        text_add(&text, i > 0 ? "; " : " ");
        add_name(&text, probe);
        text_add(&text, " ");
        text_add(&text, probe->state == PROBE_ANSWERED ? "answers" : ready_reason_word(ready_probe_reason(probe)));
    }
    say("ready", line, NULL);
}

void ready_tell_failures(const struct ready_run *run, int64_t now)
{
    for (size_t i = 0; i < run->options->count; i++) {
        const struct ready_probe *probe = &run->probes[i];
        char line[LINE_ROOM];
        struct text text = text_in(line, sizeof line);

        if (probe->state == PROBE_ANSWERED)
            continue;
        add_name(&text, probe);
        text_add(&text, ": ");
        text_add(&text, ready_reason_word(probe->reason));
        text_add(&text, ": ");
        text_add(&text, probe->detail);
        text_add(&text, " (attempts: ");
        text_add_int(&text, probe->attempts);
        text_add(&text, ", seconds: ");
        json_add_seconds(&text, now - run->began);
        text_add(&text, "); hint: ");
        text_add(&text, hint_of(probe));
        say("ready", line, NULL);
    }
}

static void add_boolean(struct text *json, const char *name, bool value)
{
    text_add(json, name);
    text_add(json, value ? "true" : "false");
}

static void add_string_or_null(struct text *json, const char *name, const char *string)
{
    text_add(json, name);
    if (string == NULL)
        text_add(json, "null");
    else
        json_add_string(json, string);
}

static void add_probe(struct text *json, const struct ready_probe *probe, int64_t began, int64_t now)
{
    const bool ready = probe->state == PROBE_ANSWERED;

    text_add(json, "{\"kind\": ");
    json_add_string(json, probe_kind_name(probe->plan->kind));
    add_string_or_null(json, ", \"target\": ", probe->plan->address.text);
    add_boolean(json, ", \"ready\": ", ready);
    text_add(json, ", \"attempts\": ");
    text_add_int(json, probe->attempts);
    text_add(json, ", \"elapsed\": ");
    json_add_seconds(json, (ready ? probe->ended : now) - began);
    add_string_or_null(json, ", \"reason\": ", ready ? NULL : ready_reason_word(probe->reason));
    add_string_or_null(json, ", \"detail\": ", ready ? NULL : probe->detail);
    add_string_or_null(json, ", \"hint\": ", ready ? NULL : hint_of(probe));
    text_add(json, "}");
}

#define PIECE    4096 /* a pipe that poll() finds writable takes as much */
#define PATIENCE 100  /* milliseconds for a reader that takes nothing */

/* A reader that is slow, full or gone holds up nothing (READY-TIMES, READY-SIGNAL). */
static void write_out(const char *bytes, size_t length)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    while (length > 0 && poll(&out, 1, PATIENCE) == 1) {
        const ssize_t written = write(out.fd, bytes, length < PIECE ? length : PIECE);

        if (written < 0)
            return;
        bytes += written;
        length -= (size_t)written;
    }
}

#define FIXED_ROOM 512 /* names, numbers and words of an object */

void ready_tell_json(const struct ready_run *run, bool ready, int64_t now)
{
    size_t room = FIXED_ROOM;
    struct text json;
    char *bytes;

    for (size_t i = 0; i < run->options->count; i++)
        room += FIXED_ROOM + json_string_room(run->probes[i].plan->address.text) +
                json_string_room(run->probes[i].detail) + json_string_room(hint_of(&run->probes[i]));
    bytes = malloc(room);
    if (bytes == NULL)
        return;
    json = text_in(bytes, room);
    add_boolean(&json, "{\"ready\": ", ready);
    text_add(&json, ", \"elapsed\": ");
    json_add_seconds(&json, now - run->began);
    text_add(&json, ", \"probes\": [");
    for (size_t i = 0; i < run->options->count; i++) {
        text_add(&json, i > 0 ? ", " : "");
        add_probe(&json, &run->probes[i], run->began, now);
    }
    text_add(&json, "]}\n");
    write_out(bytes, json.length);
    free(bytes);
}
