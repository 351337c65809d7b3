#include "host/ready_start.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EXIT_SIGNAL 128

/* Or a connection would get such a number, and be written to. */
static void open_standard(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* no /dev here */
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int ready_start(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t watched;

    open_standard();
    sigaction(SIGPIPE, &ignore, NULL);
    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    if (!is_ignored(SIGHUP))
        sigaddset(&watched, SIGHUP);
    sigprocmask(SIG_SETMASK, &watched, NULL);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

int ready_stopped(int signals)
{
    struct signalfd_siginfo info;

    return read(signals, &info, sizeof info) == (ssize_t)sizeof info ? EXIT_SIGNAL + (int)info.ssi_signo : 0;
}
