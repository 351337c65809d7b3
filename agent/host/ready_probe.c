#include "host/ready_probe.h"

#include <errno.h>
#include <string.h>

#include "guest/clock.h"

/* An attempt that the end of all cuts short is the last word only after this long: one that has just begun would have
 * told more. */
#define COUNTS_AFTER (CLOCK_SECOND / 4)

static void give_reason(struct ready_probe *probe, enum ready_reason reason, const char *detail)
{
    struct text text = text_in(probe->detail, sizeof probe->detail);

    text_add(&text, detail);
    probe->has_reason = true;
    probe->reason = reason;
}

static void break_off(struct ready_probe *probe, const char *why)
{
    give_reason(probe, READY_FAILED, why);
    probe->state = PROBE_BROKEN;
}

void ready_probe_open(struct ready_probe *probe, const struct probe_plan *plan, const struct ready_options *options)
{
    const char *reason;

    *probe = (struct ready_probe){.plan = plan, .options = options, .state = PROBE_PAUSES};
    probe->talk.fd = -1;
    probe->dial.fd = -1;
    if (plan->kind == PROBE_NOTIFY) {
        probe->state = PROBE_LISTENS;
        probe->attempts = 1;
        reason = ready_listen_open(&probe->listen, &plan->address);
        if (reason != NULL)
            break_off(probe, reason);
        return;
    }
    if (!probe_request_make(&probe->request, plan) || !dialer_open(&probe->dialer, &plan->address)) {
        break_off(probe, strerror(errno));
        return;
    }
    probe->dialer.attempt = options->attempt_timeout;
    dial_prepare(&probe->dial, &probe->dialer);
}

/* The attempt has failed; the next one starts an interval later. */
static void end_attempt(struct ready_probe *probe, enum ready_reason reason, const char *detail, int64_t now)
{
    dial_drop(&probe->dial);
    probe_talk_end(&probe->talk);
    give_reason(probe, reason, detail);
    probe->state = PROBE_PAUSES;
    probe->wake = clock_after(now, probe->options->interval);
}

static void answer(struct ready_probe *probe, int64_t now)
{
    probe_talk_end(&probe->talk);
    probe->state = PROBE_ANSWERED;
    probe->ended = now;
}

static void step_talk(struct ready_probe *probe, int64_t now)
{
    char words[PROBE_DETAIL];
    struct text detail = text_in(words, sizeof words);
    enum ready_reason reason = READY_FAILED;

    switch (probe_talk_step(&probe->talk, &reason, &detail)) {
    case VERDICT_MORE:
        break;
    case VERDICT_ACCEPTED:
        answer(probe, now);
        break;
    case VERDICT_REFUSED:
        end_attempt(probe, reason, words, now);
        break;
    }
}

static void went(struct ready_probe *probe, enum dial_verdict verdict, int64_t now)
{
    switch (verdict) {
    case DIAL_WAITS:
        break;
    case DIAL_DONE:
        probe_talk_begin(&probe->talk, probe->plan, &probe->request, dial_take(&probe->dial));
        probe->state = PROBE_TALKS;
        step_talk(probe, now);
        break;
    case DIAL_FAILED:
        end_attempt(probe, ready_reason_of_dial(probe->dial.failure), probe->dial.reason, now);
        break;
    }
}

/* Return: why there is no answer yet, of the attempt at hand alone. */
static enum ready_reason cut_reason(const struct ready_probe *probe, struct text *detail)
{
    if (probe->state == PROBE_TALKS)
        return probe_talk_cut(&probe->talk, detail);
    switch (probe->dial.state) {
    case DIAL_NAME:
        text_add(detail, "no answer of the resolver");
        return READY_UNRESOLVED;
    case DIAL_CONNECT:
        text_add(detail, "no answer to the connection");
        return READY_UNREACHABLE;
    case DIAL_ASK:
    case DIAL_ANSWER:
        break;
    }
    text_add(detail, "no whole answer to CONNECT");
    return probe->dial.length > 0 ? READY_INCOMPLETE : READY_SILENT;
}

static void cut(struct ready_probe *probe, int64_t now)
{
    char words[PROBE_DETAIL];
    struct text detail = text_in(words, sizeof words);
    const enum ready_reason reason = cut_reason(probe, &detail);

    end_attempt(probe, reason, words, now);
}

void ready_probe_step(struct ready_probe *probe, const struct pollfd *polled, int64_t now)
{
    if (probe->state == PROBE_LISTENS && ready_listen_step(&probe->listen, polled))
        answer(probe, now);
    else if (probe->state == PROBE_DIALS && (polled[0].revents != 0 || now >= probe->dial.until))
        went(probe, dial_step(&probe->dial, now), now);
    else if (probe->state == PROBE_TALKS && polled[0].revents != 0)
        step_talk(probe, now);

    if ((probe->state == PROBE_DIALS || probe->state == PROBE_TALKS) && now >= probe->wake)
        cut(probe, now);
    if (probe->state == PROBE_PAUSES && now >= probe->wake) {
        probe->attempts++;
        probe->began = now;
        probe->wake = clock_after(now, probe->options->attempt_timeout);
        probe->state = PROBE_DIALS;
        went(probe, dial_start(&probe->dial, now), now);
    }
}

int64_t ready_probe_wants(const struct ready_probe *probe, struct pollfd *polled)
{
    for (size_t i = 0; i < probe_polled(probe->plan->kind); i++)
        polled[i] = (struct pollfd){.fd = -1};
    switch (probe->state) {
    case PROBE_LISTENS:
        ready_listen_events(&probe->listen, polled);
        return CLOCK_NEVER;
    case PROBE_DIALS:
        polled[0] = probe->dial.state == DIAL_NAME
                        ? (struct pollfd){.fd = resolver_fd(probe->dialer.resolver), .events = POLLIN}
                        : (struct pollfd){.fd = probe->dial.fd, .events = probe->dial.events};
        return clock_earlier(probe->wake, probe->dial.until);
    case PROBE_TALKS:
        polled[0] = (struct pollfd){.fd = probe->talk.fd, .events = probe_talk_events(&probe->talk)};
        return probe->wake;
    case PROBE_PAUSES:
        return probe->wake;
    case PROBE_ANSWERED:
    case PROBE_BROKEN:
        break;
    }
    return CLOCK_NEVER;
}

enum ready_reason ready_probe_reason(const struct ready_probe *probe)
{
    char room[1]; /* what it would say is not needed */
    struct text none = text_in(room, sizeof room);

    if (probe->has_reason)
        return probe->reason;
    return probe->state == PROBE_LISTENS ? READY_WAITING : cut_reason(probe, &none);
}

void ready_probe_cut(struct ready_probe *probe, int64_t now)
{
    if (probe->state == PROBE_LISTENS)
        give_reason(probe, READY_WAITING, "no READY=1 came");
    if (probe->state == PROBE_PAUSES && !probe->has_reason)
        give_reason(probe, READY_FAILED, "not tried yet");
    if (probe->state != PROBE_DIALS && probe->state != PROBE_TALKS)
        return;
    if (!probe->has_reason || now - probe->began >= COUNTS_AFTER)
        cut(probe, now);
}

void ready_probe_close(struct ready_probe *probe)
{
    dial_drop(&probe->dial);
    probe_talk_end(&probe->talk);
    if (probe->plan->kind == PROBE_NOTIFY)
        ready_listen_close(&probe->listen);
    else
        dialer_close(&probe->dialer);
    probe_request_clear(&probe->request);
}
