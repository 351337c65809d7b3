#include "world.h"

#include "guest/memory.h"
#include "parts.h"

/* The table's entries take no context, and the fibers' stacks are worth keeping. */
static struct world *there_is;

struct world *world(void)
{
    return there_is;
}

static int64_t world_clock(void)
{
    world_fails(CALL_SAFE);
    return there_is->now;
}

static void world_random(uint8_t *bytes, size_t count)
{
    memset(bytes, 0, count);
    bytes[0] = (uint8_t)there_is->drawn++;
}

static void world_wake(atomic_uint *word)
{
    (void)word; /* who waits looks at it by itself */
}

static void world_rest(void)
{
}

const struct sys world_sys = {
    .now = world_clock,
    .poll = world_poll,
    .recv = world_recv,
    .recvmsg = world_recvmsg,
    .send = world_send,
    .shutdown = world_shutdown,
    .close = world_close_fd,
    .accept = world_accept,
    .epoll_create = world_epoll_create,
    .epoll_ctl = world_epoll_ctl,
    .epoll_wait = world_epoll_wait,
    .eventfd = world_eventfd,
    .read = world_read,
    .write = world_write,
    .splice = world_splice,
    .pipe = world_pipe,
    .tune_pipe = world_tune_pipe,
    .held = world_held,
    .open = world_open_file,
    .stat = world_stat,
    .chmod = world_chmod,
    .rename = world_rename,
    .unlink = world_unlink,
    .random = world_random,
    .thread = world_thread,
    .wait = world_futex_wait,
    .wake = world_wake,
    .rest = world_rest,
    .spawn = world_spawn,
    .kill_group = world_kill_group,
    .exited = world_exited,
    .reap = world_reap,
};

/* ---- memory (linked with --wrap): counted, and failing where the input says so */

void *__real_memory_map(size_t size);
void *__wrap_memory_map(size_t size);
void *__real_memory_resize(void *start, size_t from, size_t to);
void *__wrap_memory_resize(void *start, size_t from, size_t to);
void __real_memory_unmap(void *start, size_t size);
void __wrap_memory_unmap(void *start, size_t size);

static bool memory_fails(void)
{
    const bool fails = world_fails(CALL_MEMORY);

    there_is->excused_memory = there_is->excused_memory || fails;
    return fails;
}

void *__wrap_memory_map(size_t size)
{
    if (memory_fails())
        return NULL;
    there_is->held += size;
    return __real_memory_map(size);
}

void *__wrap_memory_resize(void *start, size_t from, size_t to)
{
    if (memory_fails())
        return NULL;
    there_is->held += to - from;
    return __real_memory_resize(start, from, to);
}

void __wrap_memory_unmap(void *start, size_t size)
{
    if (start != NULL)
        there_is->held -= size;
    __real_memory_unmap(start, size);
}

/* ---- beginning and end */

struct world *world_open(const uint8_t *script, size_t size)
{
    struct world *w = there_is;

    if (w == NULL) {
        w = there_is = calloc(1, sizeof *w);
        if (w == NULL)
            abort();
        for (size_t i = 0; i < sizeof w->pattern; i++)
            w->pattern[i] = (uint8_t)(i % 251);
    }
    memset((uint8_t *)w + offsetof(struct world, until), 0,
           offsetof(struct world, host_at) - offsetof(struct world, until));
    w->script = script;
    w->left = size;
    w->running = WORLD_DESK;
    w->now = 1000 * CLOCK_SECOND;
    w->leisure = WORLD_LEISURE;
    w->disk = (size_t)1 << 22;
    world_add_host(w, false);
    for (unsigned i = 0; i <= WORLD_WORKERS; i++)
        w->records[i] = WORLD_NOBODY;
    files_reset(w);
    return w;
}

void world_check_clean(const struct world *w, unsigned kept)
{
    unsigned open = 0;

    for (unsigned i = 0; i < WORLD_FDS; i++)
        open += w->handles[i].kind != HANDLE_FREE;
    FUZZ_CHECK(open == kept, "SRV-SURVIVE: no descriptor is left");
    for (unsigned i = 0; i < w->commands; i++)
        FUZZ_CHECK(w->command[i].reaped, "RUN-REAP: no command is left");
    for (unsigned i = 0; i < w->nodes; i++)
        FUZZ_CHECK(!w->node[i].standing || !w->node[i].temporary, "PUT-CLEAN: no temporary file is left");
    FUZZ_CHECK(w->held == 0, "SRV-SURVIVE: no memory is left");
}
