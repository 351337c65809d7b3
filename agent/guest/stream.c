#include "guest/stream.h"

#include <errno.h>

#include "guest/clock.h"

const char *ending_text(enum ending ending)
{
    switch (ending) {
    case ENDING_OK:
        return "answered";
    case ENDING_GONE:
        return "host hung up";
    case ENDING_STALLED:
        return "given up: stalled";
    case ENDING_STOPPED:
        return "stopped";
    case ENDING_BROKEN:
        return "broken off";
    }
    return "";
}

bool stream_hung_up(const struct sys *sys, int fd)
{
    return sys->send(fd, "", 0, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != EINTR;
}

enum ending stream_wait(const struct stream *stream, short events, int other, int64_t deadline)
{
    struct pollfd fds[] = {
        {.fd = stream->stop, .events = POLLIN},
        {.fd = stream->fd, .events = events},
        {.fd = other, .events = POLLIN},
    };

    for (;;) {
        const int ready = stream->sys->poll(fds, 3, deadline);

        if (fds[0].revents != 0)
            return ENDING_STOPPED;
        if (ready > 0)
            return ENDING_OK;
        if (deadline <= stream->sys->now())
            return ENDING_STALLED;
    }
}

static bool would_wait(int err)
{
    return err == EAGAIN || err == EINTR;
}

/* After a call that sent nothing: wait until the next may send. *late says that it is the last chance, as AF_UNIX takes
 * bytes before poll() says so. */
static enum ending wait_to_send(const struct stream *stream, ssize_t sent, bool *late)
{
    enum ending waited;

    if (sent == 0 || !would_wait(errno))
        return ENDING_GONE;
    if (*late)
        return ENDING_STALLED;
    waited = stream_wait(stream, POLLOUT, -1, clock_after(stream->sys->now(), stream->io_timeout));
    *late = waited == ENDING_STALLED;
    return waited == ENDING_STOPPED ? waited : ENDING_OK;
}

enum ending stream_send(const struct stream *stream, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    enum ending ending = ENDING_OK;
    bool late = false;

    while (length > 0 && ending == ENDING_OK) {
        const ssize_t sent = stream->sys->send(stream->fd, next, length, MSG_NOSIGNAL);

        if (sent <= 0) {
            ending = wait_to_send(stream, sent, &late);
            continue;
        }
        next += sent;
        length -= (size_t)sent;
        late = false;
    }
    return ending;
}

enum ending stream_receive(const struct stream *stream, void *buffer, size_t size, size_t *received)
{
    for (;;) {
        const ssize_t got = stream->sys->recv(stream->fd, buffer, size, 0);

        if (got > 0) {
            *received = (size_t)got;
            return ENDING_OK;
        }
        if (got == 0 || !would_wait(errno))
            return ENDING_GONE;
        const int64_t deadline = clock_after(stream->sys->now(), stream->io_timeout);
        const enum ending waited = stream_wait(stream, POLLIN, -1, deadline);

        if (waited != ENDING_OK)
            return waited;
    }
}

#define SCRATCH       4096
#define SCRATCH_TIMES 16

ssize_t stream_discard(const struct sys *sys, int fd, size_t limit)
{
    uint8_t scratch[SCRATCH];
    struct iovec same[SCRATCH_TIMES]; /* nobody reads what lands there, so one page serves for all of it */
    struct msghdr message = {.msg_iov = same};

    while (limit > 0 && message.msg_iovlen < SCRATCH_TIMES) {
        const size_t part = limit < SCRATCH ? limit : SCRATCH;

        same[message.msg_iovlen++] = (struct iovec){.iov_base = scratch, .iov_len = part};
        limit -= part;
    }
    return sys->recvmsg(fd, &message, 0);
}
