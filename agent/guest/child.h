/* Start of a command's shell (RUN-CHILD, RUN-SPAWN) and its end (RUN-REAP). */
#ifndef GUEST_CHILD_H
#define GUEST_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "guest/start.h"

struct child {
    /* To be set before child_spawn(), and to live until it returns. */
    const char *path; /* executed as given */
    char *const *argv;
    char *const *env;
    int out; /* the command's ends of the pipes, above 2 */
    int err;
    const struct origin *origin;

    pid_t pid;        /* also the group's; 0 once reaped */
    int pidfd;        /* readable once the shell has exited; -1 where the kernel has none (child_exited() tells) */
    int exit_code;    /* RUN-EXIT: the status or minus the signal number; valid once reaped */
    const char *what; /* of a failed start: what failed */
};

/* Start the shell in a session of its own. Return: 0 once it runs our caller's program, or errno, with nothing left
 * behind. */
int child_spawn(struct child *child);

/* Return: true if the shell has exited; it stays unreaped. */
bool child_exited(const struct child *child);

/* SIGKILL to the group. Does nothing once the shell is reaped: the id may be another's by then. */
void child_kill_group(const struct child *child);

/* Reap the shell if it has exited. Return: true if it is reaped (now or before). Closes pidfd. */
bool child_reap(struct child *child);

#endif
