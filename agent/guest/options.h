/* The command line (SRV-LISTEN, SRV-PEER, SRV-READY) and the two environment variables that stand in for it. */
#ifndef GUEST_OPTIONS_H
#define GUEST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/text.h"

enum listen_kind { LISTEN_VSOCK, LISTEN_UNIX, LISTEN_FD };

struct listen_address {
    enum listen_kind kind;
    uint32_t cid; /* vsock */
    uint32_t port;
    const char *path; /* unix */
    int fd;           /* fd */
};

/* Which vsock peers are served besides the host (SRV-PEER). */
struct peers {
    bool any;
    size_t count;
    uint32_t *cids; /* owned; options_clear() */
    size_t room;    /* bytes at cids */
};

struct options {
    struct listen_address listen;
    struct peers peers;
    int64_t request_timeout; /* ns, all three */
    int64_t io_timeout;
    int64_t linger_timeout;
    unsigned max_requests;
    int ready_fd; /* -1: none */
    bool quiet;
};

enum options_verdict {
    OPTIONS_SERVE,
    OPTIONS_HELP,
    OPTIONS_VERSION,
    OPTIONS_BAD /* *complaint says what is wrong and what is accepted, in one line */
};

/* Read the whole command line; nothing is opened or bound. Return: the verdict. */
enum options_verdict options_read(struct options *options, int argc, char **argv, struct text *complaint);

/* Free what the options hold. */
void options_clear(struct options *options);

/* What --help prints. */
extern const char options_help[];

#endif
