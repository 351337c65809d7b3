/* What `guestwire ready` tells: progress, failures, JSON (READY-EXIT, READY-HINT, READY-JSON, READY-PROGRESS). */
#ifndef HOST_READY_REPORT_H
#define HOST_READY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/ready_probe.h"

struct ready_run {
    const struct ready_options *options;
    struct ready_probe *probes; /* options->count */
    int64_t began;
};

/* One line on stderr: for how long, and why each probe has not answered. */
void ready_tell_progress(const struct ready_run *run, int64_t now);

/* A line on stderr for each probe that has not answered. They all have a reason (ready_probe_cut()). */
void ready_tell_failures(const struct ready_run *run, int64_t now);

/* One JSON object on stdout, as far as its reader takes it. What has no answer has a reason. */
void ready_tell_json(const struct ready_run *run, bool ready, int64_t now);

#endif
