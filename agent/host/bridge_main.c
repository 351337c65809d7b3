/* guestwire bridge: its life. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/start.h"
#include "host/bridge.h"
#include "host/command.h"
#include "host/notify.h"
#include "host/say.h"

#define NAME "bridge"

/* After a parent's end somebody else is the parent. That is seen afterwards too, by the session: whoever starts a
 * process is in its session, unless that process has begun one of its own. */
static bool is_adopted(pid_t parent)
{
    const pid_t session = getsid(0);

    return session != getpid() && getsid(parent) != session;
}

/* PR_SET_PDEATHSIG would speak of the thread that started this process, a pidfd speaks of the process. Return: a
 * descriptor that is readable once the parent has ended; -1 if it has; -2 with errno. */
static int watch_parent(pid_t parent)
{
    const int fd = (int)syscall(SYS_pidfd_open, parent, 0U);

    if (fd < 0)
        return errno == ESRCH ? -1 : -2;
    if (getppid() == parent && !is_adopted(parent))
        return fd;
    close(fd);
    return -1;
}

static bool is_readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, 0) > 0;
}

static int fail(struct bridge *bridge, const char *reason)
{
    say(NAME, reason, NULL);
    status_error(&bridge->status, reason);
    bridge->status.listening = false;
    status_write(&bridge->status);
    return EXIT_FAILED;
}

static int fail_errno(struct bridge *bridge, const char *what)
{
    char reason[256];
    struct text text = text_in(reason, sizeof reason);
    const int err = errno;

    text_add(&text, what);
    text_add(&text, strerror(err));
    return fail(bridge, reason);
}

static void tell(const char *where, const char *failure)
{
    if (failure != NULL)
        say(NAME, "cannot notify ", where, ": ", failure, NULL);
}

static int run(struct bridge *bridge)
{
    const struct bridge_options *options = bridge->options;
    bool ran;

    bridge->status.listening = true;
    if (options->ready_fd >= 0)
        tell("--ready-fd", notify_fd(options->ready_fd));
    tell("NOTIFY_SOCKET", notify_socket("READY=1"));
    ran = bridge_run(bridge);
    bridge_listen_close(&bridge->listener);
    if (!ran)
        return fail_errno(bridge, "cannot start: ");
    notify_socket("STOPPING=1");
    status_remove(&bridge->status);
    return EXIT_OK;
}

static int serve(struct bridge *bridge, pid_t parent)
{
    const struct bridge_options *options = bridge->options;
    char reason[512];
    struct text complaint = text_in(reason, sizeof reason);
    const int signals = start_signals();
    int parent_fd = -1;

    if (options->exit_with_parent) {
        parent_fd = watch_parent(parent);
        if (parent_fd == -1)
            return EXIT_OK; /* as after a SIGTERM: nothing has been made yet */
        if (parent_fd < 0)
            return fail_errno(bridge, "--exit-with-parent: ");
    }
    if (signals < 0 || !bridge_open(bridge, signals, parent_fd))
        return fail_errno(bridge, "cannot start: ");
    errno = status_write(&bridge->status);
    if (errno != 0)
        return fail_errno(bridge, "cannot write the status: ");
    switch (bridge_listen(&bridge->listener, options, signals, &complaint)) {
    case LISTEN_OK:
        return run(bridge);
    case LISTEN_REMOTE:
        say(NAME, reason, NULL);
        status_remove(&bridge->status);
        return EXIT_USAGE;
    case LISTEN_FAILED:
        break;
    }
    if (!is_readable(signals))
        return fail(bridge, reason);
    status_remove(&bridge->status);
    return EXIT_OK;
}

int bridge_main(int argc, char **argv)
{
    char reason[1024];
    struct text complaint = text_in(reason, sizeof reason);
    const pid_t parent = getppid();
    struct bridge_options options;
    struct bridge bridge = {.options = &options, .loop = {.epoll = -1}, .listener = {.fd = -1}};
    struct origin origin;
    int status;

    switch (bridge_options_read(&options, argc, argv, &complaint)) {
    case BRIDGE_HELP:
        return say_out(bridge_help);
    case BRIDGE_VERSION:
        return say_version();
    case BRIDGE_BAD:
        say(NAME, reason, NULL);
        return EXIT_USAGE;
    case BRIDGE_SERVE:
        break;
    }
    start_common(&origin);
    status_open(&bridge.status, options.status, options.listen.text, options.connect.text);
    status = serve(&bridge, parent);
    bridge_close(&bridge);
    return status;
}
