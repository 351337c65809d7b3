#include "guest/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "guest/number.h"
#include "wire/text.h"

#define READY          "READY=1\n"
#define VSOCK_PATIENCE 5 /* seconds for a host that does not take it */

static void log_failure(struct log *log, const char *where, const char *reason)
{
    log_event(log, "cannot notify ", where, ": ", reason, NULL);
}

static void notify_fd(int fd, struct log *log)
{
    if (!write_at_once(fd, READY, strlen(READY)))
        log_failure(log, "--ready-fd", "not written at once");
    if (fd > STDERR_FILENO)
        close(fd);
}

/* `/path` or `@abstract`: a datagram, which is taken at once or not at all. */
static void notify_unix(const char *value, struct log *log)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const size_t length = strlen(value);
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    int fd;

    if (length >= sizeof name.sun_path) {
        log_failure(log, "NOTIFY_SOCKET", strerror(ENAMETOOLONG));
        return;
    }
    memcpy(name.sun_path, value, length);
    if (value[0] == '@')
        name.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, READY, strlen(READY), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&name, size) < 0)
        log_failure(log, "NOTIFY_SOCKET", strerror(errno));
    if (fd >= 0)
        close(fd);
}

struct vsock_notice {
    struct sockaddr_vm name;
    int types[2]; /* tried in this order; 0: none */
    struct log *log;
};

static bool notify_vsock_type(const struct vsock_notice *notice, int type)
{
    const struct timeval patience = {.tv_sec = VSOCK_PATIENCE};
    const int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);
    bool sent = false;
    int err;

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&notice->name, sizeof notice->name) == 0)
        sent = send(fd, READY, strlen(READY), MSG_NOSIGNAL) == (ssize_t)strlen(READY);
    err = errno;
    close(fd);
    errno = err;
    return sent;
}

static void *notify_vsock(void *argument)
{
    struct vsock_notice *notice = argument;

    if (!notify_vsock_type(notice, notice->types[0]) &&
        (notice->types[1] == 0 || !notify_vsock_type(notice, notice->types[1])))
        log_failure(notice->log, "NOTIFY_SOCKET", strerror(errno));
    return NULL;
}

/* Return: false if `value` is no CID:PORT. */
static bool read_vsock(struct sockaddr_vm *name, const char *value)
{
    const size_t colon = strcspn(value, ":");
    uint64_t cid;
    uint64_t port;

    if (value[colon] == '\0' || !number_read_part(value, colon, 0, UINT32_MAX, &cid) ||
        !number_read(value + colon + 1, 0, UINT32_MAX, &port))
        return false;
    *name = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = (unsigned)cid, .svm_port = (unsigned)port};
    return true;
}

/* Return: the address part of `value`, with the socket types to try; NULL if it is no vsock address. */
static const char *vsock_part(const char *value, int types[2])
{
    static const struct {
        const char *prefix;
        int types[2];
    } known[] = {
        {"vsock-stream:", {SOCK_STREAM, 0}},
        {"vsock-seqpacket:", {SOCK_SEQPACKET, 0}},
        {"vsock:", {SOCK_SEQPACKET, SOCK_STREAM}},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(value, known[i].prefix, strlen(known[i].prefix)) == 0) {
            memcpy(types, known[i].types, sizeof known[i].types);
            return value + strlen(known[i].prefix);
        }
    return NULL;
}

/* Connecting may take seconds: in a thread. */
static void start_vsock(const struct vsock_notice *notice, struct log *log)
{
    static struct vsock_notice copy; /* the agent gets ready once */
    pthread_t thread;
    int err;

    copy = *notice;
    err = pthread_create(&thread, NULL, notify_vsock, &copy);
    if (err == 0)
        pthread_detach(thread);
    else
        log_failure(log, "NOTIFY_SOCKET", strerror(err));
}

void notify_ready(int ready_fd, struct log *log)
{
    const char *value = getenv("NOTIFY_SOCKET");
    struct vsock_notice notice = {.log = log};
    const char *address;

    if (ready_fd >= 0)
        notify_fd(ready_fd, log);
    if (value == NULL || value[0] == '\0')
        return;
    address = vsock_part(value, notice.types);
    if (address != NULL && read_vsock(&notice.name, address))
        start_vsock(&notice, log);
    else if (value[0] == '/' || value[0] == '@')
        notify_unix(value, log);
    else
        log_failure(log, "NOTIFY_SOCKET", "not an address of a kind known here");
}
