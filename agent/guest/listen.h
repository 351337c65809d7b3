/* The listening socket, or the one connected socket, and who may connect (SRV-LISTEN, SRV-PEER). */
#ifndef GUEST_LISTEN_H
#define GUEST_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "guest/options.h"
#include "guest/sys.h"

enum listen_fd_kind { LISTEN_FD_BAD, LISTEN_FD_LISTENING, LISTEN_FD_CONNECTED };

/* Return: what an inherited descriptor is; LISTEN_FD_BAD for anything but a stream socket of AF_UNIX or AF_VSOCK. */
enum listen_fd_kind listen_fd_kind(int fd);

struct listener {
    int fd;           /* non-blocking, close-on-exec */
    bool connected;   /* fd is one conversation */
    const char *path; /* of the Unix socket made here, else NULL */
    dev_t device;     /* its inode */
    ino_t inode;
};

/* Make or take over the socket. Call before the first thread is started (it sets the umask for a moment).
 * Return: true, or false with a one-line reason in *complaint. */
bool listen_open(struct listener *listener, const struct listen_address *address, struct text *complaint);

/* Close it, and remove the Unix socket if it is still the inode made here (SRV-STOP). */
void listen_close(struct listener *listener);

/* Return: true if the peer of a connection may be served (SRV-PEER). `name` as accept() or getpeername() gave it. */
bool listen_peer_allowed(int fd, const struct sockaddr_storage *name, const struct peers *peers);

#endif
