/* The bridge's command line (BRIDGE-TARGET, BRIDGE-ADDRESS, BRIDGE-USAGE), and socket activation's environment. */
#ifndef HOST_BRIDGE_OPTIONS_H
#define HOST_BRIDGE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/address.h"
#include "wire/text.h"

struct bridge_options {
    struct address listen;
    struct address connect;
    int64_t connect_timeout; /* ns */
    bool allow_remote;
    bool exit_with_parent;
    int ready_fd;       /* -1: none */
    const char *status; /* NULL: none */
};

enum bridge_verdict {
    BRIDGE_SERVE,
    BRIDGE_HELP,
    BRIDGE_VERSION,
    BRIDGE_BAD /* *complaint says what is wrong and what is accepted, in one line */
};

/* Read the whole command line; nothing is opened or bound. Return: the verdict. */
enum bridge_verdict bridge_options_read(struct bridge_options *options, int argc, char **argv, struct text *complaint);

/* What --help prints. */
extern const char bridge_help[];

#endif
