#include "host/address.h"

#include <stddef.h>
#include <string.h>

#include <linux/vm_sockets.h>

#include "guest/number.h"

#define HIGHEST_VSOCK_PORT (UINT32_MAX - 1) /* VMADDR_PORT_ANY is no port */
#define HIGHEST_TCP_PORT   65535

static const char *after(const char *text, const char *prefix)
{
    const size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static bool read_port(struct address *address, const char *text, uint64_t most)
{
    uint64_t port;

    if (!number_read(text, 1, most, &port))
        return false;
    address->port = (uint32_t)port;
    return true;
}

/* Copy `length` bytes, with a NUL behind. Return: false if they are none, or more than the room. */
static bool copy(char *to, size_t room, const char *from, size_t length)
{
    if (length == 0 || length >= room)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

static bool read_unix(struct address *address, const char *text)
{
    address->kind = ADDRESS_UNIX;
    return copy(address->path, sizeof address->path, text, strlen(text));
}

/* PATH:PORT; what stands behind the last colon is the port. */
static bool read_hybrid(struct address *address, const char *text)
{
    const char *colon = strrchr(text, ':');

    address->kind = ADDRESS_HYBRID;
    return colon != NULL && copy(address->path, sizeof address->path, text, (size_t)(colon - text)) &&
           read_port(address, colon + 1, HIGHEST_VSOCK_PORT);
}

/* HOST:PORT or [IPV6]:PORT. */
static bool read_tcp(struct address *address, const char *text)
{
    const bool bracketed = text[0] == '[';
    const char *end = strchr(text, bracketed ? ']' : ':');

    address->kind = ADDRESS_TCP;
    if (end == NULL || end[bracketed ? 1 : 0] != ':')
        return false;
    if (bracketed)
        text++;
    return copy(address->host, sizeof address->host, text, (size_t)(end - text)) &&
           (!bracketed || strchr(address->host, ':') != NULL) &&
           read_port(address, end + (bracketed ? 2 : 1), HIGHEST_TCP_PORT);
}

/* CID:PORT, or PORT alone if `listens`. */
static bool read_vsock(struct address *address, const char *text, bool listens)
{
    const char *colon = strchr(text, ':');
    uint64_t cid = (uint32_t)VMADDR_CID_ANY;

    address->kind = ADDRESS_VSOCK;
    if (colon == NULL ? !listens : !number_read_part(text, (size_t)(colon - text), 0, UINT32_MAX, &cid))
        return false;
    address->cid = (uint32_t)cid;
    return read_port(address, colon != NULL ? colon + 1 : text, HIGHEST_VSOCK_PORT);
}

static bool read_fd(struct address *address, const char *text)
{
    uint64_t number;

    address->kind = ADDRESS_FD;
    if (!number_read(text, 0, INT32_MAX, &number))
        return false;
    address->fd = (int)number;
    return true;
}

static bool read_any(struct address *address, const char *text, bool listens)
{
    const char *rest;

    *address = (struct address){.text = text, .fd = -1};
    if ((rest = after(text, "unix:")) != NULL)
        return read_unix(address, rest);
    if ((rest = after(text, "tcp:")) != NULL)
        return read_tcp(address, rest);
    if ((rest = after(text, "hybrid:")) != NULL)
        return read_hybrid(address, rest);
    if ((rest = after(text, "vsock:")) != NULL)
        return read_vsock(address, rest, listens);
    return listens && (rest = after(text, "fd:")) != NULL && read_fd(address, rest);
}

bool address_read_target(struct address *address, const char *text)
{
    return read_any(address, text, false);
}

bool address_read_listen(struct address *address, const char *text)
{
    return read_any(address, text, true);
}

struct sockaddr_un address_unix(const struct address *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    memcpy(name.sun_path, address->path, sizeof name.sun_path);
    return name;
}
