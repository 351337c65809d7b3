#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "parts.h"
#include "wire/constants.h"

#define PIPE_ROOM 65536

int world_pipe(int ends[2], int flags)
{
    struct world *w = world();
    unsigned number = 0;

    (void)flags;
    world_record()->unstarted = world_fails(CALL_PIPE);
    if (world_record()->unstarted)
        return -1;
    while (number < w->pipes && w->pipe[number].readers + w->pipe[number].writers > 0)
        number++;
    if (number == WORLD_PIPES) {
        world_record()->unstarted = true;
        errno = ENFILE;
        return -1;
    }
    if (number == w->pipes)
        w->pipes++;
    ends[0] = world_handle_new(HANDLE_READER, number);
    ends[1] = world_handle_new(HANDLE_WRITER, number);
    FUZZ_CHECK(ends[1] >= 0, "descriptors do not run away");
    buffer_clear(&w->pipe[number].held);
    w->pipe[number].room = PIPE_ROOM;
    w->pipe[number].readers = w->pipe[number].writers = 1;
    return 0;
}

static struct pipe *pipe_of(const struct handle *handle)
{
    return &world()->pipe[handle->index];
}

void world_tune_pipe(int reading_end)
{
    world_fails(CALL_SAFE);
    pipe_of(world_handle(reading_end))->room = (size_t)4 * LIMIT_CHUNK;
}

int world_held(int pipe)
{
    const struct handle *handle = world_handle(pipe);

    world_fails(CALL_SAFE);
    FUZZ_CHECK(handle->kind == HANDLE_READER, "a pipe is asked what it holds");
    return (int)buffer_left(&pipe_of(handle)->held);
}

static ssize_t read_signals(void *buffer)
{
    struct world *w = world();
    struct signalfd_siginfo info = {0};

    for (unsigned number = 1; number < 32; number++) {
        if ((w->signals & 1U << number) == 0)
            continue;
        w->signals &= ~(1U << number);
        info.ssi_signo = number;
        memcpy(buffer, &info, sizeof info);
        return sizeof info;
    }
    errno = EAGAIN;
    return -1;
}

static ssize_t read_file(struct handle *handle, void *buffer, size_t size)
{
    if (!world_fails(CALL_READ))
        return file_read(handle, buffer, size);
    world_record()->broken = world_record()->broken || (errno != EINTR && errno != EAGAIN);
    return -1;
}

ssize_t world_read(int fd, void *buffer, size_t size)
{
    struct handle *handle = world_handle(fd);
    uint64_t value;

    if (handle->kind == HANDLE_FILE)
        return read_file(handle, buffer, size);
    world_fails(CALL_SAFE);
    if (handle->kind == HANDLE_SIGNALS)
        return read_signals(buffer);
    if (handle->kind == HANDLE_READER && buffer_left(&pipe_of(handle)->held) > 0)
        return (ssize_t)buffer_take(&pipe_of(handle)->held, buffer, world_piece(size));
    if (handle->kind == HANDLE_READER && pipe_of(handle)->writers == 0)
        return 0;
    value = handle->value;
    if (handle->kind == HANDLE_EVENT && value > 0) {
        handle->value = 0;
        memcpy(buffer, &value, sizeof value);
        return sizeof value;
    }
    errno = EAGAIN;
    return -1;
}

ssize_t world_write(int fd, const void *bytes, size_t size)
{
    struct handle *handle = world_handle(fd);
    uint64_t more;

    if (handle->kind == HANDLE_EVENT) {
        world_fails(CALL_SAFE);
        world_record_over();
        memcpy(&more, bytes, sizeof more);
        handle->value += more;
        return sizeof more;
    }
    FUZZ_CHECK(handle->kind == HANDLE_FILE && size > 0, "what is written to is a file, and it is something");
    if (world_fails(CALL_WRITE))
        return errno == EINTR ? -1 : world_blame(errno);
    return file_write(handle, bytes, size);
}

/* ---- splice(): from and to a pipe */

static ssize_t splice_in(struct handle *from, struct pipe *pipe, size_t size)
{
    const bool fails = world_fails(CALL_SPLICE_IN);
    uint8_t *bytes;
    ssize_t got;

    size = size < pipe->room - buffer_left(&pipe->held) ? size : pipe->room - buffer_left(&pipe->held);
    if (fails) {
        if (errno != EINVAL && errno != EINTR && errno != EAGAIN && from->kind == HANDLE_FILE)
            world_record()->broken = true;
        else if (errno != EINVAL && errno != EINTR && errno != EAGAIN)
            world()->host_at[from->index].excused = true;
        return -1;
    }
    if (size == 0) {
        errno = EAGAIN;
        return -1;
    }
    bytes = buffer_grow(&pipe->held, size);
    got = from->kind == HANDLE_FILE ? file_read(from, bytes, size)
                                    : socket_take(&world()->host_at[from->index], bytes, size);
    if (got > 0)
        pipe->held.size += (size_t)got;
    return got;
}

static ssize_t splice_out(struct pipe *pipe, struct handle *to, size_t size)
{
    const bool fails = world_fails(CALL_SPLICE_OUT);
    const size_t left = buffer_left(&pipe->held);
    ssize_t moved;

    if (fails) {
        if (to->kind == HANDLE_FILE)
            return errno == EINVAL || errno == EINTR ? -1 : world_blame(errno);
        world()->host_at[to->index].excused |= errno != EAGAIN && errno != EINTR && errno != EINVAL;
        return -1;
    }
    if (left == 0) {
        errno = EAGAIN;
        return pipe->writers == 0 ? 0 : -1;
    }
    size = size < left ? size : left;
    moved = to->kind == HANDLE_FILE
                ? file_write(to, pipe->held.bytes + pipe->held.start, size)
                : socket_give(&world()->host_at[to->index], pipe->held.bytes + pipe->held.start, size);
    if (moved > 0)
        pipe->held.start += (size_t)moved;
    if (buffer_left(&pipe->held) == 0)
        buffer_clear(&pipe->held);
    return moved;
}

ssize_t world_splice(int from, int to, size_t size)
{
    struct handle *source = world_handle(from);
    struct handle *target = world_handle(to);

    FUZZ_CHECK(size > 0, "something is spliced");
    if (target->kind == HANDLE_WRITER)
        return splice_in(source, pipe_of(target), size);
    FUZZ_CHECK(source->kind == HANDLE_READER, "one end of a splice is a pipe");
    return splice_out(pipe_of(source), target, size);
}
