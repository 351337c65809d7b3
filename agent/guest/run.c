#include "guest/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/clock.h"
#include "guest/command.h"
#include "wire/frame.h"
#include "wire/reply.h"

#define TICK (50 * CLOCK_MILLISECOND)       /* looking for a shell's end without a pidfd */
#define ASK_PAUSE (250 * CLOCK_MILLISECOND) /* asking a half-closed host whether it is still there: RUN-HANGUP gives a second */
#define REAP_PATIENCE (CLOCK_SECOND / 2)    /* for a killed shell, before the reply (RUN-TIMEOUT gives a second) and at the stop */
#define ROUNDS 16                           /* frames between two looks at everything else */

struct output {
    int fd;             /* -1: ended */
    uint8_t type;       /* of its frames */
    bool writers_gone;  /* nobody holds the other end, though bytes may be left */
    size_t left;        /* bytes still to be sent; SIZE_MAX until the kill says what the pipe held */
};

struct run {
    const struct stream *stream;
    struct child child;
    struct output outputs[2];
    unsigned turn;     /* the output to read first */
    uint8_t *buffer;   /* one frame */
    size_t length;     /* of the frame in it */
    size_t sent;       /* of that */
    bool exited;       /* the shell; its pidfd would say so for ever */
    int64_t deadline;  /* RUN-TIMEOUT */
    int64_t killed_at; /* 0: not killed */
    int64_t ended_at;  /* when the command had ended or was killed; 0: it lives */
    int64_t sent_at;   /* of the last bytes sent since it ended (CONV-STALL) */
    bool half_closed;  /* the host's sending side is shut down: it is asked by timer */
};

static bool is_sending(const struct run *run)
{
    return run->sent < run->length;
}

static void end_output(const struct run *run, struct output *output)
{
    if (output->fd >= 0)
        run->stream->sys->close(output->fd);
    output->fd = -1;
    output->writers_gone = true;
}

/* Try to make a frame of what one of the outputs holds. Return: true if there is one to send. */
static bool read_output(struct run *run, struct output *output)
{
    const size_t most = output->left < LIMIT_CHUNK ? output->left : LIMIT_CHUNK;
    ssize_t got;

    if (output->fd < 0)
        return false;
    got = run->stream->sys->read(output->fd, run->buffer + LIMIT_FRAME_HEADER, most);
    if (got < 0 && (errno == EAGAIN || errno == EINTR) && output->left == SIZE_MAX)
        return false;
    if (got <= 0) {
        end_output(run, output);
        return false;
    }
    frame_encode_header(run->buffer, (struct frame_header){.type = output->type, .length = (uint32_t)got});
    run->length = LIMIT_FRAME_HEADER + (size_t)got;
    run->sent = 0;
    if (output->left != SIZE_MAX)
        output->left -= (size_t)got;
    if (output->left == 0)
        end_output(run, output);
    return true;
}

/* One step: send a part of the frame, or read one; the outputs take turns. Return: ENDING_OK with *moved, or ENDING_GONE. */
static enum ending step(struct run *run, bool *moved)
{
    const struct sys *sys = run->stream->sys;

    *moved = is_sending(run);
    for (unsigned i = 0; i < 2 && !*moved; i++) {
        run->turn ^= 1U;
        *moved = read_output(run, &run->outputs[run->turn]);
    }
    if (!*moved)
        return ENDING_OK;

    const ssize_t sent = sys->send(run->stream->fd, run->buffer + run->sent, run->length - run->sent, MSG_NOSIGNAL);

    if (sent > 0) {
        run->sent += (size_t)sent;
        run->sent_at = sys->now();
        return ENDING_OK;
    }
    *moved = false;
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? ENDING_OK : ENDING_GONE;
}

static void kill_group(struct run *run)
{
    run->stream->sys->kill_group(&run->child);
    run->killed_at = run->stream->sys->now();
}

