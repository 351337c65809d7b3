/* A command's script, a byte for each deed, the high three bits saying what: 0 write to stdout, 1 to stderr (2^low
 * bytes), 2 close a stream (1: stderr), 3 exit with status `low`, 4 die of signal `low`, 5 sleep (2^low ms), 6
 * nothing; as the first: 1 there is no pidfd, 2 it takes time to die; 7 another group does the rest. What follows the
 * exit is a background process's. At its end: exit 0, and all is closed. */
#include <errno.h>
#include <signal.h>

#include "guest/child.h"
#include "parts.h"

#define PID        1000
#define DYING      (300 * CLOCK_MILLISECOND) /* for one that is slow */
#define MOST_BYTES 16                        /* of one write, as a power of two */

const uint8_t *world_pattern(unsigned stream, size_t at)
{
    return world()->pattern + (at + (size_t)stream * 100) % 251; /* a prime, so that no chunk is like the next */
}

static struct command *command_of(const struct child *child)
{
    struct world *w = world();

    FUZZ_CHECK(child->pid >= PID && child->pid < PID + (int)w->commands, "a command's pid is asked for");
    return &w->command[child->pid - PID];
}

int world_spawn(struct child *child)
{
    struct world *w = world();
    struct command *command;
    unsigned manner = 0;

    FUZZ_CHECK(child->path[0] != '\0' && child->argv[2] != NULL && child->argv[3] == NULL && child->env != NULL,
               "RUN-SHELL: a shell, how, and what");
    child->what = "clone";
    world_record()->unstarted = true; /* until it is */
    if (world_fails(CALL_SPAWN))
        return errno;
    if (w->commands == WORLD_COMMANDS)
        return EAGAIN;
    world_record()->unstarted = false;
    command = &w->command[w->commands]; /* not before: another worker may have had its turn in that call */
    if (w->plan[w->commands].left > 0 && w->plan[w->commands].script[0] >> 5 == 6)
        manner = w->plan[w->commands].script[0];
    *command = (struct command){.slow = (manner & 2U) != 0,
                                .script = w->plan[w->commands].script,
                                .left = w->plan[w->commands].left,
                                .next_at = w->now,
                                .spawned_at = w->now};
    command->pipes[0] = (int)world_handle(child->out)->index;
    command->pipes[1] = (int)world_handle(child->err)->index;
    child->pid = PID + (int)w->commands;
    child->pidfd = (manner & 1U) != 0 ? -1 : world_handle_new(HANDLE_PIDFD, w->commands);
    w->pipe[command->pipes[0]].writers++;
    w->pipe[command->pipes[1]].writers++;
    world_record()->command = (int)w->commands++;
    return 0;
}

static void close_end(struct command *command, unsigned stream)
{
    if (command->pipes[stream] >= 0)
        world()->pipe[command->pipes[stream]].writers--;
    command->pipes[stream] = -1;
}

static void end(struct command *command, int exit_code)
{
    if (command->exited)
        return;
    command->exited = true;
    command->exited_at = world()->now;
    command->exit_code = exit_code;
    world()->signals |= 1U << SIGCHLD;
}

void world_kill_group(const struct child *child)
{
    struct command *command;

    world_fails(CALL_SAFE);
    if (child->pid == 0)
        return;
    command = command_of(child);
    FUZZ_CHECK(!command->reaped, "RUN-REAP: no group is signalled whose shell is reaped");
    if (!command->killed) {
        memcpy(command->held, command->written, sizeof command->held);
        command->killed_at = world()->now;
    }
    command->killed = true;
    if (!command->slow || command->escaped)
        end(command, -SIGKILL);
    else if (!command->exited)
        command->next_at = clock_after(world()->now, DYING);
    if (command->escaped)
        return;
    command->left = 0;
    close_end(command, 0);
    close_end(command, 1);
}

bool world_exited(const struct child *child)
{
    world_fails(CALL_SAFE);
    return child->pid == 0 || command_of(child)->exited;
}

bool world_reap(struct child *child)
{
    struct command *command;

    world_fails(CALL_SAFE);
    if (child->pid == 0)
        return true;
    command = command_of(child);
    if (!command->exited)
        return false;
    command->reaped = true;
    child->exit_code = command->exit_code;
    child->pid = 0;
    if (child->pidfd >= 0)
        world_handle(child->pidfd)->kind = HANDLE_FREE;
    child->pidfd = -1;
    return true;
}

/* Return: false if the pipe is full. */
static bool put(struct command *command, unsigned stream, size_t size)
{
    struct pipe *pipe;

    if (command->pipes[stream] < 0)
        return true;
    pipe = &world()->pipe[command->pipes[stream]];
    if (pipe->readers == 0) { /* SIGPIPE */
        command->left = 0;
        return true;
    }
    if (pipe->room - buffer_left(&pipe->held) < size)
        return false;
    for (size_t part; size > 0; size -= part) {
        part = size < WORLD_PATTERN ? size : WORLD_PATTERN;
        buffer_add(&pipe->held, world_pattern(stream, command->written[stream]), part);
        command->written[stream] += part;
    }
    return true;
}

/* Return: false if it has to wait. */
static bool act(struct world *w, struct command *command, unsigned deed)
{
    const unsigned low = deed & 31U;
    const size_t size = (size_t)1 << (low < MOST_BYTES ? low : MOST_BYTES - 1);

    switch (deed >> 5) {
    case 0:
        return put(command, 0, size);
    case 1:
        return put(command, 1, size);
    case 2:
        close_end(command, low & 1U);
        break;
    case 3:
        end(command, (int)low);
        break;
    case 4:
        end(command, low > 0 ? -(int)low : -SIGTERM);
        break;
    case 5:
        command->next_at = world_pause(w, CLOCK_MILLISECOND << (low < 20 ? low : 20));
        break;
    case 7:
        command->escaped = true;
        break;
    default:
        break;
    }
    return true;
}

static bool is_over(const struct command *command)
{
    return command->left == 0 && command->exited && command->pipes[0] < 0 && command->pipes[1] < 0;
}

bool commands_step(struct world *w)
{
    bool moved = false;

    for (unsigned i = 0; i < w->commands; i++) {
        struct command *command = &w->command[i];

        if (is_over(command) || command->next_at > w->now)
            continue;
        if (command->left == 0) {
            close_end(command, 0);
            close_end(command, 1);
            end(command, command->killed ? -SIGKILL : 0);
            moved = true;
        } else if (act(w, command, command->script[0])) {
            command->script += command->left > 0;
            command->left -= command->left > 0;
            moved = true;
        }
    }
    return moved;
}

bool commands_alive(const struct world *w)
{
    for (unsigned i = 0; i < w->commands; i++)
        if (!is_over(&w->command[i]))
            return true;
    return false;
}

int64_t commands_next(const struct world *w)
{
    int64_t next = CLOCK_NEVER;

    for (unsigned i = 0; i < w->commands; i++)
        if (!is_over(&w->command[i]) && w->command[i].next_at > w->now)
            next = clock_earlier(next, w->command[i].next_at);
    return next;
}
