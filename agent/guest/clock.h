/* Time inside the agent: nanoseconds on the monotonic clock, deadlines as absolute times. */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND      INT64_C(1000000000)
#define CLOCK_MILLISECOND INT64_C(1000000)
#define CLOCK_NEVER       INT64_MAX

/* Return: `span` after `now`; CLOCK_NEVER where that is beyond the clock. Both at least 0. */
static inline int64_t clock_after(int64_t now, int64_t span)
{
    return span < CLOCK_NEVER - now ? now + span : CLOCK_NEVER;
}

static inline int64_t clock_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Return: milliseconds from now to the deadline, rounded up, as poll() and epoll_wait() take them; -1 for CLOCK_NEVER.
 */
static inline int clock_milliseconds(int64_t now, int64_t deadline)
{
    const int64_t most = 60 * 1000; /* waking once a minute too early is harmless */
    int64_t left;

    if (deadline == CLOCK_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    left = (deadline - now - 1) / CLOCK_MILLISECOND + 1;
    return (int)(left < most ? left : most);
}

#endif