/* RUN-TIMEOUT: what the pipes hold now is the last of the output. */
static void time_out(struct run *run)
{
    kill_group(run);
    run->ended_at = run->killed_at;
    for (unsigned i = 0; i < 2; i++) {
        struct output *output = &run->outputs[i];

        if (output->fd >= 0)
            output->left = (size_t)run->stream->sys->held(output->fd);
        if (output->left == 0)
            end_output(run, output);
    }
}

/* The command has ended once the shell has exited and nobody holds a stream, whatever is still to be sent. Only then is the shell
 * reaped; until then it keeps its group's id from being given to another (RUN-REAP). */
static void notice_end(struct run *run)
{
    if (run->child.pid == 0 || !run->exited)
        return;
    if (run->killed_at == 0 && !(run->outputs[0].writers_gone && run->outputs[1].writers_gone))
        return;
    if (run->stream->sys->reap(&run->child) && run->ended_at == 0)
        run->ended_at = run->stream->sys->now();
}

static bool is_done(const struct run *run, int64_t now)
{
    if (is_sending(run) || run->outputs[0].fd >= 0 || run->outputs[1].fd >= 0)
        return false;
    return run->child.pid == 0 || (run->killed_at != 0 && now >= clock_after(run->killed_at, REAP_PATIENCE));
}

/* CONV-STALL holds once the command has ended. */
static int64_t stall_deadline(const struct run *run)
{
    if (run->ended_at == 0)
        return CLOCK_NEVER;
    return clock_after(run->sent_at > run->ended_at ? run->sent_at : run->ended_at, run->stream->io_timeout);
}

static int64_t next_look(const struct run *run, int64_t now)
{
    int64_t next = run->ended_at == 0 ? run->deadline : stall_deadline(run);

    if (run->killed_at != 0 && run->child.pid != 0)
        next = clock_earlier(next, clock_after(run->killed_at, REAP_PATIENCE));
    if (run->half_closed)
        next = clock_earlier(next, clock_after(now, ASK_PAUSE));
    if (!run->exited && run->child.pidfd < 0)
        next = clock_earlier(next, clock_after(now, TICK));
    return next;
}

static enum ending ask_host(struct run *run, short seen)
{
    if (!run->half_closed && (seen & (POLLRDHUP | POLLHUP | POLLERR)) == 0)
        return ENDING_OK;
    if (stream_hung_up(run->stream->sys, run->stream->fd))
        return ENDING_GONE;
    run->half_closed = true;
    return ENDING_OK;
}

/* Look at everything, waiting until something happens unless `moved`. */
static enum ending look(struct run *run, bool moved)
{
    const struct sys *sys = run->stream->sys;
    const short wanted = is_sending(run) ? 0 : POLLIN;
    const short conversation = (short)((is_sending(run) ? POLLOUT : 0) | (run->half_closed ? 0 : POLLRDHUP));
    struct pollfd fds[] = {
        {.fd = run->stream->stop, .events = POLLIN},
        {.fd = run->stream->fd, .events = conversation},
        {.fd = run->exited ? -1 : run->child.pidfd, .events = POLLIN},
        {.fd = wanted == 0 && run->outputs[0].writers_gone ? -1 : run->outputs[0].fd, .events = wanted},
        {.fd = wanted == 0 && run->outputs[1].writers_gone ? -1 : run->outputs[1].fd, .events = wanted},
    };

    sys->poll(fds, 5, moved ? 0 : next_look(run, sys->now()));
    if (fds[0].revents != 0)
        return ENDING_STOPPED;
    for (unsigned i = 0; i < 2; i++)
        if ((fds[3 + i].revents & (POLLHUP | POLLERR)) != 0)
            run->outputs[i].writers_gone = true;
    if (!run->exited)
        run->exited = run->child.pidfd >= 0 ? fds[2].revents != 0 : sys->exited(&run->child);
    return ask_host(run, fds[1].revents);
}

/* Send the output until the command has ended, or was killed, and everything it wrote is sent. */
static enum ending pump(struct run *run)
{
    const struct sys *sys = run->stream->sys;

