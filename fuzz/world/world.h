/* A guest in memory: the system-call table (guest/sys.h) over a small world in which an input decides everything: the
 * host, commands, the clock, and which call fails. One thread; the agent's workers are fibers, which take turns where
 * they would wait. The world dies (FUZZ_CHECK) where the agent does what no program may: use a closed descriptor,
 * signal a reaped group, wait for what never comes. */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "fiber.h"
#include "fuzz.h"
#include "guest/clock.h"
#include "guest/sys.h"

#define WORLD_FIRST_FD 4096 /* above every real one, so that a call past the table fails */
#define WORLD_FDS      64
#define WORLD_HOSTS    8
#define WORLD_NODES    48
#define WORLD_PIPES    32
#define WORLD_COMMANDS 8
#define WORLD_WORKERS  4
#define WORLD_DESK     WORLD_WORKERS /* the number of who is no worker */
#define WORLD_FAULTS   16
#define WORLD_PATTERN  4096
#define WORLD_NAME     255
#define WORLD_PATH     4095
#define WORLD_PATIENCE (200 * CLOCK_SECOND) /* more than any of the contract's timeouts */
#define WORLD_CALLS    300000               /* that a conversation may take, waits included */
#define WORLD_LEISURE  (200 * CLOCK_SECOND) /* all pauses together, as some waits look about twenty times a second */

/* What may be made to fail; the order is that of the input's FAULT. */
enum call {
    CALL_RECV,
    CALL_SEND,
    CALL_ACCEPT,
    CALL_EPOLL_ADD,
    CALL_EPOLL_WAIT,
    CALL_POLL,
    CALL_OPEN,
    CALL_STAT,
    CALL_WRITE,
    CALL_READ,
    CALL_CHMOD,
    CALL_CLOSE,
    CALL_RENAME,
    CALL_PIPE,
    CALL_SPLICE_IN,
    CALL_SPLICE_OUT,
    CALL_SPAWN,
    CALL_THREAD,
    CALL_MEMORY,
    CALL_SHUTDOWN,
    CALL_EVENTFD,
    CALL_EPOLL_CREATE,
    CALLS,
    CALL_SAFE /* never fails */
};

struct fault {
    uint8_t call, after, times;
    int err;
};

/* Bytes; those before `start` have been taken. Zeroed: empty. */
struct buffer {
    uint8_t *bytes;
    size_t start, size, room;
};

enum handle_kind {
    HANDLE_FREE,
    HANDLE_EPOLL,
    HANDLE_EVENT,
    HANDLE_SIGNALS,
    HANDLE_LISTENER,
    HANDLE_SOCKET,
    HANDLE_READER,
    HANDLE_WRITER,
    HANDLE_FILE,
    HANDLE_PIDFD
};

struct handle {
    enum handle_kind kind;
    unsigned index; /* of the host, pipe, node or command */
    uint64_t value; /* an event's count, a file's offset */
    int flags;      /* a file's, of open() */
    bool watched;   /* by epoll, with: */
    struct epoll_event event;
};

enum node_kind {
    NODE_FILE,
    NODE_DIRECTORY,
    NODE_LINK,
    NODE_FIFO,
    NODE_SILENT /* regular, and has nothing to say yet (GET-WAIT) */
};

/* Node 0 is `/`, node 1 the working directory. */
struct node {
    enum node_kind kind;
    bool standing; /* has its name in its parent */
    unsigned parent;
    mode_t mode;
    bool temporary; /* an upload's, until it is renamed */
    char name[WORLD_NAME + 1];
    struct buffer content; /* of a link: where it leads */
    size_t zeros;          /* bytes that follow */
};

struct pipe {
    struct buffer held;
    size_t room;
    unsigned readers, writers;
};

struct command {
    const uint8_t *script; /* what is left of it (command.c) */
    size_t left;
    int64_t next_at;
    int pipes[2];      /* -1: it has closed that end */
    size_t written[2]; /* bytes of world_pattern() */
    size_t held[2];    /* of those, what its pipes held when its group was killed, and what was read before */
    bool exited, killed, reaped;
    int64_t spawned_at, exited_at, killed_at;
    bool slow;    /* it does not die at once */
    bool escaped; /* what is left of the script is done by a process of another group */
    int exit_code;
};

