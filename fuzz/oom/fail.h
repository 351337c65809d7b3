/* Allocations that fail on demand: linked in by -Wl,--wrap=malloc and so on, so that neither the agent's sources nor
 * what is shipped know of it. */
#ifndef FUZZ_OOM_FAIL_H
#define FUZZ_OOM_FAIL_H

#include <stdatomic.h>
#include <stdint.h>

/* What failed, a bit each. */
enum fail_kind { FAIL_MEMORY = 1, FAIL_ARENA = 2, FAIL_THREAD = 4, FAIL_PROCESS = 8 };

/* Whoever sets `at` sets the others to 0 before. fuzz/oom/channel.py reads and writes these 32-bit words in this order
 * from outside the process. */
struct fail_plan {
    _Atomic uint32_t at;     /* the call that fails, counted from 1; 0: none does */
    _Atomic uint32_t after;  /* not 0: so does every one after it */
    _Atomic uint32_t only;   /* kinds of calls that count; 0: all */
    _Atomic uint32_t calls;  /* made so far */
    _Atomic uint32_t failed; /* of those */
    _Atomic uint32_t kinds;  /* of those that failed */
};

/* Return: the plan of this process; never NULL. It is the file that GUESTWIRE_OOM names where there is one, mapped. */
struct fail_plan *fail_plan(void);

#endif
