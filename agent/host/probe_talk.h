/* One connection of a probe once it is there: what is sent, and what has come. The one place that knows all kinds. */
#ifndef HOST_PROBE_TALK_H
#define HOST_PROBE_TALK_H

#include "host/probe_http.h"
#include "host/probe_pong.h"
#include "host/probe_prefix.h"
#include "host/probe_ssh.h"
#include "host/ready_options.h"
#include "host/ready_reason.h"

/* What a probe sends on each connection: nothing, or the same bytes every time. */
struct probe_request {
    char *bytes; /* NULL: nothing */
    size_t length;
};

/* Return: true with *request; false where memory is short. probe_request_clear() frees. */
bool probe_request_make(struct probe_request *request, const struct probe_plan *plan);
void probe_request_clear(struct probe_request *request);

#define TALK_SHOWN 64 /* bytes kept of what came, for a person */

struct probe_talk {
    const struct probe_plan *plan; /* not of kind notify */
    const struct probe_request *request;
    int fd; /* owned; -1: none */
    size_t sent;
    uint64_t came; /* bytes */
    char shown[TALK_SHOWN];
    union {
        struct pong pong;
        struct ssh_greeting ssh;
        struct prefix_match prefix;
        struct http_answer http;
    } parser;
};

/* Begin on a connected, non-blocking socket, which is the talk's from now on. */
void probe_talk_begin(struct probe_talk *talk, const struct probe_plan *plan, const struct probe_request *request,
                      int fd);

/* Return: what to poll the socket for. */
short probe_talk_events(const struct probe_talk *talk);

/* Send and receive what goes at once. Return: the verdict; with VERDICT_REFUSED, *reason and *detail say why. */
enum verdict probe_talk_step(struct probe_talk *talk, enum ready_reason *reason, struct text *detail);

/* Return: why it is no answer if nothing more comes, with *detail. */
enum ready_reason probe_talk_cut(const struct probe_talk *talk, struct text *detail);

/* Close the socket and free what the parser holds. */
void probe_talk_end(struct probe_talk *talk);

#endif
