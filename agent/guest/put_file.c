#include "guest/put_file.h"

#include <errno.h>

#include "guest/clock.h"
#include "guest/target.h"
#include "guest/transfer.h"
#include "wire/frame.h"
#include "wire/reply.h"

struct upload {
    const struct stream *stream;
    struct target target;
    struct transfer transfer;
    struct wire_error error; /* the first found; from then on bytes are only read (PUT-DRAIN) */
    uint64_t left;           /* of the announced size */
};

static void fail_write(struct upload *upload)
{
    wire_fail_errno(&upload->error, errno, upload->target.path);
    target_discard(&upload->target); /* at once: it may hold the last free block */
}

/* Return: false once the upload has failed. */
static bool write_bytes(struct upload *upload, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t written = upload->stream->sys->write(upload->target.file, bytes, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            fail_write(upload);
            return false;
        }
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* The pipe holds `length` bytes that cannot be spliced into this file: write them, and splice no more. */
static void empty_pipe(struct upload *upload, size_t length)
{
    const struct sys *sys = upload->stream->sys;
    uint8_t *buffer = upload->stream->buffer;

    while (length > 0 && upload->error.code == WIRE_OK) {
        const ssize_t got = sys->read(upload->transfer.pipe[0], buffer, length < LIMIT_CHUNK ? length : LIMIT_CHUNK);

        if (got <= 0)
            fail_write(upload);
        else if (write_bytes(upload, buffer, (size_t)got))
            length -= (size_t)got;
    }
    transfer_close_pipe(&upload->transfer);
}

static void pipe_to_file(struct upload *upload, size_t length)
{
    while (length > 0) {
        const ssize_t moved = upload->stream->sys->splice(upload->transfer.pipe[0], upload->target.file, length);

        if (moved > 0) {
            length -= (size_t)moved;
        } else if (moved < 0 && errno == EINVAL) {
            empty_pipe(upload, length);
            return;
        } else if (moved == 0 || errno != EINTR) {
            fail_write(upload);
            transfer_close_pipe(&upload->transfer);
            return;
        }
    }
}

/* Move up to `length` bytes from the socket to where they belong. Return: as recv(). */
static ssize_t move(struct upload *upload, size_t length)
{
    const struct sys *sys = upload->stream->sys;
    const int fd = upload->stream->fd;
    ssize_t got;

    if (upload->error.code != WIRE_OK)
        return stream_discard(sys, fd, length);
    if (upload->transfer.pipe[1] >= 0) {
        got = sys->splice(fd, upload->transfer.pipe[1], length < LIMIT_CHUNK ? length : LIMIT_CHUNK);
        if (got > 0)
            pipe_to_file(upload, (size_t)got);
        if (got >= 0 || errno != EINVAL)
            return got;
        transfer_close_pipe(&upload->transfer);
    }
    got = sys->recv(fd, upload->stream->buffer, length < LIMIT_CHUNK ? length : LIMIT_CHUNK, 0);
    if (got > 0)
        write_bytes(upload, upload->stream->buffer, (size_t)got);
    return got;
}

static enum ending take_payload(struct upload *upload, size_t length)
{
    const struct stream *stream = upload->stream;

    while (length > 0) {
        const ssize_t got = move(upload, length);

        if (got > 0) {
            length -= (size_t)got;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return ENDING_GONE;
        const int64_t deadline = clock_after(stream->sys->now(), stream->io_timeout);
        const enum ending waited = stream_wait(stream, POLLIN, -1, deadline);

        if (waited != ENDING_OK)
            return waited;
    }
    return ENDING_OK;
}

static enum ending take_header(const struct stream *stream, struct frame_decoder *decoder)
{
    *decoder = (struct frame_decoder){.have = 0};
    for (;;) {
        uint8_t bytes[LIMIT_FRAME_HEADER];
        size_t got;
        size_t consumed;
        const enum ending ending = stream_receive(stream, bytes, frame_wants(decoder), &got);

        if (ending != ENDING_OK)
            return ending;
        switch (frame_decode(decoder, bytes, got, &consumed)) {
        case FRAME_HEADER_READY:
            return ENDING_OK;
        case FRAME_ERROR:
            return ENDING_BROKEN;
        default:
            break;
        }
    }
}

/* PUT-SHORT, PUT-FRAME. Return: true if the frame belongs to the upload. */
static bool judge(struct upload *upload, struct frame_header header)
{
    if (header.type == FRAME_DATA && header.length <= upload->left)
        return true;
    if (header.type == FRAME_DATA)
        wire_fail(&upload->error, WIRE_SIZE_MISMATCH, "a DATA frame crosses the announced size", NULL);
    else if (header.type == FRAME_EOF)
        wire_fail(&upload->error, WIRE_SIZE_MISMATCH, "the upload ended before the announced size", NULL);
    else
        wire_fail(&upload->error, WIRE_UNEXPECTED_FRAME, "neither DATA nor EOF during an upload", NULL);
    return false;
}

/* Read the upload to its end. Return: ENDING_OK if it may be answered. */
static enum ending take_upload(struct upload *upload)
{
    while (upload->left > 0) {
        struct frame_decoder decoder;
        enum ending ending = take_header(upload->stream, &decoder);
        bool belongs;

        if (ending != ENDING_OK)
            return ending;
        belongs = judge(upload, decoder.header);
        ending = take_payload(upload, decoder.header.length);
        if (ending != ENDING_OK || !belongs)
            return ending;
        upload->left -= decoder.header.length;
    }
    return ENDING_OK;
}

enum ending put_file_serve(const struct stream *stream, const struct request *request)
{
    struct upload upload = {
        .stream = stream,
        .target = {.sys = stream->sys, .directory = -1, .file = -1},
        .error = request->error,
        .left = request->size,
    };
    uint8_t *reply = stream->buffer;
    enum ending ending;

    if (upload.error.code == WIRE_OK)
        target_open(&upload.target, stream->sys, request, &upload.error);
    transfer_open(&upload.transfer, stream->sys);
    ending = take_upload(&upload);
    if (ending == ENDING_OK && upload.error.code == WIRE_OK)
        target_commit(&upload.target, (mode_t)request->mode, &upload.error);
    target_discard(&upload.target);
    transfer_close_pipe(&upload.transfer);
    if (ending != ENDING_OK)
        return ending;
    return stream_send(stream, reply,
                       upload.error.code == WIRE_OK ? reply_ok(reply) : reply_error(reply, &upload.error));
}
