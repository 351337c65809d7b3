#include "guest/slots.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>

#include "guest/clock.h"
#include "guest/stream.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

/* What an operation needs on its stack beside the stream's buffer, the start of a child included; sanitizers need
 * several times that. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define STACK_SIZE (512 * 1024)
#else
#define STACK_SIZE (STREAM_BUFFER + 64 * 1024)
#endif

#define IDLE_LIFE (CLOCK_SECOND / 2)

/* On the stack of its thread, which lives until it is told to end. */
struct worker {
    struct worker *next;
    struct slots *slots;
    struct job *job;  /* written before `told` is */
    atomic_uint told; /* 1: there is a job, or NULL for the end */
    int64_t idle_from;
};

bool slots_open(struct slots *slots, const struct sys *sys)
{
    *slots = (struct slots){.sys = sys, .finished = sys->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (slots->finished < 0)
        return false;
    pthread_attr_init(&slots->attributes);
    pthread_attr_setdetachstate(&slots->attributes, PTHREAD_CREATE_DETACHED);
    errno = pthread_attr_setstacksize(&slots->attributes, STACK_SIZE);
    return errno == 0;
}

static void hand_back(struct worker *worker)
{
    const uint64_t one = 1;
    struct slots *slots = worker->slots;
    struct job *job = worker->job;

    atomic_store(&worker->told, 0);
    job->worker = worker;
    job->next = atomic_load(&slots->done);
    while (!atomic_compare_exchange_weak(&slots->done, &job->next, job))
        continue;
    if (slots->sys->write(slots->finished, &one, sizeof one) < 0) {
        /* Only a counter at its limit refuses, and then it is readable already. */
    }
}

static void *work(void *argument)
{
    struct job *first = argument;
    struct worker worker = {.slots = first->slots, .job = first};
    const struct sys *sys = first->slots->sys;

    while (worker.job != NULL) {
        worker.job->serve(worker.job);
        hand_back(&worker);
        while (atomic_load(&worker.told) == 0)
            sys->wait(&worker.told, 0);
    }
    return NULL;
}

static void tell(struct worker *worker, struct job *job)
{
    const struct sys *sys = worker->slots->sys; /* a worker that is told to end may be gone at once */

    worker->job = job;
    atomic_store(&worker->told, 1);
    sys->wake(&worker->told);
}

bool slots_serve(struct slots *slots, struct job *job)
{
    struct worker *worker = slots->idle;

    if (worker != NULL) {
        slots->idle = worker->next;
        tell(worker, job);
        return true;
    }
    job->slots = slots;
    return slots->sys->thread(&slots->attributes, work, job) == 0;
}

struct job *slots_collect(struct slots *slots, int64_t now)
{
    uint64_t count;
    struct job *done;

    if (slots->sys->read(slots->finished, &count, sizeof count) < 0) {
        /* Not readable: nothing is done, and the list says so. */
    }
    done = atomic_exchange(&slots->done, NULL);
    for (struct job *job = done; job != NULL; job = job->next) {
        job->worker->idle_from = now;
        job->worker->next = slots->idle;
        slots->idle = job->worker;
    }
    return done;
}

int64_t slots_dismiss(struct slots *slots, int64_t now)
{
    struct worker **at = &slots->idle;

    while (*at != NULL && now < (*at)->idle_from + IDLE_LIFE)
        at = &(*at)->next;

    struct worker *worker = *at; /* and all behind it, which have been idle for longer */
    struct worker *next;

    *at = NULL;
    for (; worker != NULL; worker = next) {
        next = worker->next;
        tell(worker, NULL);
    }
    return slots->idle != NULL ? slots->idle->idle_from + IDLE_LIFE : CLOCK_NEVER;
}