/* What a worker, or the desk, did that the host cannot see; since it took up its present work. */
struct record {
    int err;        /* of the last failed call that an operation has to answer for; 0: none */
    int close_err;  /* of a file's close(): it counts only if the file was good until then */
    int command;    /* -1: none started */
    int landed;     /* the node that its rename gave a name to; -1: none */
    int opened;     /* the node that it opened to read; -1: none */
    int looked_at;  /* the node that it opened last, for whatever; -1: none */
    bool unstarted; /* what a command takes could not be had */
    bool broken;    /* a file could not be read to its end */
};

/* A connection, from the host's end. */
struct host {
    struct buffer in;  /* to the agent; all of it stays */
    struct buffer out; /* from the agent; all of it stays */
    bool foreign;      /* a CID that may not connect */
    bool accepted;
    bool shut, closed; /* by the host */
    bool deaf;         /* does not read: `room` more bytes fit */
    bool was_deaf;
    size_t room;
    bool agent_shut, agent_closed;
    int64_t since;        /* when it was accepted, then when the agent shut its side down */
    bool late;            /* it was closed ten seconds after that, or later */
    bool hasty;           /* the agent closed a conversation that lingered (CONV-LINGER) too soon */
    size_t taken;         /* bytes that the agent had read of it when it began to answer */
    bool excused;         /* may get less than an answer: it left, a call on its socket failed, it was late or slow */
    unsigned server;      /* who talked to it last, while that is at it */
    struct record record; /* of that */
};

struct world {
    struct fiber fibers[WORLD_WORKERS]; /* what outlives an input: these, and the memory of the last three */
    uint8_t pattern[WORLD_PATTERN + 251];
    int64_t until[WORLD_WORKERS]; /* what is asked again then */
    struct record records[WORLD_WORKERS + 1];
    unsigned running; /* WORLD_DESK or a worker's number */
    bool moved;       /* whoever runs did something but wait */

    const uint8_t *script; /* what is left of the input */
    size_t left;
    unsigned hosts, host; /* the one that the script is at */
    unsigned accepted;
    bool quiet;        /* the script waits until nobody moves */
    int64_t script_at; /* or until then */
    bool impatient;    /* hosts have left whom the agent would have gone on asking for */
    int64_t lost;      /* time that the script let pass */
    int64_t leisure;   /* left for pauses */
    unsigned preempt;  /* a worker's turn ends after so many calls; 0: where it waits */

    int64_t now;
    uint64_t calls;
    size_t piece;  /* the most that one call moves; 0: any */
    size_t disk;   /* bytes left on it */
    size_t others; /* bytes that requests hold which nobody sees */
    unsigned faults, signals;
    uint64_t drawn; /* random() */
    struct fault fault[WORLD_FAULTS];
    bool excused_memory; /* there was none once: an answer may be missing, or `internal` */
    bool stopped;        /* the agent was told to stop */
    size_t held;         /* bytes of memory_map() */

    unsigned nodes, pipes, commands, planned;
    struct handle handles[WORLD_FDS];
    struct command command[WORLD_COMMANDS];
    struct {
        const uint8_t *script;
        size_t left;
    } plan[WORLD_COMMANDS]; /* what the commands to come do */
    struct host host_at[WORLD_HOSTS];
    struct pipe pipe[WORLD_PIPES];
    struct node node[WORLD_NODES];
};

/* The system-call table of the world that was opened last. */
extern const struct sys world_sys;

/* The world there is: the table's entries take no context. */
struct world *world(void);

#define WORLD_NOBODY ((struct record){.command = -1, .landed = -1, .opened = -1, .looked_at = -1})

/* Begin anew, with the usual files (files.c); `script` is read as script.h says. */
struct world *world_open(const uint8_t *script, size_t size);

/* Let every worker that has been told to come to its end. */
void world_settle(void);

/* All that was the agent's is given back: descriptors (but the `kept` ones), commands, temporary files, memory. */
void world_check_clean(const struct world *world, unsigned kept);

/* Return: WORLD_PATTERN bytes that a command writes to that stream (0, 1) behind `at` others. */
const uint8_t *world_pattern(unsigned stream, size_t at);

#endif
