/* Addresses of the host's tools, as their command lines give them. Nothing is looked up or opened here. */
#ifndef HOST_ADDRESS_H
#define HOST_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#define ADDRESS_PATH sizeof((struct sockaddr_un){0}.sun_path) /* with its NUL */
#define ADDRESS_HOST 256                                      /* with its NUL; a name of DNS has at most 253 */

enum address_kind { ADDRESS_UNIX, ADDRESS_TCP, ADDRESS_VSOCK, ADDRESS_HYBRID, ADDRESS_FD };

struct address {
    enum address_kind kind;
    const char *text;        /* as given; not copied */
    char path[ADDRESS_PATH]; /* unix, hybrid */
    char host[ADDRESS_HOST]; /* tcp: a name or a number, without brackets */
    uint32_t cid;            /* vsock; VMADDR_CID_ANY where a listener names none */
    uint32_t port;           /* tcp, vsock, hybrid: at least 1 */
    int fd;                  /* fd */
};

/* What address_read_target() takes, for a complaint. */
#define ADDRESS_TARGETS "unix:PATH, tcp:HOST:PORT, tcp:[IPV6]:PORT, vsock:CID:PORT or hybrid:PATH:PORT"

/* What address_read_listen() takes. */
#define ADDRESS_LISTENS                                                                                             \
    "unix:PATH, tcp:HOST:PORT, tcp:[IPV6]:PORT, vsock:[CID:]PORT, hybrid:PATH:PORT, or fd:N of a listening stream " \
    "socket"

/* Something to connect to. Return: true with *address; false if `text` is none of ADDRESS_TARGETS. */
bool address_read_target(struct address *address, const char *text);

/* Something to listen at. Return: true with *address; false if `text` is none of ADDRESS_LISTENS. */
bool address_read_listen(struct address *address, const char *text);

/* Return: the name of a Unix socket at `address->path` (unix, hybrid). */
struct sockaddr_un address_unix(const struct address *address);

#endif
