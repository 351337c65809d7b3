#include "guest/run.h"

#include <string.h>

#include "guest/clock.h"
#include "guest/command.h"
#include "guest/memory.h"
#include "guest/outputs.h"
#include "wire/reply.h"

#define TICK (50 * CLOCK_MILLISECOND) /* looking for a shell's end without a pidfd */
#define ASK_PAUSE \
    (250 * CLOCK_MILLISECOND) /* asking a half-closed host whether it is still there: RUN-HANGUP gives a second */
#define REAP_PATIENCE \
    (CLOCK_SECOND / 2) /* for a killed shell, before the reply (RUN-TIMEOUT gives a second) and at the stop */
#define ROUNDS 32      /* steps between two looks at everything else */

struct run {
    const struct stream *stream;
    struct child child;
    struct outputs outputs;
    bool exited;       /* the shell; its pidfd would say so for ever */
    int64_t deadline;  /* RUN-TIMEOUT */
    int64_t killed_at; /* 0: not killed */
    int64_t ended_at;  /* when the command had ended or was killed; 0: it lives */
    int64_t sent_at;   /* of the last bytes sent since it ended (CONV-STALL) */
    bool half_closed;  /* the host's sending side is shut down: it is asked by timer */
};

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
    outputs_limit(&run->outputs);
}

/* The command has ended once the shell has exited and nobody holds a stream, whatever is still to be sent. Only then is
 * the shell reaped; until then it keeps its group's id from being given to another (RUN-REAP). */
static void notice_end(struct run *run)
{
    if (run->child.pid == 0 || !run->exited)
        return;
    if (run->killed_at == 0 && !(run->outputs.each[0].writers_gone && run->outputs.each[1].writers_gone))
        return;
    if (run->stream->sys->reap(&run->child) && run->ended_at == 0)
        run->ended_at = run->stream->sys->now();
}

static bool is_done(const struct run *run, int64_t now)
{
    if (!outputs_done(&run->outputs))
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
    struct output *outputs = run->outputs.each;
    const bool sending = outputs_sending(&run->outputs);
    const short wanted = sending ? 0 : POLLIN; /* RUN-BACKPRESSURE */
    struct pollfd fds[] = {
        {.fd = run->stream->stop, .events = POLLIN},
        {.fd = run->stream->fd, .events = (short)((sending ? POLLOUT : 0) | (run->half_closed ? 0 : POLLRDHUP))},
        {.fd = run->exited ? -1 : run->child.pidfd, .events = POLLIN},
        {.fd = sending && outputs[0].writers_gone ? -1 : outputs[0].fd, .events = wanted},
        {.fd = sending && outputs[1].writers_gone ? -1 : outputs[1].fd, .events = wanted},
    };

    sys->poll(fds, 5, moved ? 0 : next_look(run, sys->now()));
    if (fds[0].revents != 0)
        return ENDING_STOPPED;
    for (unsigned i = 0; i < 2; i++)
        if ((fds[3 + i].revents & (POLLHUP | POLLERR)) != 0)
            outputs[i].writers_gone = true;
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
        enum ending ending = outputs_step(&run->outputs, &moved);
        const int64_t now = sys->now();

        if (moved)
            run->sent_at = now;
        notice_end(run);
        if (ending == ENDING_OK && run->ended_at == 0 && now >= run->deadline) {
            time_out(run);
            continue; /* what has ended already shows no event any more */
        }
        if (ending == ENDING_OK && is_done(run, now))
            return ENDING_OK;
        if (ending == ENDING_OK && (!moved || round % ROUNDS == 0))
            ending = look(run, moved);
        if (ending == ENDING_OK && !moved && outputs_sending(&run->outputs) && now >= stall_deadline(run))
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
    const size_t room = length + REPLY_ROOM;
    uint8_t *reply = run->stream->buffer;
    enum ending ending = ENDING_BROKEN;

    if (run->killed_at == 0)
        return stream_send(run->stream, reply, reply_exit(reply, run->child.exit_code));
    if (room > STREAM_BUFFER)
        reply = memory_map(room);
    if (reply != NULL)
        ending = stream_send(run->stream, reply, reply_timeout(reply, timeout, length));
    if (room > STREAM_BUFFER)
        memory_unmap(reply, room);
    return ending;
}

static int64_t deadline_of(double timeout, int64_t now)
{
    const double nanoseconds = timeout * (double)CLOCK_SECOND;

    if (timeout <= 0 || nanoseconds >= (double)INT64_MAX)
        return CLOCK_NEVER;
    return clock_after(now, (int64_t)nanoseconds);
}

enum ending run_serve(const struct stream *stream, const struct request *request, const struct origin *origin)
{
    struct run run = {.stream = stream};
    struct wire_error error = {.code = WIRE_OK};
    int pipes[2];
    enum ending ending;

    if (!command_start(stream->sys, request, origin, &run.child, pipes, &error))
        return stream_send(stream, stream->buffer, reply_error(stream->buffer, &error));
    outputs_open(&run.outputs, stream, pipes);
    run.deadline = deadline_of(request->timeout, stream->sys->now());

    ending = pump(&run);
    if (ending != ENDING_OK && run.child.pid != 0)
        kill_group(&run);
    outputs_close(&run.outputs);
    if (ending == ENDING_OK)
        ending = send_end(&run, request->timeout_text != NULL ? request->timeout_text : "0");
    bury(&run);
    return ending;
}
