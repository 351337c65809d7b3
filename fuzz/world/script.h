/* An input of fuzz_session: a stream of frames (contract, section 1) in the order of time. What begins with
 * SCRIPT_FIRST or above is a direction to the world; every other frame, and a last one that is not whole, is what the
 * host sends. Host 0 is connected from the beginning. A direction's payload is given by its bytes; missing ones are 0.
 */
#ifndef FUZZ_WORLD_SCRIPT_H
#define FUZZ_WORLD_SCRIPT_H

#define FILL_MOST (1U << 18) /* bytes that a host sends, those of SCRIPT_FILL among them */

enum script {
    SCRIPT_FIRST = 0xE0,
    SCRIPT_CONNECT = 0xE0, /* one host more, whom all that follows is about; [1]: it may not connect */
    SCRIPT_HOST,           /* [n]: what follows is about that host */
    SCRIPT_SHUT,           /* it shuts down its sending side */
    SCRIPT_LEAVE,          /* it closes */
    SCRIPT_QUIET,          /* nothing more until everybody waits */
    SCRIPT_WAIT,           /* [n]: nor for 10 ms * 2^n */
    SCRIPT_JUMP,           /* [n]: the clock jumps that far */
    SCRIPT_FAULT,          /* [call, after, times, error]...: from now on, calls of that kind fail */
    SCRIPT_PIECE,          /* [n]: a call moves n bytes at the most; 0: any number */
    SCRIPT_DEAF,           /* [1, n]: it reads no more than 2^n bytes (n above 15: none); [0]: it reads all */
    SCRIPT_COMMAND,        /* what the next command does (command.c) */
    SCRIPT_FILE,           /* [kind, parent, mode, mode, name, NUL, content] */
    SCRIPT_DISK,           /* [n, n]: bytes left on it */
    SCRIPT_RAW,            /* it sends the payload alone */
    SCRIPT_SIGNAL,         /* [1]: the agent is told to stop; [0]: a child of somebody's ended */
    SCRIPT_PREEMPT,        /* [n]: a worker's turn ends after n calls of all; 0: where it waits */
    SCRIPT_FILL,           /* [n, byte]: it sends 2^n bytes */
    SCRIPT_OTHERS          /* [n, n]: first of all: other requests hold 128 n bytes */
};

#endif
