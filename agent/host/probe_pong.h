/* The agent's answer to a ping (READY-AGENT), read as strictly as the agent reads requests. No I/O. */
#ifndef HOST_PROBE_PONG_H
#define HOST_PROBE_PONG_H

#include <stddef.h>

#include "host/verdict.h"
#include "wire/frame.h"
#include "wire/text.h"

/* Write the frame of a ping. Return: its length. */
size_t pong_request(uint8_t *out, size_t room);
#define PONG_REQUEST_ROOM 32

/* One for each connection, zero-initialised. */
struct pong {
    enum verdict verdict;
    struct frame_decoder decoder;
    char *payload; /* LIMIT_CONTROL_PAYLOAD bytes at the most */
    size_t have;
};

/* As ssh_greeting_take(); one thread at a time in all. */
enum verdict pong_take(struct pong *pong, const char *bytes, size_t length, struct text *why);

/* Free what it holds; it is zero again. */
void pong_clear(struct pong *pong);

#endif
