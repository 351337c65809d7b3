/* Workers: threads that serve one job each at a time, started on demand, gone when idle (SRV-SLOTS). */
#ifndef GUEST_SLOTS_H
#define GUEST_SLOTS_H

#include <pthread.h>
#include <stdbool.h>

struct job {
    struct job *next; /* the workers' own */
    void (*serve)(struct job *job); /* runs in a worker */
};

struct worker;

struct slots {
    pthread_mutex_t lock;
    pthread_attr_t attributes;
    struct worker *idle; /* latest first, so that the others can go */
    struct job *fresh;   /* given to a worker that is just being started */
    struct job *done;
    int finished; /* eventfd: readable while jobs wait in `done` */
};

/* Return: false with errno set. */
bool slots_open(struct slots *slots);

/* Give the job to an idle worker or a new one. Return: false if no worker could be started; the job is still the caller's. */
bool slots_serve(struct slots *slots, struct job *job);

/* Return: the jobs served since the last call, a list by `next`; makes `finished` unreadable. */
struct job *slots_collect(struct slots *slots);

#endif
