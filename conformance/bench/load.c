/* Load generator: drives an agent, or the floor in its place, and prints nanoseconds. A Python client would hide the
 * agent.
 *
 *   load ping SOCKET COUNT          connect, ping, read to end of stream, close; total for COUNT, one after another
 *   load run SOCKET COUNT           `run true`, likewise
 *   load mixed SOCKET COUNT DIR     pings, runs, uploads and downloads in turn; the files in DIR
 *   load read SOCKET REQUEST BYTES  one request whose response carries at least BYTES; total
 *   load put SOCKET REQUEST BYTES   one upload of BYTES; total
 *   load shell COUNT                the floor of `run true`: start /bin/sh -c true with pipes, read them, wait; total
 *   load exec COUNT PATH            start PATH and wait; total
 *   load start COUNT PATH [ARGS]    start an agent on an inherited listening socket and ping it until answered; total
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[1 << 20];

/* Read to end of stream. Return: bytes. */
static uint64_t drain(int fd)
{
    uint64_t total = 0;
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) != 0;) {
        if (got < 0) {
            die("recv");
        }
        total += (uint64_t)got;
    }
    return total;
}

static void need(uint64_t got, uint64_t least, const char *what)
{
    if (got < least) {
        fprintf(stderr, "bench: %s: %llu bytes of at least %llu: %.200s\n", what, (unsigned long long)got,
                (unsigned long long)least, buffer + HEADER);
        exit(1);
    }
}

static void ask(const char *path, const char *request, uint64_t least)
{
    int fd = dial(path);
    send_json(fd, request);
    need(drain(fd), least, request);
    close(fd);
}

static void upload(const char *path, const char *request, uint64_t size)
{
    uint8_t head[HEADER];
    int fd = dial(path);
    send_json(fd, request);
    while (size > 0) {
        uint32_t length = size < CHUNK ? (uint32_t)size : CHUNK;
        header(head, DATA, length);
        send_all(fd, head, HEADER, MSG_MORE);
        send_all(fd, buffer, length, 0);
        size -= length;
    }
    header(head, END, 0);
    send_all(fd, head, HEADER, 0);
    need(drain(fd), HEADER + 2, request);
    close(fd);
}

static void mixed(const char *path, int count, const char *dir)
{
    char put[1024];
    char get[1024];
    snprintf(put, sizeof put, "{\"op\":\"put_file\",\"path\":\"%s/mixed\",\"size\":100000}", dir);
    snprintf(get, sizeof get, "{\"op\":\"get_file\",\"path\":\"%s/mixed\"}", dir);
    for (int i = 0; i < count; i++) {
        if (i % 10 == 0) {
            upload(path, put, 100000);
        } else if (i % 10 == 1) {
            ask(path, get, 100000);
        } else if (i % 10 == 2) {
            ask(path, "{\"op\":\"run\",\"shell\":\"raw\",\"cmd\":\"true\"}", 10);
        } else if (i % 10 == 3) {
            ask(path, "{\"op\":\"nonsense\"}", 10);
        } else {
            ask(path, "{\"op\":\"ping\"}", 10);
        }
    }
}

static void shell_true(void)
{
    int out = -1;
    int err = -1;
    pid_t pid = spawn_shell("true", &out, &err);
    struct pollfd ends[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    while (ends[0].fd >= 0 || ends[1].fd >= 0) {
        if (poll(ends, 2, 10000) <= 0) {
            die("poll");
        }
        for (int i = 0; i < 2; i++) {
            if (ends[i].revents != 0 && read(ends[i].fd, buffer, sizeof buffer) <= 0) {
                close(ends[i].fd);
                ends[i].fd = -1;
            }
        }
    }
    if (waitpid(pid, NULL, 0) != pid) {
        die("waitpid");
    }
}

static pid_t start(char **argv)
{
    pid_t pid = -1;
    errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
    if (errno != 0) {
        die(argv[0]);
    }
    return pid;
}

static void start_and_ping(int count, char **words)
{
    for (int i = 0; i < count; i++) {
        char path[64];
        char listen_at[32];
        char *argv[16];
        int n = 0;
        snprintf(path, sizeof path, "/tmp/bench-%d.sock", (int)getpid());
        int listener = dup(serve_at(path)); /* the copy is inherited */
        for (; n < 12 && words[n] != NULL; n++) {
            argv[n] = words[n];
        }
        char option[] = "--listen";
        snprintf(listen_at, sizeof listen_at, "fd:%d", listener);
        argv[n++] = option;
        argv[n++] = listen_at;
        argv[n] = NULL;
        uint64_t began = now_ns();
        pid_t pid = start(argv);
        ask(path, "{\"op\":\"ping\"}", 10);
        printf("%llu\n", (unsigned long long)(now_ns() - began));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(listener);
        close(listener - 1);
        unlink(path);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    uint64_t began = now_ns();
    if (strcmp(what, "ping") == 0 && argc == 4) {
        for (int i = atoi(argv[3]); i > 0; i--) {
            ask(argv[2], "{\"op\":\"ping\"}", 10);
        }
    } else if (strcmp(what, "run") == 0 && argc == 4) {
        for (int i = atoi(argv[3]); i > 0; i--) {
            ask(argv[2], "{\"op\":\"run\",\"shell\":\"raw\",\"cmd\":\"true\"}", 10);
        }
    } else if (strcmp(what, "mixed") == 0 && argc == 5) {
        mixed(argv[2], atoi(argv[3]), argv[4]);
    } else if (strcmp(what, "read") == 0 && argc == 5) {
        ask(argv[2], argv[3], strtoull(argv[4], NULL, 10));
    } else if (strcmp(what, "put") == 0 && argc == 5) {
        upload(argv[2], argv[3], strtoull(argv[4], NULL, 10));
    } else if (strcmp(what, "shell") == 0 && argc == 3) {
        for (int i = atoi(argv[2]); i > 0; i--) {
            shell_true();
        }
    } else if (strcmp(what, "exec") == 0 && argc == 4) {
        for (int i = atoi(argv[2]); i > 0; i--) {
            uint64_t one = now_ns();
            waitpid(start(argv + 3), NULL, 0);
            printf("%llu\n", (unsigned long long)(now_ns() - one));
        }
        return 0;
    } else if (strcmp(what, "start") == 0 && argc >= 4) {
        start_and_ping(atoi(argv[2]), argv + 3);
        return 0;
    } else {
        fprintf(stderr, "bench: usage: see the head of load.c\n");
        return 2;
    }
    printf("%llu\n", (unsigned long long)(now_ns() - began));
    return 0;
}
