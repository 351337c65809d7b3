#include "guest/get_file.h"

#include <errno.h>
#include <fcntl.h>

#include "guest/clock.h"
#include "wire/frame.h"
#include "wire/reply.h"
#include "wire/text.h"

/* A file that calls itself readable and then has nothing is asked again after this. */
#define FILE_PAUSE (50 * CLOCK_MILLISECOND)

struct download {
    const struct stream *stream;
    int file;
    struct stat status;
    bool half_closed;
};

/* Open what O_PATH has shown to be a regular file, and nothing else: through /proc, so that a path swapped meanwhile
 * does not matter. Return: the descriptor, or -1 with errno. */
static int reopen(const struct sys *sys, int seen, const char *path, const struct stat *status)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    char name[32];
    struct text text = text_in(name, sizeof name);
    struct stat now = {0};
    int fd;
    int err;

    text_add(&text, "/proc/self/fd/");
    text_add_int(&text, seen);
    fd = sys->open(AT_FDCWD, name, flags, 0);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* No /proc: by the path again. Should it have been swapped in between, this opens the other file, but never waits
     * for it. */
    fd = sys->open(AT_FDCWD, path, flags, 0);
    if (fd < 0)
        return -1;
    err = sys->stat(fd, &now) != 0 ? errno : ENOENT;
    if (err == ENOENT && now.st_dev == status->st_dev && now.st_ino == status->st_ino)
        return fd;
    sys->close(fd);
    errno = err;
    return -1;
}

static bool open_file(struct download *download, const char *path, struct wire_error *error)
{
    const struct sys *sys = download->stream->sys;
    const int seen = sys->open(AT_FDCWD, path, O_PATH, 0);

    if (seen >= 0 && sys->stat(seen, &download->status) == 0) {
        if (S_ISREG(download->status.st_mode))
            download->file = reopen(sys, seen, path, &download->status);
        else
            wire_fail(error, WIRE_NOT_REGULAR_FILE, path, ": not a regular file", NULL);
    }
    if (download->file < 0)
        wire_fail_errno(error, errno, path); /* unless there is an error already */
    if (seen >= 0)
        sys->close(seen);
    return download->file >= 0;
}

/* GET-WAIT. Return: ENDING_OK when the file may be tried again. */
static enum ending wait_for_file(struct download *download, int64_t deadline, bool pause)
{
    const struct stream *stream = download->stream;
    const short events = download->half_closed ? 0 : POLLRDHUP;
    const int64_t tick = clock_after(stream->sys->now(), FILE_PAUSE);
    const bool ticks = pause || download->half_closed;
    const enum ending waited =
        stream_wait(stream, events, pause ? -1 : download->file, ticks ? clock_earlier(tick, deadline) : deadline);

    if (waited == ENDING_STOPPED)
        return waited;
    if (stream_hung_up(stream->sys, stream->fd))
        return ENDING_GONE;
    if (stream->sys->now() >= deadline)
        return ENDING_STALLED;
    download->half_closed = true; /* or merely the file: then asking by timer does no harm */
    return ENDING_OK;
}

/* Read up to a chunk behind the room for its header. The bytes are copied: a page that is merely lent to the socket
 * (splice, sendfile) is zeroed on its way when the file is cut (GET-EXACT). Return: ENDING_OK with *got bytes ready, 0
 * at the end of the file. */
static enum ending next_chunk(struct download *download, size_t *got)
{
    const struct stream *stream = download->stream;
    int64_t deadline = 0;
    bool pause = false;

    for (;;) {
        const ssize_t count = stream->sys->read(download->file, stream->buffer + LIMIT_FRAME_HEADER, LIMIT_CHUNK);

        if (count >= 0) {
            *got = (size_t)count;
            return ENDING_OK;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return ENDING_BROKEN; /* GET-BROKEN */
        if (deadline == 0)
            deadline = clock_after(stream->sys->now(), stream->io_timeout);
        const enum ending waited = wait_for_file(download, deadline, pause);

        if (waited != ENDING_OK)
            return waited;
        pause = !pause;
    }
}

/* GET-EXACT: a frame announces only what has been read. */
static enum ending send_chunk(const struct stream *stream, size_t length)
{
    frame_encode_header(stream->buffer, (struct frame_header){.type = FRAME_DATA, .length = (uint32_t)length});
    return stream_send(stream, stream->buffer, LIMIT_FRAME_HEADER + length);
}

static enum ending send_file(struct download *download)
{
    uint8_t *reply = download->stream->buffer;
    const struct stat *status = &download->status;
    enum ending ending = stream_send(download->stream, reply,
                                     reply_file(reply, status->st_mode & LIMIT_FILE_MODE, (uint64_t)status->st_size));

    while (ending == ENDING_OK) {
        size_t got;

        ending = next_chunk(download, &got);
        if (ending == ENDING_OK && got == 0)
            return stream_send(download->stream, reply, reply_eof(reply));
        if (ending == ENDING_OK)
            ending = send_chunk(download->stream, got);
    }
    return ending;
}

enum ending get_file_serve(const struct stream *stream, const struct request *request)
{
    struct download download = {.stream = stream, .file = -1};
    struct wire_error error = {.code = WIRE_OK};
    enum ending ending;

    if (!open_file(&download, request->path, &error))
        return stream_send(stream, stream->buffer, reply_error(stream->buffer, &error));
    ending = send_file(&download);
    stream->sys->close(download.file);
    return ending;
}
