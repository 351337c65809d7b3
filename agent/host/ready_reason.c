#include "host/ready_reason.h"

static const struct {
    const char *word;
    const char *hint;
} table[] = {
    [READY_REFUSED] = {"refused",
                       "is the service started, does it listen on this port, and not on the guest's loopback alone?"},
    [READY_ABSENT] = {"absent", "is the VM or its forwarder started, is the path or CID right?"},
    [READY_UNRESOLVED] = {"unresolved", "is the name spelled right, does the resolver answer?"},
    [READY_UNREACHABLE] = {"unreachable",
                           "is the VM's network up, does a firewall drop the connection, does the service accept?"},
    [READY_CLOSED] = {"closed", "a forwarder listens, the guest does not yet; or the service turns connections away"},
    [READY_SILENT] =
        {"silent",
         "does the service hang, does a forwarder wait for the guest, is it a service that speaks only when asked?"},
    [READY_INCOMPLETE] = {"incomplete", "is the guest overloaded, is --attempt-timeout too short?"},
    [READY_UNEXPECTED] = {"unexpected",
                          "another service, or one that is not ready: is it the right port, the right kind of probe?"},
    [READY_WAITING] = {"waiting", "has the guest this address in NOTIFY_SOCKET, does its service notify?"},
    [READY_FAILED] = {"failed", "it could not be tried from here: look at permissions and limits"},
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
    case DIAL_SHORT:
    case DIAL_OTHER:
        break;
    }
    return READY_FAILED;
}
