/* The command line of `guestwire ready` (READY-USAGE). */
#ifndef HOST_READY_OPTIONS_H
#define HOST_READY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/address.h"
#include "wire/text.h"

enum probe_kind { PROBE_AGENT, PROBE_SSH, PROBE_BANNER, PROBE_HTTP, PROBE_NOTIFY };

/* One KIND with its TARGET and the options that follow it. What points, points into argv. */
struct probe_plan {
    enum probe_kind kind;
    struct address address; /* notify: where to listen, unix or vsock */
    const char *expect;     /* tcp-banner: not empty */
    const char *path;       /* http */
    unsigned status;        /* http */
    const char *hint;       /* NULL: by the reason */
};

struct ready_options {
    struct probe_plan *probes; /* at least one */
    size_t count;
    bool any;
    bool json;
    int64_t timeout; /* nanoseconds, these three */
    int64_t interval;
    int64_t attempt_timeout;
};

enum ready_command { READY_RUN, READY_HELP, READY_VERSION, READY_BAD };

extern const char ready_help[];

/* Return: the kind's name on the command line. */
const char *probe_kind_name(enum probe_kind kind);

/* Read argv (argv[0] is not looked at). Return: what to do; READY_BAD with a one-line reason in *complaint, which says
 * what is accepted. ready_options_clear() frees, after READY_BAD too. */
enum ready_command ready_options_read(struct ready_options *options, int argc, char **argv, struct text *complaint);

void ready_options_clear(struct ready_options *options);

#endif
