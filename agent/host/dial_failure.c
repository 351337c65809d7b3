/* How an attempt failed: the one table from errno to what a dial tells. */
#include <errno.h>
#include <string.h>

#include "host/dial_parts.h"

enum dial_verdict dial_fail(struct dial *dial, enum dial_failure failure, const char *reason)
{
    dial->failure = failure;
    dial->reason = reason;
    return DIAL_FAILED;
}

enum dial_verdict dial_fail_errno(struct dial *dial, int err)
{
    const bool vsock = dial->dialer->target.kind == ADDRESS_VSOCK;

    switch (err) {
    case ECONNREFUSED:
        return dial_fail(dial, DIAL_REFUSED, "nothing listens there");
    case ECONNRESET: /* vsock: the guest is there, and nobody listens on the port */
        return dial_fail(dial, vsock ? DIAL_REFUSED : DIAL_CLOSED, vsock ? "nothing listens there" : strerror(err));
    case EAGAIN: /* of a Unix socket */
        return dial_fail(dial, DIAL_UNREACHABLE, "its queue of connections is full");
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
        return dial_fail(dial, DIAL_ABSENT, strerror(err));
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return dial_fail(dial, DIAL_UNREACHABLE, strerror(err));
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return dial_fail(dial, DIAL_SHORT, strerror(err));
    default:
        return dial_fail(dial, DIAL_OTHER, strerror(err));
    }
}
