/* SRV-START: what the agent makes of itself before anything else, and what its commands get back of it. */
#ifndef GUEST_START_H
#define GUEST_START_H

#include <stdbool.h>
#include <sys/resource.h>

/* As the agent was started: every command starts with these again (RUN-CHILD). */
struct origin {
    bool files_raised;
    struct rlimit files;
    bool oom_lowered;
    char oom_score[16]; /* the text of /proc/self/oom_score_adj */
};

/* What every program of ours does first: set dispositions and mask (everything is blocked; stop signals and SIGCHLD are
 * read from start_signals()), open closed descriptors 0 to 2, mark all others close-on-exec, raise the descriptor
 * limit. Single-threaded. */
void start_common(struct origin *origin);

/* The agent's start: the same, and lower oom_score_adj. Single-threaded. */
void start_process(struct origin *origin);

/* Return: a signalfd for SIGTERM, SIGINT and SIGCHLD; -1 with errno. */
int start_signals(void);

#endif
