#include "guest/desk_parts.h"
#include "guest/serve.h"

#define WORKER_PAUSE (100 * CLOCK_MILLISECOND)
#define ASK_PAUSE    (250 * CLOCK_MILLISECOND)

/* In a worker. */
static void serve(struct job *job)
{
    struct connection *connection = (struct connection *)job;
    const struct desk_setup *setup = connection->desk->setup;
    uint8_t buffer[STREAM_BUFFER];
    const struct stream stream = {
        .sys = setup->sys,
        .fd = connection->fd,
        .stop = setup->stop,
        .io_timeout = setup->options->io_timeout,
        .buffer = buffer,
    };

    connection->ending = serve_request(&stream, &connection->request, setup->origin, setup->log);
}

void desk_queue(struct connection *connection)
{
    struct desk *desk = connection->desk;

    connection->job.serve = serve;
    desk->queued_bytes += connection->weight;
    desk_move(connection, STAGE_QUEUED);
    desk_hand_out(desk);
    if (connection->stage == STAGE_QUEUED)
        desk_watch(connection, EPOLLRDHUP);
}

void desk_hand_out(struct desk *desk)
{
    desk->work_at = CLOCK_NEVER;
    while (desk->stages[STAGE_QUEUED].first != NULL &&
           desk->stages[STAGE_WORKING].count < desk->setup->options->max_requests) {
        struct connection *connection = desk->stages[STAGE_QUEUED].first;

        if (stream_hung_up(desk->sys, connection->fd)) { /* SRV-SLOTS: it starts nothing */
            desk_close(connection);
            continue;
        }
        desk_unwatch(connection);
        if (!slots_serve(&desk->slots, &connection->job)) { /* no thread to be had: it keeps its turn */
            desk->work_at = clock_after(desk->sys->now(), WORKER_PAUSE);
            desk_watch(connection, EPOLLRDHUP);
            return;
        }
        desk->queued_bytes -= connection->weight;
        desk_move(connection, STAGE_WORKING);
    }
}

void desk_collect(struct desk *desk)
{
    struct job *next;

    for (struct job *job = slots_collect(&desk->slots, desk->sys->now()); job != NULL; job = next) {
        struct connection *connection = (struct connection *)job;

        next = job->next;
        if (connection->ending == ENDING_OK && !desk->stopping)
            desk_linger(connection, true);
        else
            desk_close(connection);
    }
    if (!desk->stopping)
        desk_hand_out(desk);
}

void desk_ask(struct connection *connection)
{
    struct desk *desk = connection->desk;

    if (stream_hung_up(desk->sys, connection->fd)) {
        desk_close(connection);
        return;
    }
    /* A half-close: polling would report it for ever. */
    connection->half_closed = true;
    if (desk_watch(connection, 0))
        desk->ask_at = clock_earlier(desk->ask_at, clock_after(desk->sys->now(), ASK_PAUSE));
}

void desk_ask_all(struct desk *desk)
{
    struct connection *next;

    desk->ask_at = CLOCK_NEVER;
    for (struct connection *connection = desk->stages[STAGE_QUEUED].first; connection != NULL; connection = next) {
        next = connection->next;
        if (connection->half_closed)
            desk_ask(connection);
    }
}
