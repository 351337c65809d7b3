/* Workers: threads that serve one job each at a time, started on demand, gone when idle (SRV-SLOTS). All calls are one
 * thread's. */
#ifndef GUEST_SLOTS_H
#define GUEST_SLOTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/sys.h"

struct slots;
struct worker;

struct job {
    struct job *next; /* the slots' own, these three */
    struct slots *slots;
    struct worker *worker;
    void (*serve)(struct job *job); /* runs in a worker */
};

struct slots {
    const struct sys *sys;
    pthread_attr_t attributes;
    struct worker *idle;      /* latest first, so that the others can go */
    struct job *_Atomic done; /* what workers have put there, latest first */
    int finished;             /* eventfd: readable while jobs wait in `done` */
};

/* Return: false with errno set. */
bool slots_open(struct slots *slots, const struct sys *sys);

/* Give the job to an idle worker or a new one. Return: false if no worker could be started; the job is still the
 * caller's. */
bool slots_serve(struct slots *slots, struct job *job);

/* Return: the jobs served since the last call, a list by `next`; their workers are idle from `now` on. Makes `finished`
 * unreadable. */
struct job *slots_collect(struct slots *slots, int64_t now);

/* Let go of workers that have been idle for long. Return: when that is due for the next one. */
int64_t slots_dismiss(struct slots *slots, int64_t now);

#endif
