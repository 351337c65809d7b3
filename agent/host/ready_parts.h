/* What the two halves of reading `guestwire ready`'s command line share: the table of its options, and the walk over
 * its arguments. Private to them. */
#ifndef HOST_READY_PARTS_H
#define HOST_READY_PARTS_H

#include "host/ready_options.h"

#define READY_KINDS  "agent, ssh, tcp-banner, http, notify"
#define READY_NOTIFY "unix:PATH or vsock:PORT, once"

/* The state of one reading. `probe` is the one that options may belong to, NULL before the first. */
struct reading {
    struct ready_options *options;
    struct probe_plan *probe;
    unsigned seen;      /* options of the whole, a bit for each entry of the table */
    unsigned seen_here; /* options of this probe */
    bool all;
    enum ready_command command;
};

struct ready_option {
    const char *name;
    bool (*take)(struct reading *reading, const char *value);
    const char *accepted; /* its value; for a flag what goes with it */
    bool flag;
    unsigned kinds; /* of the probe that it belongs to, a bit for each; 0: it belongs to the whole */
};

#define READY_OPTIONS 13
extern const struct ready_option ready_table[READY_OPTIONS];

/* TARGET of the probe at hand. Return: false if its kind does not take that. */
bool ready_take_target(struct reading *reading, const char *value);

#endif
