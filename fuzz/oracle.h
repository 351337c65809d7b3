/* The Python oracle within this process: CPython, embedded, with oracle/agent.py as it stands, behind bridge.py. */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oracle_answer {
    const char *code; /* of the refusal; "" where the request is served */
    const char *op;   /* served, or to be drained; else "" */
    bool drain;       /* put_file: refused, but its size is known (PUT-DRAIN) */
    int mode;         /* put_file: the mode; run: 1 for a raw shell */
    unsigned long long size;
    double timeout;
    const char *texts; /* NUL-terminated, one after the other. run: cmd, the number of a timeout that is not 0,
                          NAME=VALUE...; put_file: path, name where there is one; get_file: path */
    size_t length;     /* of all texts */
    void *held;        /* what the above points into */
};

/* Return: what the oracle makes of one control payload, to be given to oracle_forget(). Dies where the oracle raises
 * anything but a refusal, or cannot be imported. The first call starts the interpreter; no signal handler, no exit
 * handler and no environment variable of Python's is heeded. */
struct oracle_answer oracle_judge(const void *payload, size_t length);
void oracle_forget(struct oracle_answer *answer);

#endif
