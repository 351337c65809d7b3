#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../host/address.h"

static struct address target(const char *text)
{
    struct address address;

    if (!address_read_target(&address, text))
        fail_msg("not taken: %s", text);
    return address;
}

static void reads_targets(void **state)
{
    struct address address = target("unix:/run/a:b");

    (void)state;
    assert_int_equal(address.kind, ADDRESS_UNIX);
    assert_string_equal(address.path, "/run/a:b");
    assert_string_equal(address_unix(&address).sun_path, "/run/a:b");

    address = target("tcp:localhost:22");
    assert_int_equal(address.kind, ADDRESS_TCP);
    assert_string_equal(address.host, "localhost");
    assert_int_equal(address.port, 22);
    address = target("tcp:[fe80::1%eth0]:65535");
    assert_string_equal(address.host, "fe80::1%eth0");
    assert_int_equal(address.port, 65535);

    address = target("vsock:3:4294967294");
    assert_int_equal(address.kind, ADDRESS_VSOCK);
    assert_int_equal(address.cid, 3);
    assert_int_equal(address.port, 4294967294);

    address = target("hybrid:a:b.sock:1024");
    assert_int_equal(address.kind, ADDRESS_HYBRID);
    assert_string_equal(address.path, "a:b.sock");
    assert_int_equal(address.port, 1024);
}

static void reads_listeners(void **state)
{
    struct address address;

    (void)state;
    assert_true(address_read_listen(&address, "vsock:1024"));
    assert_int_equal(address.cid, UINT32_MAX);
    assert_int_equal(address.port, 1024);
    assert_true(address_read_listen(&address, "vsock:2:1024"));
    assert_int_equal(address.cid, 2);
    assert_true(address_read_listen(&address, "fd:3"));
    assert_int_equal(address.kind, ADDRESS_FD);
    assert_int_equal(address.fd, 3);
}

static void refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "/run/a",
        "unix",
        "unix:",
        "UNIX:/a",
        "tcp:",
        "tcp:22",
        "tcp::22",
        "tcp:host:",
        "tcp:host:0",
        "tcp:host:65536",
        "tcp:host:22x",
        "tcp:host: 22",
        "tcp:::1:22",
        "tcp:[::1]",
        "tcp:[::1]22",
        "tcp:[]:22",
        "tcp:[host]:22",
        "tcp:[::1:22",
        "vsock:3:",
        "vsock::3",
        "vsock:3:0",
        "vsock:3:4294967295",
        "vsock:4294967296:1",
        "vsock:-1:1",
        "hybrid:/a",
        "hybrid::1",
        "hybrid:/a:",
        "hybrid:/a:0",
        "fd:",
        "fd:-1",
        "fd:2147483648",
        "fd:3 ",
    };
    struct address address;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (address_read_target(&address, bad[i]))
            fail_msg("taken as a target: %s", bad[i]);
        if (address_read_listen(&address, bad[i]))
            fail_msg("taken as a listener: %s", bad[i]);
    }
    assert_false(address_read_target(&address, "vsock:1024"));
    assert_false(address_read_target(&address, "fd:3"));
}

/* The kernel's 108 bytes with the NUL: 107 fit, 108 do not. */
static void bounds_paths_and_hosts(void **state)
{
    char text[400];
    struct address address;

    (void)state;
    for (int length = 106; length <= 109; length++) {
        snprintf(text, sizeof text, "unix:%0*d", length, 0);
        assert_int_equal(address_read_target(&address, text), length <= 107);
        snprintf(text, sizeof text, "hybrid:%0*d:1", length, 0);
        assert_int_equal(address_read_target(&address, text), length <= 107);
    }
    for (int length = 254; length <= 257; length++) {
        snprintf(text, sizeof text, "tcp:%0*d:1", length, 0);
        assert_int_equal(address_read_target(&address, text), length <= 255);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_targets),
        cmocka_unit_test(reads_listeners),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_paths_and_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
