/* The file of a Unix socket: bound with mode 0600, in place of a stale one but of nothing else, and removed again only
 * while it is still the one that was made. */
#ifndef HOST_SOCKET_FILE_H
#define HOST_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "host/address.h"

struct socket_file {
    bool made;
    char path[ADDRESS_PATH];
    dev_t device;
    ino_t inode;
};

/* Bind `fd` (a Unix socket of any type) to `path`, and let it listen if `backlog` is over 0. Two that are started at
 * once never both replace a stale file. Waits up to a second for another one at the same; sets the umask for a moment,
 * so call it before any thread is started. Return: NULL, or the reason why not (static or strerror()'s); then nothing
 * is left. */
const char *socket_file_bind(struct socket_file *file, int fd, const char *path, int backlog);

void socket_file_remove(struct socket_file *file);

#endif
