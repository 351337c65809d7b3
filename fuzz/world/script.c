#include <errno.h>
#include <signal.h>

#include "parts.h"
#include "script.h"
#include "wire/constants.h"

#define ERRORS 8
/* What a call may fail with, one thing at least. */
static const int errors[CALLS][ERRORS] = {
    [CALL_RECV] = {EINTR, EAGAIN, ECONNRESET},
    [CALL_SEND] = {EINTR, EAGAIN, ECONNRESET, EPIPE},
    [CALL_ACCEPT] = {EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR, EAGAIN},
    [CALL_EPOLL_ADD] = {ENOMEM, ENOSPC},
    [CALL_EPOLL_WAIT] = {EINTR},
    [CALL_POLL] = {EINTR},
    [CALL_OPEN] = {ENOENT, EACCES, EMFILE, EROFS, ENOSPC, EEXIST, ELOOP},
    [CALL_STAT] = {EIO},
    [CALL_WRITE] = {EINTR, ENOSPC, EDQUOT, EFBIG, EIO},
    [CALL_READ] = {EINTR, EIO, EAGAIN},
    [CALL_CHMOD] = {EPERM, EIO, EROFS},
    [CALL_CLOSE] = {EIO, ENOSPC, EDQUOT, EINTR},
    [CALL_RENAME] = {ENOSPC, EACCES, EROFS, EIO, EISDIR},
    [CALL_PIPE] = {EMFILE, ENFILE},
    [CALL_SPLICE_IN] = {EINTR, EINVAL, EAGAIN, EIO},
    [CALL_SPLICE_OUT] = {EINTR, EINVAL, ENOSPC, EIO, EDQUOT},
    [CALL_SPAWN] = {ENOENT, EAGAIN, ENOMEM, E2BIG},
    [CALL_THREAD] = {EAGAIN},
    [CALL_MEMORY] = {ENOMEM},
    [CALL_SHUTDOWN] = {ENOTCONN},
    [CALL_EVENTFD] = {EMFILE},
    [CALL_EPOLL_CREATE] = {EMFILE},
};

static void add_faults(struct world *w, const uint8_t *bytes, size_t size)
{
    for (; size >= 4 && w->faults < WORLD_FAULTS; bytes += 4, size -= 4) {
        const unsigned call = bytes[0] % CALLS;
        const int *of_call = errors[call];
        unsigned kinds = 1;

        while (kinds < ERRORS && of_call[kinds] != 0)
            kinds++;
        w->fault[w->faults++] = (struct fault){
            .call = (uint8_t)call, .after = bytes[1], .times = bytes[2], .err = of_call[bytes[3] % kinds]};
    }
}

void world_add_host(struct world *w, bool foreign)
{
    struct host *host = &w->host_at[w->hosts % WORLD_HOSTS];
    struct buffer in = host->in;
    struct buffer out = host->out;

    if (w->hosts == WORLD_HOSTS)
        return;
    buffer_clear(&in);
    buffer_clear(&out);
    *host = (struct host){.in = in, .out = out, .foreign = foreign, .server = WORLD_DESK, .record = WORLD_NOBODY};
    w->host = w->hosts++;
}

static void leave(struct host *host)
{
    host->shut = host->closed = host->excused = true;
}

