#include "host/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/log.h"

#define READY "READY=1\n"

/* Descriptors 0 to 2 are closed by putting /dev/null there: no socket of ours is to have such a number. */
static void close_for_good(int fd)
{
    const int null = fd <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

    if (null >= 0) {
        dup2(null, fd);
        close(null);
    } else {
        close(fd);
    }
}

const char *notify_fd(int fd)
{
    const bool written = write_at_once(fd, READY, strlen(READY));

    close_for_good(fd);
    return written ? NULL : "not written at once";
}

const char *notify_socket(const char *message)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *value = getenv("NOTIFY_SOCKET");
    const char *reason = NULL;
    size_t length;
    int fd;

    if (value == NULL || value[0] == '\0')
        return NULL;
    length = strlen(value);
    if (value[0] != '/' && value[0] != '@')
        return "not an address of a kind known here";
    if (length >= sizeof name.sun_path)
        return strerror(ENAMETOOLONG);
    memcpy(name.sun_path, value, length);
    if (value[0] == '@')
        name.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&name,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        reason = strerror(errno);
    if (fd >= 0)
        close(fd);
    return reason;
}
