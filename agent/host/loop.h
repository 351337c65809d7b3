/* One thread's event loop: descriptors that are watched, level-triggered, and timers. What is watched or timed is
 * embedded in what it belongs to. */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch {
    int fd;
    bool registered;
    uint32_t events; /* as registered */
    void (*ready)(struct watch *watch, uint32_t events);
};

struct timer {
    int64_t when; /* CLOCK_NEVER: not set */
    size_t place; /* the loop's */
    void (*due)(struct timer *timer);
};

struct loop {
    int epoll;
    int64_t now; /* of the current round */
    bool stop;
    struct timer **heap;
    size_t timers;
    size_t room;
};

/* The structure that holds `member` at `pointer`. */
#define LOOP_OWNER(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Return: true; false with errno. */
bool loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* Watch for these EPOLL... events; hang-ups and errors are always reported. Costs nothing where nothing changes.
 * Return: false with errno if the kernel has no room. */
bool loop_watch(struct loop *loop, struct watch *watch, uint32_t events);

/* Stop watching. Not needed where the descriptor is closed next and has no duplicate. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Make sure that `count` timers can be set at once. Return: false if there is no memory. */
bool loop_reserve(struct loop *loop, size_t count);

/* Set, move or (CLOCK_NEVER) clear a timer. */
void loop_set(struct loop *loop, struct timer *timer, int64_t when);

/* One round: wait until something happens, and call what it is for. What is watched and closed meanwhile has to keep
 * its memory until the round is over, with `registered` false. */
void loop_round(struct loop *loop);

/* Return: the monotonic clock. */
int64_t loop_clock(void);

#endif
