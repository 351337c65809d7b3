/* Waiting on a word of memory, and the plainest lock made of it. (A libc's mutexes and conditions do much that is not
 * needed here.) */
#ifndef GUEST_FUTEX_H
#define GUEST_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/syscall.h>

/* Wait as long as *word is `value`; may return early. */
static inline void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL);
}

/* Wake one that waits. The word may be gone already. */
static inline void futex_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
}

/* 0: free, 1: taken, 2: taken, and somebody may wait. */
struct lock {
    atomic_uint state;
};

static inline void lock_take(struct lock *lock)
{
    unsigned free = 0;

    if (atomic_compare_exchange_strong(&lock->state, &free, 1))
        return;
    while (atomic_exchange(&lock->state, 2) != 0)
        futex_wait(&lock->state, 2);
}

static inline void lock_release(struct lock *lock)
{
    if (atomic_exchange(&lock->state, 0) == 2)
        futex_wake(&lock->state);
}

#endif
