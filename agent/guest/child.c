#include "guest/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/signals.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

#define CHILD_STACK 16384

/* What the child shares with its parent while that waits. */
struct start {
    struct child *child;
    volatile int err;
    const char *volatile what;
};

/* All below runs in the child, on memory that is the parent's: system calls only. */
#define IN_CHILD __attribute__((no_sanitize("address", "undefined")))

IN_CHILD static int fail(struct start *start, const char *what)
{
    start->err = errno;
    start->what = what;
    return 127;
}

IN_CHILD static void restore_oom_score(const struct origin *origin)
{
    /* A vfork child's score is its own, although the memory is shared. */
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    size_t length = 0;

    if (fd < 0)
        return;
    while (origin->oom_score[length] != '\0')
        length++;
    if (write(fd, origin->oom_score, length) < 0) {
        /* Raising is always allowed; should it fail all the same, a command is worth more than its score. */
    }
    close(fd);
}

IN_CHILD static int child_main(void *argument)
{
    struct start *start = argument;
    const struct child *child = start->child;
    int null;

    signals_unignore(); /* handlers, should there be any, fall away at exec */
    setsid();
    null = open("/dev/null", O_RDONLY);
    if (null < 0)
        return fail(start, "/dev/null");
    if (dup2(null, STDIN_FILENO) < 0 || dup2(child->out, STDOUT_FILENO) < 0 || dup2(child->err, STDERR_FILENO) < 0)
        return fail(start, "dup2");
    close(null);
    if (child->origin->oom_lowered)
        restore_oom_score(child->origin);
    if (child->origin->files_raised && prlimit(0, RLIMIT_NOFILE, &child->origin->files, NULL) != 0)
        return fail(start, "prlimit");
    signals_unblock();
    execve(child->path, child->argv, child->env);
    return fail(start, child->path);
}

/* Return: true if the shell is reaped. */
static bool reap(struct child *child, int options)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | options) != 0 || info.si_pid != child->pid)
        return false;
    child->exit_code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    child->pid = 0;
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
    return true;
}

int child_spawn(struct child *child)
{
    struct start start = {.child = child, .err = 0};
    char stack[CHILD_STACK] __attribute__((aligned(16)));
    const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    int pidfd = -1; /* a kernel that does not know CLONE_PIDFD leaves it so */

    child->what = "clone";
    /* Every signal is blocked here (start_process()), so no handler can run on the shared memory. */
    child->pid = clone(child_main, stack + sizeof stack, flags, &start, &pidfd);
    if (child->pid < 0) {
        child->pid = 0;
        return errno;
    }
    child->pidfd = pidfd >= 0 ? pidfd : (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (start.err == 0)
        return 0;
    child->what = start.what;
    reap(child, 0);
    return start.err;
}

bool child_exited(const struct child *child)
{
    siginfo_t info = {.si_pid = 0};

    return child->pid == 0 ||
           (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child->pid);
}

void child_kill_group(const struct child *child)
{
    if (child->pid > 0)
        kill(-child->pid, SIGKILL);
}

bool child_reap(struct child *child)
{
    return child->pid == 0 || reap(child, WNOHANG);
}