/* A file: kind, where (the node's number), mode (16 bits), its name up to a NUL, what it holds. */
static void add_file(struct world *w, const uint8_t *bytes, size_t size)
{
    static const enum node_kind kinds[] = {NODE_FILE, NODE_DIRECTORY, NODE_LINK, NODE_FIFO, NODE_SILENT};
    const unsigned parent = size > 4 ? bytes[1] % w->nodes : 0;
    const size_t length = size > 4 ? strnlen((const char *)bytes + 4, size - 4) : 0;
    char name[WORLD_NAME + 1];
    int node;

    if (length == 0 || length > WORLD_NAME || w->node[parent].kind != NODE_DIRECTORY)
        return;
    memcpy(name, bytes + 4, length);
    name[length] = '\0';
    if (strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    node = files_add(w, kinds[bytes[0] % 5], parent, name, NULL);
    if (node < 0)
        return;
    w->node[node].mode = (mode_t)(bytes[2] << 8 | bytes[3]) & 07777;
    if (size > 4 + length + 1)
        buffer_add(&w->node[node].content, bytes + 4 + length + 1, size - 4 - length - 1);
}

static void plan(struct world *w, const uint8_t *bytes, size_t size)
{
    if (w->planned < WORLD_COMMANDS) {
        w->plan[w->planned].script = bytes;
        w->plan[w->planned++].left = size;
    }
}

static void fill(struct host *host, size_t size, int byte)
{
    if (host->in.size + size > FILL_MOST)
        return;
    memset(buffer_grow(&host->in, size), byte, size);
    host->in.size += size;
}

static void direct(struct world *w, unsigned word, const uint8_t *bytes, size_t size)
{
    struct host *host = &w->host_at[w->host];
    const unsigned first = size > 0 ? bytes[0] : 0;
    const unsigned second = size > 1 ? bytes[1] : 0;
    const int64_t span = 10 * CLOCK_MILLISECOND << first % 15;

    switch (word) {
    case SCRIPT_CONNECT:
        world_add_host(w, first == 1);
        break;
    case SCRIPT_HOST:
        w->host = first % w->hosts;
        break;
    case SCRIPT_SHUT:
        host->shut = true;
        break;
    case SCRIPT_LEAVE:
        leave(host);
        break;
    case SCRIPT_QUIET:
        w->quiet = true;
        break;
    case SCRIPT_WAIT:
        w->script_at = world_pause(w, span);
        w->lost += span;
        break;
    case SCRIPT_JUMP: /* a stop that takes longer than its two seconds may leave things behind */
        if (w->stopped)
            break;
        w->now = clock_after(w->now, span);
        w->lost += span;
        break;
    case SCRIPT_FAULT:
        add_faults(w, bytes, size);
        break;
    case SCRIPT_PIECE:
        w->piece = first;
        break;
    case SCRIPT_DEAF:
        host->deaf = first != 0;
        host->was_deaf = host->was_deaf || host->deaf;
        host->room = second < 16 ? (size_t)1 << second : 0;
        break;
    case SCRIPT_COMMAND:
        plan(w, bytes, size);
        break;
    case SCRIPT_FILE:
        add_file(w, bytes, size);
        break;
    case SCRIPT_DISK:
        w->disk = (size_t)first << 8 | second;
        break;
    case SCRIPT_RAW:
        if (!host->shut)
            buffer_add(&host->in, bytes, size);
        break;
    case SCRIPT_SIGNAL:
        w->stopped = w->stopped || first != 0;
        w->signals |= 1U << (first != 0 ? SIGTERM : SIGCHLD);
        break;
    case SCRIPT_PREEMPT:
        w->preempt = first;
        break;
    case SCRIPT_FILL:
        if (!host->shut)
            fill(host, (size_t)1 << first % 19, (int)second);
        break;
    case SCRIPT_OTHERS:
        w->others = w->others > 0 ? w->others : (size_t)(first << 8 | second) << 7;
        break;
    default:
        break;
    }
}

bool world_script_over(const struct world *w)
{
    return w->left == 0 && w->script_at <= w->now;
}

bool world_script_step(struct world *w)
{
    struct host *host = &w->host_at[w->host];
    const uint8_t *frame = w->script;
    size_t size = w->left;
    uint32_t length;

    if (w->left == 0 || w->quiet || w->script_at > w->now)
        return false;
    if (size >= LIMIT_FRAME_HEADER) {
        length = (uint32_t)frame[1] << 24 | (uint32_t)frame[2] << 16 | (uint32_t)frame[3] << 8 | frame[4];
        if (length <= size - LIMIT_FRAME_HEADER)
            size = LIMIT_FRAME_HEADER + length;
    }
    w->script += size;
    w->left -= size;
    if (frame[0] >= SCRIPT_FIRST && size >= LIMIT_FRAME_HEADER)
        direct(w, frame[0], frame + LIMIT_FRAME_HEADER, size - LIMIT_FRAME_HEADER);
    else if (!host->shut)
        buffer_add(&host->in, frame, size);
    return true;
}

bool world_script_end(struct world *w)
{
    bool left = false;

    for (unsigned i = 0; i < w->hosts; i++) {
        struct host *host = &w->host_at[i];

        if (host->agent_closed || host->closed)
            continue;
        FUZZ_CHECK(!host->accepted || commands_alive(w),
                   "CONV-IDLE, CONV-STALL: only for a command is a host waited for without end");
        leave(host);
        left = true;
    }
    if (!left && w->stopped)
        return false;
    if (!left) {
        w->stopped = true;
        w->signals |= 1U << SIGTERM;
    }
    return true;
}