    for (unsigned round = 1;; round++) {
        bool moved;
        enum ending ending = step(run, &moved);
        const int64_t now = sys->now();

        notice_end(run);
        if (ending == ENDING_OK && run->ended_at == 0 && now >= run->deadline)
            time_out(run);
        if (ending == ENDING_OK && is_done(run, now))
            return ENDING_OK;
        if (ending == ENDING_OK && (!moved || round % ROUNDS == 0))
            ending = look(run, moved);
        if (ending == ENDING_OK && !moved && is_sending(run) && now >= stall_deadline(run))
            ending = ENDING_STALLED;
        if (ending != ENDING_OK)
            return ending;
    }
}

/* Wait for the killed shell to die; a shell that the kernel holds on to keeps its slot, but not the stop. */
static void bury(struct run *run)
{
    const struct sys *sys = run->stream->sys;
    int64_t deadline = CLOCK_NEVER;

    while (!sys->reap(&run->child) && sys->now() < deadline) {
        struct pollfd fds[] = {
            {.fd = run->child.pidfd, .events = POLLIN},
            {.fd = deadline == CLOCK_NEVER ? run->stream->stop : -1, .events = POLLIN},
        };
        const int64_t tick = run->child.pidfd < 0 ? clock_after(sys->now(), TICK) : CLOCK_NEVER;

        sys->poll(fds, 2, clock_earlier(tick, deadline));
        if (fds[1].revents != 0)
            deadline = clock_after(sys->now(), REAP_PATIENCE);
    }
}

static enum ending send_end(const struct run *run, const char *timeout)
{
    const size_t length = strlen(timeout);
    uint8_t *reply = run->killed_at != 0 && length + REPLY_ROOM > LIMIT_CHUNK ? malloc(length + REPLY_ROOM) : run->buffer;
    enum ending ending = ENDING_BROKEN;

    if (reply != NULL)
        ending = stream_send(run->stream, reply,
                             run->killed_at != 0 ? reply_timeout(reply, timeout, length)
                                                 : reply_exit(reply, run->child.exit_code),
                             0);
    if (reply != run->buffer)
        free(reply);
    return ending;
}

static int64_t deadline_of(double timeout, int64_t now)
{
    const double nanoseconds = timeout * (double)CLOCK_SECOND;

    if (timeout <= 0 || nanoseconds >= (double)INT64_MAX)
        return CLOCK_NEVER;
    return clock_after(now, (int64_t)nanoseconds);
}

static enum ending fail(const struct stream *stream, const struct wire_error *error)
{
    uint8_t reply[REPLY_ROOM];

    return stream_send(stream, reply, reply_error(reply, error), 0);
}

enum ending run_serve(const struct stream *stream, const struct request *request, const struct origin *origin)
{
    struct run run = {.stream = stream, .buffer = malloc(LIMIT_FRAME_HEADER + LIMIT_CHUNK)};
    struct wire_error error = {.code = WIRE_OK};
    int outputs[2];
    enum ending ending;

    if (run.buffer == NULL) {
        wire_fail(&error, WIRE_INTERNAL, "no memory", NULL);
        return fail(stream, &error);
    }
    if (!command_start(stream->sys, request, origin, &run.child, outputs, &error)) {
        free(run.buffer);
        return fail(stream, &error);
    }
    run.outputs[0] = (struct output){.fd = outputs[0], .type = FRAME_STDOUT, .left = SIZE_MAX};
    run.outputs[1] = (struct output){.fd = outputs[1], .type = FRAME_STDERR, .left = SIZE_MAX};
    run.deadline = deadline_of(request->timeout, stream->sys->now());

    ending = pump(&run);
    if (ending != ENDING_OK && run.child.pid != 0)
        kill_group(&run);
    end_output(&run, &run.outputs[0]);
    end_output(&run, &run.outputs[1]);
    if (ending == ENDING_OK)
        ending = send_end(&run, request->timeout_text != NULL ? request->timeout_text : "0");
    bury(&run);
    free(run.buffer);
    return ending;
}
