#include "guest/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/memory.h"

#define PLAIN_SHELL "/bin/sh"

static size_t count(char *const *strings)
{
    size_t number = 0;

    while (strings != NULL && strings[number] != NULL)
        number++;
    return number;
}

/* Return: true if `variable` ("NAME=VALUE") has the name of one of `others`. */
static bool is_overridden(const char *variable, char *const *others)
{
    const size_t name = strcspn(variable, "=") + 1; /* the `=` is part of the comparison */

    for (size_t i = 0; others != NULL && others[i] != NULL; i++)
        if (strncmp(variable, others[i], name) == 0)
            return true;
    return false;
}

/* RUN-ENV: the agent's own environment, and `extra`, which wins. Return: an array to unmap, pointing into both, with
 * its *size; NULL: no memory. */
static char **merge_environment(char *const *extra, size_t *size)
{
    const size_t own = count(environ);
    const size_t more = count(extra);
    char **merged;
    size_t used = 0;

    *size = (own + more + 1) * sizeof *merged;
    merged = memory_map(*size);
    if (merged == NULL)
        return NULL;
    for (size_t i = 0; i < own; i++)
        if (!is_overridden(environ[i], extra))
            merged[used++] = environ[i];
    for (size_t i = 0; i < more; i++)
        merged[used++] = extra[i];
    merged[used] = NULL;
    return merged;
}

static void close_pair(const struct sys *sys, const int ends[2])
{
    sys->close(ends[0]);
    sys->close(ends[1]);
}

static bool fail(struct wire_error *error, const char *what, int err)
{
    return wire_fail(error, WIRE_SPAWN_FAILED, "cannot start the command: ", what, ": ", strerror(err), NULL);
}

/* Each pipe: the reading end non-blocking for us, the writing end as a command expects it. */
static bool make_pipes(const struct sys *sys, int out[2], int err[2], struct wire_error *error)
{
    if (sys->pipe(out, O_CLOEXEC) != 0) {
        fail(error, "pipe", errno);
        return false;
    }
    if (sys->pipe(err, O_CLOEXEC) != 0) {
        fail(error, "pipe", errno);
        close_pair(sys, out);
        return false;
    }
    sys->tune_pipe(out[0]);
    sys->tune_pipe(err[0]);
    return true;
}

static int spawn(const struct sys *sys, const struct request *request, struct child *child)
{
    const char *own = getenv("SHELL");
    const char *shell = request->raw || own == NULL || own[0] == '\0' ? PLAIN_SHELL : own;
    const char *const arguments[] = {shell, request->raw ? "-c" : "-lc", request->cmd, NULL};
    size_t size;
    char **environment = merge_environment(request->env, &size);
    int err = ENOMEM;

    child->path = child->what = shell;
    child->argv = (char *const *)(uintptr_t)arguments;
    child->env = environment;
    if (environment != NULL)
        err = sys->spawn(child);
    memory_unmap(environment, size);
    child->argv = child->env = NULL;
    return err;
}

bool command_start(const struct sys *sys, const struct request *request, const struct origin *origin,
                   struct child *child, int outputs[2], struct wire_error *error)
{
    int out[2];
    int err[2];
    int failure;

    if (!make_pipes(sys, out, err, error))
        return false;
    *child = (struct child){.out = out[1], .err = err[1], .origin = origin, .pidfd = -1};
    failure = spawn(sys, request, child);
    sys->close(out[1]);
    sys->close(err[1]);
    outputs[0] = out[0];
    outputs[1] = err[0];
    if (failure == 0)
        return true;
    close_pair(sys, outputs);
    return fail(error, child->what, failure);
}
