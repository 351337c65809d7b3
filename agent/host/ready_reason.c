#include "host/ready_reason.h"

static const struct {
    const char *word;
    const char *hint;
} table[] = {
    [READY_REFUSED] = {"refused", "nothing listens there: is the service started, is the port right?"},
    [READY_ABSENT] = {"absent", "nothing is there yet: is the VM started, is the path or CID right?"},
    [READY_UNRESOLVED] = {"unresolved", "the name has no address: is it spelled right, does the resolver answer?"},
    [READY_UNREACHABLE] = {"unreachable", "nobody answers at that address: is the VM's network up, does a firewall "
                                          "drop the connection?"},
    [READY_CLOSED] = {"closed", "accepted, then closed: a forwarder listens, the guest does not yet; or the service "
                                "turns connections away"},
    [READY_SILENT] = {"silent", "accepted, but nothing came: does the service hang, does a forwarder wait for the "
                                "guest, is it a service that speaks only when asked?"},
    [READY_INCOMPLETE] = {"incomplete", "it began to answer and stopped: is the guest overloaded, is "
                                        "--attempt-timeout too short?"},
    [READY_UNEXPECTED] = {"unexpected", "another service answers, or not as asked: is it the right port, the right "
                                        "kind of probe?"},
    [READY_WAITING] = {"waiting", "no READY=1 came: has the guest this address in NOTIFY_SOCKET, does its service "
                                  "notify?"},
    [READY_FAILED] = {"failed", "this host could not try: look at the error, at permissions and limits"},
};

const char *ready_reason_word(enum ready_reason reason)
{
    return table[reason].word;
}

const char *ready_reason_hint(enum ready_reason reason)
{
    return table[reason].hint;
}

enum ready_reason ready_reason_of_dial(enum dial_failure failure)
{
    switch (failure) {
    case DIAL_REFUSED:
        return READY_REFUSED;
    case DIAL_ABSENT:
        return READY_ABSENT;
    case DIAL_UNRESOLVED:
        return READY_UNRESOLVED;
    case DIAL_UNREACHABLE:
        return READY_UNREACHABLE;
    case DIAL_CLOSED:
        return READY_CLOSED;
    case DIAL_UNEXPECTED:
        return READY_UNEXPECTED;
    case DIAL_OTHER:
        break;
    }
    return READY_FAILED;
}
