/* Property: whatever hosts send and leave, and whatever call fails, the shipped front desk, workers and operations
 * answer each request with what the contract says (world/judge.c) and at most one terminal frame, give back every
 * descriptor, command, temporary file and byte of memory, and stop when they are told to. Only the system-call table
 * differs (world/world.h).
 *
 * Input: what happens in the world, in the order of time (world/script.h). */
#include "fuzz.h"
#include "guest/desk_parts.h"
#include "world/judge.h"
#include "world/parts.h"

/* The epoll set, the desk's event and the stop's, signals, and the listener, which is closed past the table. */
#define KEPT 5

/* A desk is for good, and two megabytes: the next input gets the same one. */
static void clear(struct desk *desk)
{
    memset(desk, 0, offsetof(struct desk, places));
}

static void serve(struct desk *desk, const struct desk_setup *setup)
{
    const size_t others = desk->held = world()->others;

    while (!desk->stopping)
        desk_turn(desk);
    desk_stop(desk);
    FUZZ_CHECK(desk->connections == 0, "SRV-STOP: no conversation is left");
    FUZZ_CHECK(desk->held == others && desk->queued_bytes == 0 && desk->paused == 0,
               "SRV-CONNS: what is held is known");
    FUZZ_CHECK(setup->listener->fd == -1, "SRV-STOP: nobody is accepted any more");
    slots_dismiss(&desk->slots, CLOCK_NEVER);
    world_settle();
}

const struct fuzz_input fuzz_input = {.form = FUZZ_STREAM};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct desk desk;
    const struct options options = {.request_timeout = 10 * CLOCK_SECOND,
                                    .io_timeout = 12 * CLOCK_SECOND,
                                    .linger_timeout = 5 * CLOCK_SECOND,
                                    .max_requests = 2,
                                    .quiet = true};
    const struct origin origin = {.files_raised = false};
    struct world *world = world_open(data, size);
    struct log log = {.quiet = true};
    struct listener listener = {.fd = world_handle_new(HANDLE_LISTENER, 0)};
    const struct desk_setup setup = {
        .sys = &world_sys,
        .options = &options,
        .origin = &origin,
        .log = &log,
        .listener = &listener,
        .instance = "fuzz",
        .signals = world_handle_new(HANDLE_SIGNALS, 0),
        .stop = world_handle_new(HANDLE_EVENT, 0),
    };

    clear(&desk);
    if (desk_open(&desk, &setup)) {
        serve(&desk, &setup);
        world_check_clean(world, KEPT);
        for (unsigned i = 0; i < world->hosts; i++)
            judge_conversation(world, &world->host_at[i]);
    }
    return 0;
}
