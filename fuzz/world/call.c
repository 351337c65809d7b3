#include <errno.h>
#include <fcntl.h>

#include "parts.h"

#define PIECE_CALLS 2500       /* so many are enough to see what short ones do */
#define BUFFER_KEPT (1U << 18) /* bytes worth keeping for the next input: asking for them anew takes page faults */

struct record *world_record(void)
{
    return &world()->records[world()->running];
}

void world_record_on(struct host *host)
{
    host->server = world()->running;
    host->record = *world_record();
}

void world_record_over(void)
{
    struct world *w = world();

    for (unsigned i = 0; i < w->hosts && w->running != WORLD_DESK; i++) {
        if (w->host_at[i].server == w->running)
            w->host_at[i].record = *world_record();
        if (w->host_at[i].server == w->running)
            w->host_at[i].server = WORLD_DESK;
    }
    *world_record() = WORLD_NOBODY;
}

int64_t world_pause(struct world *w, int64_t span)
{
    span = span < w->leisure ? span : w->leisure;
    w->leisure -= span;
    return clock_after(w->now, span);
}

void world_count(struct world *w)
{
    FUZZ_CHECK(++w->calls < WORLD_CALLS, "everything comes to its end");
}

bool world_fails(enum call call)
{
    struct world *w = world();

    world_count(w);
    w->moved = true;
    if (w->preempt > 0 && w->running != WORLD_DESK && w->calls % w->preempt == 0)
        world_preempt();
    world_script_step(w);
    for (unsigned i = 0; i < w->faults; i++) {
        struct fault *fault = &w->fault[i];

        if (fault->call != call || fault->times == 0)
            continue;
        if (fault->after > 0) {
            fault->after--;
            continue;
        }
        fault->times--;
        errno = fault->err;
        return true;
    }
    return false;
}

int world_blame(int err)
{
    world_record()->err = err;
    errno = err;
    return -1;
}

size_t world_piece(size_t size)
{
    const struct world *w = world();

    return w->piece > 0 && size > w->piece && w->calls < PIECE_CALLS ? w->piece : size;
}

int world_handle_new(enum handle_kind kind, unsigned index)
{
    struct world *w = world();

    for (int i = 0; i < WORLD_FDS; i++) {
        if (w->handles[i].kind != HANDLE_FREE)
            continue;
        w->handles[i] = (struct handle){.kind = kind, .index = index};
        return WORLD_FIRST_FD + i;
    }
    errno = EMFILE;
    return -1;
}

struct handle *world_handle(int fd)
{
    struct handle *handle = &world()->handles[fd - WORLD_FIRST_FD];

    FUZZ_CHECK(fd >= WORLD_FIRST_FD && fd < WORLD_FIRST_FD + WORLD_FDS && handle->kind != HANDLE_FREE,
               "only open descriptors are used");
    return handle;
}

/* CONV-IDLE, CONV-STALL: a host that was late or slow may be given up after ten seconds. CONV-LINGER: it is waited for
 * five. */
static void hang_up(const struct world *w, struct host *host)
{
    const int64_t span = w->now - host->since;

    host->agent_closed = true;
    host->late = span >= 10 * CLOCK_SECOND;
    host->excused = host->excused || w->stopped || (host->late && (host->was_deaf || w->lost >= 5 * CLOCK_SECOND));
    host->hasty =
        host->agent_shut && !host->excused && span < 5 * CLOCK_SECOND && !(host->shut && buffer_left(&host->in) == 0);
}

int world_close_fd(int fd)
{
    struct world *w = world();
    struct handle *handle = world_handle(fd);
    const enum handle_kind kind = handle->kind;
    const bool written = kind == HANDLE_FILE && (handle->flags & (O_WRONLY | O_RDWR)) != 0;
    const bool fails = world_fails(written ? CALL_CLOSE : CALL_SAFE);

    if (kind == HANDLE_SOCKET)
        hang_up(w, &w->host_at[handle->index]);
    if (kind == HANDLE_READER)
        w->pipe[handle->index].readers--;
    if (kind == HANDLE_WRITER)
        w->pipe[handle->index].writers--;
    FUZZ_CHECK(kind != HANDLE_PIDFD, "a pidfd is closed by who reaps");
    *handle = (struct handle){.kind = HANDLE_FREE}; /* also when it fails, as Linux does it */
    if (fails && errno != EINTR)
        world_record()->close_err = errno;
    return fails ? -1 : 0;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->start = buffer->size = 0;
    if (buffer->room <= BUFFER_KEPT)
        return;
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->room = 0;
}

uint8_t *buffer_grow(struct buffer *buffer, size_t size)
{
    if (buffer->room - buffer->size < size) {
        buffer->room = (buffer->size + size) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->room);
        if (buffer->bytes == NULL)
            abort();
    }
    return buffer->bytes + buffer->size;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(buffer_grow(buffer, size), bytes, size);
    buffer->size += size;
}

size_t buffer_take(struct buffer *buffer, void *into, size_t size)
{
    const size_t left = buffer_left(buffer);
    const size_t taken = size < left ? size : left;

    if (taken > 0 && into != NULL)
        memcpy(into, buffer->bytes + buffer->start, taken);
    buffer->start += taken;
    return taken;
}
