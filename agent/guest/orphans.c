#include "guest/orphans.h"

#include <stddef.h>
#include <sys/wait.h>

#ifndef __WNOTHREAD
#define __WNOTHREAD 0x20000000
#endif

/* The kernel gives orphans to the main thread, while a run's shell is the child of the worker that cloned it. So
 * waiting for this thread's own children alone can never take a run's status. */
void orphans_reap(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
        continue;
}
