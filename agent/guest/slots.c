#include "guest/slots.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guest/clock.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

/* What an operation needs on its stack, the start of a child included; sanitizers need several times that. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define STACK_SIZE (512 * 1024)
#else
#define STACK_SIZE (64 * 1024)
#endif

#define IDLE_LIFE (CLOCK_SECOND / 2)

struct worker {
    struct worker *next;
    struct slots *slots;
    struct job *job;
    pthread_cond_t wake;
};

bool slots_open(struct slots *slots)
{
    *slots = (struct slots){.finished = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (slots->finished < 0)
        return false;
    pthread_mutex_init(&slots->lock, NULL);
    pthread_attr_init(&slots->attributes);
    pthread_attr_setdetachstate(&slots->attributes, PTHREAD_CREATE_DETACHED);
    errno = pthread_attr_setstacksize(&slots->attributes, STACK_SIZE);
    return errno == 0;
}

static void forget_idle(struct worker *worker)
{
    for (struct worker **at = &worker->slots->idle; *at != NULL; at = &(*at)->next)
        if (*at == worker) {
            *at = worker->next;
            return;
        }
}

/* Called and returns with the lock held. Return: the next job; NULL once the worker has been idle for long. */
static struct job *wait_for_job(struct worker *worker)
{
    struct slots *slots = worker->slots;
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += IDLE_LIFE;
    end.tv_sec += end.tv_nsec / CLOCK_SECOND;
    end.tv_nsec %= CLOCK_SECOND;
    while (worker->job == NULL)
        if (pthread_cond_timedwait(&worker->wake, &slots->lock, &end) == ETIMEDOUT && worker->job == NULL) {
            forget_idle(worker);
            return NULL;
        }
    return worker->job;
}

static void *work(void *argument)
{
    const uint64_t one = 1;
    struct worker worker = {.slots = argument};
    struct slots *slots = worker.slots;
    pthread_condattr_t monotonic;
    struct job *job;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker.wake, &monotonic);
    pthread_mutex_lock(&slots->lock);
    job = slots->fresh;
    slots->fresh = job->next;
    while (job != NULL) {
        pthread_mutex_unlock(&slots->lock);
        job->serve(job);
        pthread_mutex_lock(&slots->lock);

        /* Idle before the job is handed back, so that whoever collects it finds the slot free. */
        worker.job = NULL;
        worker.next = slots->idle;
        slots->idle = &worker;
        job->next = slots->done;
        slots->done = job;
        pthread_mutex_unlock(&slots->lock);
        if (write(slots->finished, &one, sizeof one) < 0) {
            /* Only a counter at its limit refuses, and then it is readable already. */
        }
        pthread_mutex_lock(&slots->lock);
        job = wait_for_job(&worker);
    }
    pthread_mutex_unlock(&slots->lock);
    pthread_cond_destroy(&worker.wake);
    return NULL;
}

bool slots_serve(struct slots *slots, struct job *job)
{
    struct worker *worker;
    pthread_t thread;
    bool started = true;

    pthread_mutex_lock(&slots->lock);
    worker = slots->idle;
    if (worker != NULL) {
        slots->idle = worker->next;
        worker->job = job;
        pthread_cond_signal(&worker->wake);
    } else {
        /* Which new worker takes which fresh job does not matter. */
        job->next = slots->fresh;
        slots->fresh = job;
        started = pthread_create(&thread, &slots->attributes, work, slots) == 0;
        if (!started)
            slots->fresh = job->next;
    }
    pthread_mutex_unlock(&slots->lock);
    return started;
}

struct job *slots_collect(struct slots *slots)
{
    uint64_t count;
    struct job *done;

    if (read(slots->finished, &count, sizeof count) < 0) {
        /* Not readable: nothing is done, and the list says so. */
    }
    pthread_mutex_lock(&slots->lock);
    done = slots->done;
    slots->done = NULL;
    pthread_mutex_unlock(&slots->lock);
    return done;
}
