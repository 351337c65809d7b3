#include "host/probe_talk.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/shown.h"

#define READ_ROOM 16384

/* As a Host field has it: no port where there is none, and a name that stands for this side's socket. */
static void add_host(struct text *text, const struct address *address)
{
    if (address->kind != ADDRESS_TCP) {
        text_add(text, "localhost");
        return;
    }
    text_add(text, address->text + strlen("tcp:"));
}

bool probe_request_make(struct probe_request *request, const struct probe_plan *plan)
{
    char host[ADDRESS_HOST + 16];
    struct text name = text_in(host, sizeof host);
    const size_t room = strlen(plan->path) + sizeof host + 256;
    struct text text;

    *request = (struct probe_request){.bytes = NULL};
    if (plan->kind != PROBE_AGENT && plan->kind != PROBE_HTTP)
        return true;
    request->bytes = malloc(room);
    if (request->bytes == NULL)
        return false;
    if (plan->kind == PROBE_AGENT) {
        request->length = pong_request((uint8_t *)request->bytes, room);
        return true;
    }
    add_host(&name, &plan->address);
    text = text_in(request->bytes, room);
    http_request(&text, plan->path, host);
    request->length = text.length;
    return true;
}

void probe_request_clear(struct probe_request *request)
{
    free(request->bytes);
    *request = (struct probe_request){.bytes = NULL};
}

void probe_talk_begin(struct probe_talk *talk, const struct probe_plan *plan, const struct probe_request *request,
                      int fd)
{
    *talk = (struct probe_talk){.plan = plan, .request = request, .fd = fd};
    if (plan->kind == PROBE_BANNER)
        talk->parser.prefix = (struct prefix_match){.expected = plan->expect};
    if (plan->kind == PROBE_HTTP)
        talk->parser.http = (struct http_answer){.expected = plan->status};
}

void probe_talk_end(struct probe_talk *talk)
{
    if (talk->fd < 0)
        return;
    if (talk->plan->kind == PROBE_AGENT)
        pong_clear(&talk->parser.pong);
    close(talk->fd);
    talk->fd = -1;
}

short probe_talk_events(const struct probe_talk *talk)
{
    return talk->sent < talk->request->length ? POLLIN | POLLOUT : POLLIN;
}

/* A failure is told by what comes: an answer that was sent before the end is still there to be read. */
static void send_some(struct probe_talk *talk)
{
    const size_t left = talk->request->length - talk->sent;
    ssize_t sent;

    if (left == 0)
        return;
    sent = send(talk->fd, talk->request->bytes + talk->sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        talk->sent += (size_t)sent;
    else if (errno != EAGAIN && errno != EINTR)
        talk->sent = talk->request->length;
}

static enum verdict judge(struct probe_talk *talk, const char *bytes, size_t length, struct text *why)
{
    switch (talk->plan->kind) {
    case PROBE_AGENT:
        return pong_take(&talk->parser.pong, bytes, length, why);
    case PROBE_SSH:
        return ssh_greeting_take(&talk->parser.ssh, bytes, length, why);
    case PROBE_BANNER:
        return prefix_match_take(&talk->parser.prefix, bytes, length, why);
    case PROBE_HTTP:
        return http_answer_take(&talk->parser.http, bytes, length, why);
    case PROBE_NOTIFY: /* has no connection of this kind */
        break;
    }
    return VERDICT_REFUSED;
}

static void keep_shown(struct probe_talk *talk, const char *bytes, size_t length)
{
    if (talk->came < TALK_SHOWN) {
        const size_t room = TALK_SHOWN - (size_t)talk->came;

        memcpy(talk->shown + talk->came, bytes, length < room ? length : room);
    }
    talk->came += length;
}

static void add_shown(struct text *detail, const struct probe_talk *talk)
{
    text_add(detail, " \"");
    shown_add(detail, talk->shown, talk->came < TALK_SHOWN ? (size_t)talk->came : TALK_SHOWN);
    text_add(detail, talk->came > TALK_SHOWN ? "\"..." : "\"");
}

static enum verdict end_early(const struct probe_talk *talk, const char *how, enum ready_reason *reason,
                              struct text *detail)
{
    *reason = READY_CLOSED;
    text_add(detail, how);
    text_add(detail, talk->came > 0 ? " after" : " before it said anything");
    if (talk->came > 0)
        add_shown(detail, talk);
    return VERDICT_REFUSED;
}

enum verdict probe_talk_step(struct probe_talk *talk, enum ready_reason *reason, struct text *detail)
{
    char bytes[READ_ROOM];
    char words[256];
    struct text why = text_in(words, sizeof words);
    enum verdict verdict;
    ssize_t length;

    send_some(talk);
    length = recv(talk->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length == 0)
        return end_early(talk, "closed", reason, detail);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return VERDICT_MORE;
    if (length < 0)
        return end_early(talk, errno == ECONNRESET || errno == EPIPE ? "reset" : strerror(errno), reason, detail);
    keep_shown(talk, bytes, (size_t)length);
    verdict = judge(talk, bytes, (size_t)length, &why);
    if (verdict == VERDICT_REFUSED) {
        *reason = READY_UNEXPECTED;
        shown_add(detail, words, why.length);
        text_add(detail, "; it began with");
        add_shown(detail, talk);
    }
    return verdict;
}

enum ready_reason probe_talk_cut(const struct probe_talk *talk, struct text *detail)
{
    if (talk->came == 0) {
        text_add(detail, "accepted, and nothing came");
        return READY_SILENT;
    }
    text_add(detail, "not the whole answer came, only");
    add_shown(detail, talk);
    return READY_INCOMPLETE;
}
