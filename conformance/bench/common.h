/* What the load generator and the floor share. Both are measuring tools: any failure ends them with one line and
 * status 1. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { HEADER = 5, CHUNK = 65536, JSON = 1, STDOUT = 2, DATA = 4, END = 5 };

/* Print "WHAT: errno text" and exit 1. */
_Noreturn void die(const char *what);
/* Return: monotonic time in nanoseconds. */
uint64_t now_ns(void);
/* Return: a connected stream socket to the Unix socket at `path`. */
int dial(const char *path);
/* Return: a listening Unix socket at `path`. */
int serve_at(const char *path);
/* Send all bytes; flags as of send(2). */
void send_all(int fd, const void *bytes, size_t length, int flags);
/* Read exactly `length` bytes. */
void recv_all(int fd, void *bytes, size_t length);
/* Fill 5 header bytes. */
void header(uint8_t out[HEADER], uint8_t type, uint32_t length);
/* Send one control frame with this text. */
void send_json(int fd, const char *text);
/* Start `/bin/sh -c command` with stdin on /dev/null and both streams on pipes. Return: its pid; *out and *err are read
 * ends. */
pid_t spawn_shell(const char *command, int *out, int *err);

#endif
