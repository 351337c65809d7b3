/* The vsock side of READY-NOTIFY, on a Unix stream socket: here nobody can connect over vsock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../host/ready_listen.h"

#define PATIENCE 5000 /* milliseconds, for what is there already */

static struct ready_listen hears;
static struct sockaddr_un name;
static socklen_t name_size;

/* A listening socket without a name of ours: the kernel picks an abstract one. */
static int set_up(void **state)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)state;
    name = (struct sockaddr_un){.sun_family = AF_UNIX};
    name_size = sizeof name;
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name.sun_family) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &name_size) != 0)
        return -1;
    ready_listen_take(&hears, fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ready_listen_close(&hears);
    return 0;
}

static int guest(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, name_size), 0);
    return fd;
}

static void tell(int fd, const char *bytes)
{
    assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* Take all that is there. Return: whether it was heard. */
static bool heard(void)
{
    struct pollfd polled[LISTEN_POLLED];

    for (;;) {
        ready_listen_events(&hears, polled);
        if (poll(polled, LISTEN_POLLED, 0) == 0)
            return false;
        if (ready_listen_step(&hears, polled))
            return true;
    }
}

static void hears_a_line(void **state)
{
    const int fd = guest();

    (void)state;
    assert_false(heard());
    tell(fd, "STATUS=booting\nREA");
    assert_false(heard());
    tell(fd, "DY=1");
    assert_false(heard());
    tell(fd, "\n");
    assert_true(heard());
    close(fd);
}

static void hears_a_line_that_the_end_ends(void **state)
{
    int fd = guest();

    (void)state;
    tell(fd, "READY=1x");
    close(fd);
    assert_false(heard());
    fd = guest();
    tell(fd, "READY=1");
    close(fd);
    assert_true(heard());
}

/* One that says nothing, or no end of other things, keeps nobody else from being heard. */
static void silent_guests_make_way(void **state)
{
    int fds[3 * LISTEN_CLIENTS];
    int last;

    (void)state;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        fds[i] = guest();
        assert_false(heard());
    }
    last = guest();
    tell(last, "READY=1\n");
    assert_true(heard());
    close(last);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        char byte;
        const ssize_t length = recv(fds[i], &byte, 1, MSG_DONTWAIT);

        /* The oldest ones were closed, one of the newest for `last`. */
        assert_int_equal(length, i < sizeof fds / sizeof *fds - LISTEN_CLIENTS + 1 ? 0 : -1);
        close(fds[i]);
    }
}

static void gives_up_on_endless_messages(void **state)
{
    static char lines[4096];
    const int fd = guest();
    ssize_t sent = 0;

    (void)state;
    memset(lines, '\n', sizeof lines);
    for (size_t i = 0; i < 2 * LISTEN_MOST_BYTES / sizeof lines && sent >= 0; i++) {
        sent = send(fd, lines, sizeof lines, MSG_NOSIGNAL);
        assert_false(heard());
    }
    assert_true(sent < 0);
    close(fd);
}

/* Where it is given up is no end of its last line. */
static void does_not_take_a_cut_for_an_end(void **state)
{
    static char lines[LISTEN_MOST_BYTES];
    const int fd = guest();

    (void)state;
    memset(lines, '\n', sizeof lines);
    memcpy(lines + sizeof lines - strlen("READY=1"), "READY=1", strlen("READY=1"));
    for (size_t sent = 0; sent < sizeof lines; sent += 4096) {
        assert_int_equal(send(fd, lines + sent, 4096, MSG_NOSIGNAL), 4096);
        assert_false(heard());
    }
    assert_int_equal(send(fd, "0\n", 2, MSG_NOSIGNAL), -1);
    close(fd);
}

static void closes_all(void **state)
{
    const int fd = guest();
    struct pollfd end = {.fd = fd, .events = POLLIN};
    char byte;

    (void)state;
    assert_false(heard());
    ready_listen_close(&hears);
    assert_int_equal(poll(&end, 1, PATIENCE), 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hears_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hears_a_line_that_the_end_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_guests_make_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_up_on_endless_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_take_a_cut_for_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closes_all, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("ready_listen", tests, NULL, NULL);
}
