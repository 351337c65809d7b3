#include "guest/outputs.h"

#include <errno.h>

#include "wire/frame.h"

/* Up to here one read and one send are cheaper than splicing. */
#define SMALL 8192

void outputs_open(struct outputs *outputs, const struct stream *stream, const int fds[2])
{
    *outputs = (struct outputs){
        .stream = stream,
        .each = {{.fd = fds[0], .type = FRAME_STDOUT, .left = SIZE_MAX},
                 {.fd = fds[1], .type = FRAME_STDERR, .left = SIZE_MAX}},
    };
}

static void end(const struct outputs *outputs, struct output *output)
{
    if (output->fd >= 0)
        outputs->stream->sys->close(output->fd);
    output->fd = -1;
    output->writers_gone = true;
}

void outputs_close(struct outputs *outputs)
{
    end(outputs, &outputs->each[0]);
    end(outputs, &outputs->each[1]);
}

bool outputs_sending(const struct outputs *outputs)
{
    return outputs->sent < outputs->length || outputs->tail > 0;
}

bool outputs_done(const struct outputs *outputs)
{
    return !outputs_sending(outputs) && outputs->each[0].fd < 0 && outputs->each[1].fd < 0;
}

void outputs_limit(struct outputs *outputs)
{
    for (unsigned i = 0; i < 2; i++) {
        struct output *output = &outputs->each[i];

        if (output->fd >= 0)
            output->left = (size_t)outputs->stream->sys->held(output->fd) - (i == outputs->turn ? outputs->tail : 0);
    }
}

/* Read `size` bytes, which the pipe holds, behind the first `at` of the buffer, as what is to be sent. */
static bool fill(struct outputs *outputs, size_t at, size_t size)
{
    struct output *output = &outputs->each[outputs->turn];
    const ssize_t got = outputs->stream->sys->read(output->fd, outputs->stream->buffer + at, size);

    if (got <= 0)
        return false;
    outputs->sent = 0;
    outputs->length = at + (size_t)got;
    return true;
}

/* Begin a frame of what a pipe holds: exactly that much can be taken from it, as nobody else reads. Return: true if
 * there is one. */
static bool begin(struct outputs *outputs, unsigned turn)
{
    struct output *output = &outputs->each[turn];
    size_t size;

    if (output->fd < 0)
        return false;
    size = (size_t)outputs->stream->sys->held(output->fd);
    size = size < output->left ? size : output->left;
    size = size < LIMIT_CHUNK ? size : LIMIT_CHUNK;
    if (size == 0) {
        if (output->writers_gone || output->left == 0)
            end(outputs, output);
        return false;
    }
    outputs->turn = turn;
    if (size <= SMALL) {
        if (!fill(outputs, LIMIT_FRAME_HEADER, size)) {
            end(outputs, output);
            return false;
        }
        size = outputs->length - LIMIT_FRAME_HEADER;
    } else {
        outputs->sent = 0;
        outputs->length = LIMIT_FRAME_HEADER;
        outputs->tail = size;
    }
    frame_encode_header(outputs->stream->buffer, (struct frame_header){.type = output->type, .length = (uint32_t)size});
    if (output->left != SIZE_MAX)
        output->left -= size;
    return true;
}

/* Return: as send(). */
static ssize_t send_tail(struct outputs *outputs)
{
    const struct stream *stream = outputs->stream;
    const ssize_t moved = stream->sys->splice(outputs->each[outputs->turn].fd, stream->fd, outputs->tail);

    if (moved > 0)
        outputs->tail -= (size_t)moved;
    if (moved >= 0 || errno != EINVAL)
        return moved;
    /* A socket that cannot be spliced to. */
    if (!fill(outputs, 0, outputs->tail < STREAM_BUFFER ? outputs->tail : STREAM_BUFFER))
        return 0;
    outputs->tail -= outputs->length;
    return 1;
}

static ssize_t send_buffer(struct outputs *outputs)
{
    const struct stream *stream = outputs->stream;
    const int flags = MSG_NOSIGNAL | (outputs->tail > 0 ? MSG_MORE : 0);
    const ssize_t sent =
        stream->sys->send(stream->fd, stream->buffer + outputs->sent, outputs->length - outputs->sent, flags);

    if (sent > 0)
        outputs->sent += (size_t)sent;
    return sent;
}

enum ending outputs_step(struct outputs *outputs, bool *moved)
{
    ssize_t sent;

    *moved = false;
    if (!outputs_sending(outputs) && !begin(outputs, outputs->turn ^ 1U) && !begin(outputs, outputs->turn))
        return ENDING_OK;
    sent = outputs->sent < outputs->length ? send_buffer(outputs) : send_tail(outputs);
    *moved = sent > 0;
    return *moved || (sent < 0 && (errno == EAGAIN || errno == EINTR)) ? ENDING_OK : ENDING_GONE;
}
