/* A host name's addresses without ever blocking the caller: getaddrinfo() runs in a thread of its own, at most one for
 * each resolver, and many callers may wait for the same answer. A number is its own answer, without a thread. */
#ifndef HOST_RESOLVE_H
#define HOST_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

struct resolver;

enum resolve_state {
    RESOLVE_WAITS,  /* until resolver_fd() is readable, or for a moment where it is out of descriptors: ask again */
    RESOLVE_DONE,   /* *found holds at least one address */
    RESOLVE_FAILED, /* *reason says why; asking again a second later looks again */
};

/* `host` is copied. Return: a resolver; NULL with errno. */
struct resolver *resolver_new(const char *host, uint32_t port);

/* Also while a thread is at it: that thread frees what it needs. NULL is no error. */
void resolver_free(struct resolver *resolver);

/* Return: a descriptor that is readable once an answer has come; -1 if answers never take time. */
int resolver_fd(const struct resolver *resolver);

/* Call when resolver_fd() is readable: takes the answer in, so that it is readable no longer. */
void resolver_collect(struct resolver *resolver);

/* The current answer; starts a look-up where there is none, or where it is older than a second. *found stays valid
 * until the next call; *reason is static. */
enum resolve_state resolver_ask(struct resolver *resolver, const struct addrinfo **found, const char **reason);

#endif
