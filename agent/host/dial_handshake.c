/* The dialling side of a hybrid socket's CONNECT/OK handshake. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "guest/clock.h"
#include "host/dial_parts.h"
#include "wire/text.h"

#define HYBRID_OK "OK "

static enum dial_verdict ask(struct dial *dial)
{
    char line[DIAL_HYBRID_LINE];
    struct text text = text_in(line, sizeof line);

    text_add(&text, "CONNECT ");
    text_add_int(&text, dial->dialer->target.port);
    text_add(&text, "\n");
    while (dial->sent < text.length) {
        const ssize_t sent = send(dial->fd, line + dial->sent, text.length - dial->sent, MSG_NOSIGNAL);

        if (sent >= 0)
            dial->sent += (size_t)sent;
        else if (errno == EAGAIN)
            return dial_wait_for(dial, POLLOUT, CLOCK_NEVER);
        else if (errno != EINTR)
            return dial_fail(dial, DIAL_CLOSED, "closed before it was asked");
    }
    dial->state = DIAL_ANSWER;
    return dial_wait_for(dial, POLLIN, CLOCK_NEVER);
}

enum dial_line dial_read_answer(const char *bytes, size_t length, size_t *used)
{
    const size_t prefix = strlen(HYBRID_OK);
    const char *end = length > 0 ? memchr(bytes, '\n', length < DIAL_HYBRID_LINE ? length : DIAL_HYBRID_LINE) : NULL;

    if (memcmp(bytes, HYBRID_OK, length < prefix ? length : prefix) != 0)
        return DIAL_LINE_BAD;
    if (end == NULL)
        return length < DIAL_HYBRID_LINE ? DIAL_LINE_MORE : DIAL_LINE_BAD;
    *used = (size_t)(end - bytes) + 1;
    return *used > prefix ? DIAL_LINE_OK : DIAL_LINE_BAD;
}

/* Looks before it takes: what comes behind the line is the conversation's. */
static enum dial_verdict answer(struct dial *dial)
{
    for (;;) {
        char *rest = dial->line + dial->length;
        const ssize_t seen = recv(dial->fd, rest, sizeof dial->line - dial->length, MSG_PEEK);
        enum dial_line line;
        size_t used;

        if (seen < 0 && errno == EAGAIN)
            return dial_wait_for(dial, POLLIN, CLOCK_NEVER);
        if (seen < 0 && errno == EINTR)
            continue;
        if (seen <= 0)
            return dial_fail(dial, DIAL_CLOSED, "closed instead of an answer to CONNECT");
        used = dial->length + (size_t)seen;
        line = dial_read_answer(dial->line, used, &used);
        if (line == DIAL_LINE_BAD)
            return dial_fail(dial, DIAL_UNEXPECTED, "another answer to CONNECT than OK");
        if (recv(dial->fd, rest, used - dial->length, 0) < 0)
            return dial_fail(dial, DIAL_CLOSED, "closed instead of an answer to CONNECT");
        dial->length = used;
        if (line == DIAL_LINE_OK)
            return DIAL_DONE;
    }
}

enum dial_verdict dial_shake_hands(struct dial *dial)
{
    const enum dial_verdict verdict = dial->state == DIAL_ASK ? ask(dial) : answer(dial);

    if (verdict == DIAL_FAILED)
        dial_drop(dial); /* the other end sees it at once */
    return verdict;
}
