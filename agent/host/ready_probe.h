/* One probe: attempt after attempt until the service has answered (READY-LATER), or one notification. Driven by the
 * caller's poll, and never blocks. */
#ifndef HOST_READY_PROBE_H
#define HOST_READY_PROBE_H

#include "host/dial.h"
#include "host/probe_talk.h"
#include "host/ready_listen.h"
#include "host/ready_options.h"
#include "host/ready_reason.h"

#define PROBE_DETAIL 512

enum probe_state {
    PROBE_PAUSES, /* until `wake` */
    PROBE_DIALS,  /* these two at the longest until `wake` */
    PROBE_TALKS,
    PROBE_LISTENS,
    PROBE_ANSWERED,
    PROBE_BROKEN /* it cannot be tried, now or later */
};

struct ready_probe {
    const struct probe_plan *plan;
    const struct ready_options *options;
    enum probe_state state;
    int64_t wake;
    int64_t began; /* the attempt at hand */
    int64_t ended; /* valid in PROBE_ANSWERED */
    unsigned attempts;

    bool has_reason;
    enum ready_reason reason; /* of the last attempt that failed; valid with has_reason */
    char detail[PROBE_DETAIL];

    struct probe_request request;
    struct dialer dialer;
    struct dial dial;
    struct probe_talk talk;
    struct ready_listen listen;
};

/* Return: how many descriptors a probe of that kind polls at once. */
static inline size_t probe_polled(enum probe_kind kind)
{
    return kind == PROBE_NOTIFY ? LISTEN_POLLED : 1;
}

/* Make it ready to be stepped; of kind notify: listen. *plan and *options have to outlive it. Before any thread is
 * started. Whatever fails makes it PROBE_BROKEN, with its reason. */
void ready_probe_open(struct ready_probe *probe, const struct probe_plan *plan, const struct ready_options *options);

/* Return: when it wants to be stepped whatever happens, CLOCK_NEVER if never, and in `polled` (probe_polled() of
 * them, all are written) for what else. */
int64_t ready_probe_wants(const struct ready_probe *probe, struct pollfd *polled);

/* Go on, as poll() left `polled`. `now` as of clock.h. */
void ready_probe_step(struct ready_probe *probe, const struct pollfd *polled, int64_t now);

/* The time is over: end the attempt at hand, if there is one, and give the probe a reason. */
void ready_probe_cut(struct ready_probe *probe, int64_t now);

/* Return: why it has not answered yet, at any time. */
enum ready_reason ready_probe_reason(const struct ready_probe *probe);

/* Close and free what it holds; what it tells stays. */
void ready_probe_close(struct ready_probe *probe);

#endif
