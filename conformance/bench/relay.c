/* What a bridge is measured against, and the guest behind it.
 *
 *   relay splice SOCKET TARGET   a plain splice loop: a process for each direction of each conversation
 *   relay block SOCKET TARGET    the fewest calls: poll, read and write, one conversation after another
 *   relay pour SOCKET SIZE       the guest: after a frame SIZE bytes, as fast as they are taken
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 16];

/* Until the end of the one, which is passed on to the other. */
static void splice_all(int from, int to)
{
    int tube[2];
    ssize_t got;
    if (pipe2(tube, O_CLOEXEC) != 0) {
        die("pipe");
    }
    while ((got = splice(from, NULL, tube[1], NULL, sizeof buffer, SPLICE_F_MOVE)) > 0) {
        while (got > 0) {
            ssize_t moved = splice(tube[0], NULL, to, NULL, (size_t)got, SPLICE_F_MOVE);
            if (moved <= 0) {
                return;
            }
            got -= moved;
        }
    }
    shutdown(to, SHUT_WR);
}

static void relay_splice(int client, int guest)
{
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        if (fork() == 0) {
            splice_all(client, guest);
        } else {
            splice_all(guest, client);
        }
        _exit(0);
    }
}

static void relay_block(int client, int guest)
{
    struct pollfd ends[] = {{.fd = client, .events = POLLIN}, {.fd = guest, .events = POLLIN}};
    for (int open = 2; open > 0;) {
        if (poll(ends, 2, -1) < 0) {
            die("poll");
        }
        for (int i = 0; i < 2; i++) {
            if (ends[i].fd < 0 || ends[i].revents == 0) {
                continue;
            }
            const int other = i == 0 ? guest : client;
            const ssize_t got = read(ends[i].fd, buffer, sizeof buffer);
            if (got > 0) {
                send_all(other, buffer, (size_t)got, 0);
                continue;
            }
            shutdown(other, SHUT_WR);
            ends[i].fd = -1;
            open--;
        }
    }
}

static void pour(int client, unsigned long long left)
{
    uint8_t head[HEADER];
    recv_all(client, head, HEADER);
    recv_all(client, buffer, (size_t)head[3] << 8 | head[4]);
    while (left > 0) {
        const size_t part = left < sizeof buffer ? (size_t)left : sizeof buffer;
        send_all(client, buffer, part, 0);
        left -= part;
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "bench: usage: see the head of relay.c\n");
        return 2;
    }
    signal(SIGCHLD, SIG_IGN);
    const int listener = serve_at(argv[2]);
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t room = sizeof peer;
        const int client = accept4(listener, (struct sockaddr *)&peer, &room, SOCK_CLOEXEC);
        if (client < 0) {
            die("accept");
        }
        if (strcmp(argv[1], "pour") == 0) {
            pour(client, strtoull(argv[3], NULL, 10));
        } else {
            const int guest = dial(argv[3]);
            (strcmp(argv[1], "splice") == 0 ? relay_splice : relay_block)(client, guest);
            close(guest);
        }
        close(client);
    }
}
