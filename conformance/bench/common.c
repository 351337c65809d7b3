#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(address.sun_path, path);
    return address;
}

int dial(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die(path);
    }
    return fd;
}

int serve_at(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        die(path);
    }
    return fd;
}

void send_all(int fd, const void *bytes, size_t length, int flags)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, at, length, flags | MSG_NOSIGNAL);
        if (sent < 0) {
            die("send");
        }
        at += sent;
        length -= (size_t)sent;
    }
}

void recv_all(int fd, void *bytes, size_t length)
{
    uint8_t *at = bytes;
    while (length > 0) {
        ssize_t got = recv(fd, at, length, 0);
        if (got <= 0) {
            die("recv");
        }
        at += got;
        length -= (size_t)got;
    }
}

void header(uint8_t out[HEADER], uint8_t type, uint32_t length)
{
    out[0] = type;
    out[1] = (uint8_t)(length >> 24);
    out[2] = (uint8_t)(length >> 16);
    out[3] = (uint8_t)(length >> 8);
    out[4] = (uint8_t)length;
}

void send_json(int fd, const char *text)
{
    uint8_t frame[HEADER + 4096];
    size_t length = strlen(text);
    if (length > sizeof frame - HEADER) {
        errno = EMSGSIZE;
        die("request");
    }
    header(frame, JSON, (uint32_t)length);
    memcpy(frame + HEADER, text, length);
    send_all(fd, frame, HEADER + length, 0);
}

pid_t spawn_shell(const char *command, int *out, int *err)
{
    int outs[2];
    int errs[2];
    if (pipe2(outs, O_CLOEXEC) != 0 || pipe2(errs, O_CLOEXEC) != 0) {
        die("pipe");
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, outs[1], 1);
    posix_spawn_file_actions_adddup2(&actions, errs[1], 2);
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char *copy = strdup(command);
    char *argv[] = {shell, option, copy, NULL};
    pid_t pid = -1;
    errno = posix_spawn(&pid, shell, &actions, NULL, argv, environ);
    if (errno != 0) {
        die(shell);
    }
    posix_spawn_file_actions_destroy(&actions);
    free(copy);
    close(outs[1]);
    close(errs[1]);
    *out = outs[0];
    *err = errs[0];
    return pid;
}
