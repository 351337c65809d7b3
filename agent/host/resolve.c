#include "host/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guest/clock.h"
#include "host/address.h"

#define FRESH      CLOCK_SECOND
#define STACK_SIZE (256 * 1024) /* musl's getaddrinfo() keeps packets of several servers on it */

/* A look-up. Two hold it, the resolver and the thread; whoever is the second to let go frees it. */
struct query {
    atomic_uint holders;
    atomic_bool answered; /* the three below are then the resolver's */
    struct addrinfo *found;
    int error; /* of getaddrinfo() */
    int system_error;
    int event; /* the thread's own */
    char host[ADDRESS_HOST];
    char port[8];
};

struct resolver {
    int event; /* -1: a number, answered for good */
    struct query *asked;
    struct addrinfo *found;
    const char *reason; /* of the last answer, NULL: found */
    int64_t answered;   /* when; -1: never */
    char host[ADDRESS_HOST];
    char port[8];
};

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **found)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    const int error = getaddrinfo(host, port, &hints, found);

    if (error != 0)
        *found = NULL;
    return error;
}

static void let_go(struct query *query)
{
    if (atomic_fetch_sub(&query->holders, 1) != 1)
        return;
    if (query->found != NULL)
        freeaddrinfo(query->found);
    close(query->event);
    free(query);
}

static void *work(void *argument)
{
    struct query *query = argument;
    const uint64_t one = 1;

    query->error = look_up(query->host, query->port, 0, &query->found);
    query->system_error = errno;
    atomic_store(&query->answered, true);
    if (write(query->event, &one, sizeof one) < 0) {
        /* It is readable already. */
    }
    let_go(query);
    return NULL;
}

/* Return: false where descriptors, memory or threads are short. */
static bool start(struct resolver *resolver)
{
    struct query *query = calloc(1, sizeof *query);
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    if (query == NULL)
        return false;
    query->event = dup(resolver->event);
    if (query->event < 0) {
        free(query);
        return false;
    }
    memcpy(query->host, resolver->host, sizeof query->host);
    memcpy(query->port, resolver->port, sizeof query->port);
    atomic_init(&query->holders, 2);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    error = pthread_create(&thread, &attributes, work, query);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        close(query->event);
        free(query);
        return false;
    }
    resolver->asked = query;
    return true;
}

void resolver_collect(struct resolver *resolver)
{
    struct query *query = resolver->asked;
    uint64_t count;

    if (read(resolver->event, &count, sizeof count) < 0) {
        /* Nothing yet. Where the answer is seen before the thread's write, that is read by a call of its own. */
    }
    if (query == NULL || !atomic_load(&query->answered))
        return;
    if (resolver->found != NULL)
        freeaddrinfo(resolver->found);
    resolver->found = query->found;
    query->found = NULL;
    resolver->reason = NULL;
    if (resolver->found == NULL)
        resolver->reason = query->error == EAI_SYSTEM ? strerror(query->system_error) : gai_strerror(query->error);
    resolver->answered = now();
    resolver->asked = NULL;
    let_go(query);
}

struct resolver *resolver_new(const char *host, uint32_t port)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL)
        return NULL;
    resolver->event = -1;
    resolver->answered = -1;
    snprintf(resolver->host, sizeof resolver->host, "%s", host);
    snprintf(resolver->port, sizeof resolver->port, "%u", port);
    if (look_up(resolver->host, resolver->port, AI_NUMERICHOST, &resolver->found) == 0)
        return resolver;
    resolver->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolver->event >= 0)
        return resolver;
    free(resolver);
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (resolver->asked != NULL)
        let_go(resolver->asked);
    if (resolver->found != NULL)
        freeaddrinfo(resolver->found);
    if (resolver->event >= 0)
        close(resolver->event);
    free(resolver);
}

int resolver_fd(const struct resolver *resolver)
{
    return resolver->event;
}

enum resolve_state resolver_ask(struct resolver *resolver, const struct addrinfo **found, const char **reason)
{
    if (resolver->event >= 0) {
        resolver_collect(resolver);
        if (resolver->asked != NULL)
            return RESOLVE_WAITS;
        if (resolver->answered < 0 || now() - resolver->answered > FRESH) {
            if (start(resolver))
                return RESOLVE_WAITS;
            *reason = "the name cannot be looked up: descriptors, memory or threads are short";
            return RESOLVE_FAILED;
        }
    }
    *found = resolver->found;
    *reason = resolver->reason;
    return resolver->found != NULL ? RESOLVE_DONE : RESOLVE_FAILED;
}
