/* The floor: the same work without an agent, in the fewest calls, one conversation after another.
 *
 *   floor echo SOCKET            read a frame, send it back, close
 *   floor get-copy SOCKET FILE   header, DATA frames by read and send, EOF
 *   floor get-splice SOCKET FILE the same by splice through a pipe
 *   floor out-copy SOCKET CMD    a command's output in STDOUT frames by read and send
 *   floor out-splice SOCKET CMD  the same by splice
 *   floor put-copy SOCKET FILE   DATA frames up to EOF into FILE by recv and write
 *   floor put-splice SOCKET FILE the same by splice through a pipe
 */
#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t buffer[HEADER + CHUNK];
static int tube[2];

static uint32_t read_header(int fd, uint8_t *type)
{
    uint8_t head[HEADER];
    recv_all(fd, head, HEADER);
    *type = head[0];
    return (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
}

/* Read one whole frame. Return: its length, payload in buffer. */
static uint32_t read_frame(int fd)
{
    uint8_t type = 0;
    uint32_t length = read_header(fd, &type);
    if (length > CHUNK) {
        exit(1);
    }
    recv_all(fd, buffer + HEADER, length);
    header(buffer, type, length);
    return length;
}

static void echo(int fd)
{
    send_all(fd, buffer, HEADER + read_frame(fd), 0);
}

static void send_copy(int to, int from, uint8_t type)
{
    for (ssize_t got; (got = read(from, buffer + HEADER, CHUNK)) > 0;) {
        header(buffer, type, (uint32_t)got);
        send_all(to, buffer, HEADER + (size_t)got, 0);
    }
}

static void drain_tube(int to, size_t left, unsigned flags)
{
    while (left > 0) {
        ssize_t moved = splice(tube[0], NULL, to, NULL, left, flags);
        if (moved <= 0) {
            die("splice");
        }
        left -= (size_t)moved;
    }
}

static void send_splice(int to, int from, uint8_t type)
{
    for (ssize_t got; (got = splice(from, NULL, tube[1], NULL, CHUNK, 0)) > 0;) {
        uint8_t head[HEADER];
        header(head, type, (uint32_t)got);
        send_all(to, head, HEADER, MSG_MORE);
        drain_tube(to, (size_t)got, 0);
    }
}

static void get(int fd, const char *path, bool by_splice)
{
    read_frame(fd);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        die(path);
    }
    send_json(fd, "{\"ok\":true,\"mode\":420,\"size\":0}");
    (by_splice ? send_splice : send_copy)(fd, file, DATA);
    header(buffer, END, 0);
    send_all(fd, buffer, HEADER, 0);
    close(file);
}

static void output(int fd, const char *command, bool by_splice)
{
    int out = -1;
    int err = -1;
    read_frame(fd);
    pid_t pid = spawn_shell(command, &out, &err);
    (by_splice ? send_splice : send_copy)(fd, out, STDOUT);
    waitpid(pid, NULL, 0);
    close(out);
    close(err);
    send_json(fd, "{\"ok\":true,\"op\":\"exit\",\"exit_code\":0}");
}

static void put(int fd, const char *path, bool by_splice)
{
    read_frame(fd);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        die(path);
    }
    uint8_t type = 0;
    for (uint32_t left; (left = read_header(fd, &type)) > 0 && type == DATA;) {
        while (left > 0) {
            ssize_t got =
                by_splice ? splice(fd, NULL, tube[1], NULL, left, 0) : recv(fd, buffer, left < CHUNK ? left : CHUNK, 0);
            if (got <= 0) {
                die("upload");
            }
            if (by_splice) {
                drain_tube(file, (size_t)got, 0);
            } else if (write(file, buffer, (size_t)got) != got) {
                die("write");
            }
            left -= (uint32_t)got;
        }
    }
    close(file);
    send_json(fd, "{\"ok\":true}");
}

int main(int argc, char **argv)
{
    if (argc < 3 || pipe2(tube, O_CLOEXEC) != 0) {
        fprintf(stderr, "bench: usage: see the head of floor.c\n");
        return 2;
    }
    const char *what = argv[1];
    const char *subject = argc > 3 ? argv[3] : "";
    bool by_splice = strstr(what, "-splice") != NULL;
    int listener = serve_at(argv[2]);
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t room = sizeof peer;
        int fd = accept4(listener, (struct sockaddr *)&peer, &room, SOCK_CLOEXEC);
        if (fd < 0) {
            die("accept");
        }
        if (strcmp(what, "echo") == 0) {
            echo(fd);
        } else if (strncmp(what, "get", 3) == 0) {
            get(fd, subject, by_splice);
        } else if (strncmp(what, "out", 3) == 0) {
            output(fd, subject, by_splice);
        } else {
            put(fd, subject, by_splice);
        }
        close(fd);
    }
}
