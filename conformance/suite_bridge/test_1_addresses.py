"""Section 1: addresses and options (BRIDGE-TARGET, BRIDGE-ADDRESS, BRIDGE-REMOTE, BRIDGE-USAGE)."""

from __future__ import annotations

import os
import socket
import time

import pytest

from guestwire.drive.bridge import BridgeBench, free_port, hosts_of_its_own, tcp_listeners
from guestwire.drive.bridge_guest import Guest
from guestwire.drive.link import PATIENCE, Link
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal

UNIX = ("unix-unix",)
ACTIVATED = 'exec 3<&"$1"; shift; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'  # as sd_listen_fds(3) finds it
ACTIVATED_OTHER = 'exec 3<&"$1"; shift; export LISTEN_PID=1 LISTEN_FDS=1; exec "$@"'


def round_trip(client: Link, guest: Link) -> None:
    """Bytes go through, in each direction."""
    client.send(b"there")
    guest.gets(b"there")
    guest.send(b"and back")
    client.gets(b"and back")


# ---- where it dials


@case("BRIDGE-TARGET/unix", "BRIDGE-ADDRESS/unix", transports=UNIX)
def test_unix_to_unix(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    round_trip(*bridge.start().pair())


@case("BRIDGE-TARGET/tcp", transports=("unix-tcp",))
def test_target_tcp(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    round_trip(*bridge.start().pair())


@case("BRIDGE-TARGET/hybrid", transports=("unix-hybrid",))
def test_target_hybrid(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    round_trip(*bridge.start().pair())


@case("BRIDGE-ADDRESS/tcp", transports=("tcp-unix",))
def test_listen_tcp(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    round_trip(*bridge.start().pair())


@case("BRIDGE-TARGET/ipv6", transports=("unix-tcp",))
def test_target_ipv6(bridge: BridgeBench) -> None:
    free_port("::1")  # or it cannot be judged here
    bridge.guest = Guest(bridge.program, "tcp", host="::1")
    bridge.guest.listen()
    round_trip(*bridge.start().pair())


HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'  # in a mount namespace of its own


@case("BRIDGE-TARGET/name", transports=("unix-tcp",))
def test_target_name(bridge: BridgeBench) -> None:
    bridge.guest = Guest(bridge.program, "tcp", host="127.0.0.1")
    bridge.guest.listen()
    round_trip(*bridge.start(connect=f"tcp:localhost:{bridge.guest.port}").pair())


@case("BRIDGE-TARGET/name", variant="addresses", needs="root", transports=("unix-tcp",))
@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "second", "third"])
def test_name_with_several_addresses(bridge: BridgeBench, index: int) -> None:
    """The guest is behind one of three: whichever is tried first, it is not always that one."""
    hosts = [hosts_of_its_own() for _ in range(3)]
    bridge.guest = Guest(bridge.program, "tcp", host=hosts[index])
    bridge.guest.listen()
    file = f"{bridge.program.scratch}/hosts"
    bridge.witness.write(file, "".join(f"{host} several.test\n" for host in hosts).encode())
    command = bridge.command(connect=f"tcp:several.test:{bridge.guest.port}")
    running = bridge.launch(("unshare", "--mount", "sh", "-c", HOSTS, "sh", file, *command))
    round_trip(*running.pair())


# ---- where it listens


@case("BRIDGE-ADDRESS/fd", transports=UNIX)
@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_listen_fd(bridge: BridgeBench, family: str) -> None:
    bridge.guest.listen()
    listener, address = _listener(bridge, family)
    with listener:
        command = bridge.command(listen=f"fd:{listener.fileno()}")
        running = bridge.launch(command, address, pass_fds=(listener.fileno(),))
        round_trip(*running.pair())
        expect_equal(running.stop(15), 0, "exit status after SIGTERM")
        if family == "unix":
            expect(os.path.exists(bridge.socket_path), "the socket that was handed over where it was", "it is gone")


def _listener(bridge: BridgeBench, family: str) -> tuple[socket.socket, str]:
    """A listening socket, and its address."""
    if family == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(bridge.socket_path)
        bridge.program.keep(bridge.socket_path)
        address = f"unix:{bridge.socket_path}"
    else:
        listener = socket.socket()
        listener.bind((hosts_of_its_own(), 0))
        address = "tcp:{}:{}".format(*listener.getsockname())
    listener.listen(16)
    bridge.program.at_end(listener.close)
    return listener, address


@case("BRIDGE-ADDRESS/fd-refused", transports=UNIX)
@pytest.mark.parametrize("kind", ["file", "connected", "datagram", "closed"])
def test_listen_fd_that_does_not_listen(bridge: BridgeBench, kind: str) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
    with one, other, open(os.devnull) as file:
        number = {"file": file.fileno(), "connected": one.fileno(), "datagram": one.fileno(), "closed": 99}[kind]
        passed = () if kind == "closed" else (number,)
        bridge.refuses(bridge.command(listen=f"fd:{number}"), 2, pass_fds=passed)


@case("BRIDGE-ADDRESS/activation", transports=UNIX)
def test_socket_activation(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    listener, address = _listener(bridge, "unix")
    number = listener.fileno()
    command = ("sh", "-c", ACTIVATED, "sh", str(number), *bridge.command_without_listen())
    round_trip(*bridge.launch(command, address, pass_fds=(number,)).pair())


@case("BRIDGE-ADDRESS/activation-foreign", transports=UNIX, twin="BRIDGE-ADDRESS/activation")
def test_socket_activation_of_another_process(bridge: BridgeBench) -> None:
    listener, _ = _listener(bridge, "unix")
    number = listener.fileno()
    command = ("sh", "-c", ACTIVATED_OTHER, "sh", str(number), *bridge.command_without_listen())
    bridge.refuses(command, 2, pass_fds=(number,))
    bridge.refuses(bridge.command_without_listen(), 2)


@case("BRIDGE-ADDRESS/hybrid", transports=UNIX)
def test_listen_hybrid(bridge: BridgeBench) -> None:
    """Answered once the guest is connected; what comes right behind the client's line is the guest's."""
    running = bridge.start(listen=f"hybrid:{bridge.socket_path}:1024")
    client = running.client()
    client.send(b"CONNECT 1024\nearly")
    client.is_silent(0.3)
    bridge.guest.listen()
    guest = bridge.guest.accept()
    guest.gets(b"early")
    guest.send(b"guest's")
    said = client.receive(3)
    while not said.endswith(b"\n"):
        said += client.receive(1)
    expect(said.startswith(b"OK ") and said[3:-1].isdigit(), "OK N", said)
    client.gets(b"guest's")
    round_trip(client, guest)


@case("BRIDGE-ADDRESS/hybrid-refused", transports=UNIX, twin="BRIDGE-ADDRESS/hybrid")
@pytest.mark.parametrize(
    "line", [b"CONNECT 1025\n", b"connect 1024\n", b"CONNECT 1024 \n", b"\n", b"GET / HTTP/1.1\r\n", b"x" * 200],
    ids=["port", "lower-case", "blank", "empty", "http", "endless"],
)  # fmt: skip
def test_listen_hybrid_another_line(bridge: BridgeBench, line: bytes) -> None:
    running = bridge.start(listen=f"hybrid:{bridge.socket_path}:1024")
    bridge.guest.listen()
    client = running.client()
    client.send(line)
    said = client.ends_early()
    expect(said, "an end", said)
    bridge.guest.nobody_dials(0.2)
    client = running.client()
    client.send(b"CONNECT 1024\n")
    bridge.guest.accept().send(b"!")
    expect(client.receive(3) == b"OK ", "the next client served", "not")


@case("BRIDGE-ADDRESS/hybrid-silent", transports=UNIX, twin="BRIDGE-ADDRESS/hybrid", long=True, deadline=40)
def test_listen_hybrid_no_line(bridge: BridgeBench) -> None:
    running = bridge.start(listen=f"hybrid:{bridge.socket_path}:1024")
    silent, slow = running.client(), running.client()
    began = time.monotonic()
    slow.send(b"CONNECT")
    silent.stays_open(8)
    silent.ends_early(10)
    slow.ends_early(5)
    waited = time.monotonic() - began
    expect(waited >= 9.5, "an end after 10 s", f"after {waited:.1f} s")


# ---- loopback


def _refused_address(bridge: BridgeBench, host: str) -> None:
    port = free_port("127.0.0.1")
    with about(host):
        bridge.refuses(bridge.command(listen=f"tcp:{host}:{port}"), 2)
        expect_equal(tcp_listeners(port), [], "listeners at that port")


@case("BRIDGE-REMOTE/refused", transports=("tcp-unix",), twin="BRIDGE-REMOTE/loopback:127.0.0.1")
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "0", "192.0.2.1", "[2001:db8::1]"])
def test_remote_address_refused(bridge: BridgeBench, host: str) -> None:
    """Also one that could not be bound here, and a name of all addresses (`0`)."""
    _refused_address(bridge, host)


@case("BRIDGE-REMOTE/refused", variant="own-address", transports=("tcp-unix",), twin="BRIDGE-REMOTE/loopback:127.0.0.1")
def test_own_address_refused(bridge: BridgeBench) -> None:
    """This machine's own address, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            host = probe.getsockname()[0]
        except OSError:
            host = "0.0.0.0"
    _refused_address(bridge, host)


@case("BRIDGE-REMOTE/loopback", transports=("tcp-unix",))
@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "[::1]", "localhost"])
def test_loopback_served(bridge: BridgeBench, host: str) -> None:
    bridge.guest.listen()
    listen = f"tcp:{host}:{free_port(host.strip('[]') if host != 'localhost' else '127.0.0.1')}"
    running = bridge.launch(bridge.command(listen=listen), listen)
    round_trip(*running.pair())


@case("BRIDGE-REMOTE/allowed", transports=("tcp-unix",))
def test_remote_address_allowed(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    port = free_port("127.0.0.1")
    command = bridge.command("--allow-remote", listen=f"tcp:0.0.0.0:{port}")
    round_trip(*bridge.launch(command, f"tcp:127.0.0.1:{port}").pair())


# ---- the command line

BAD = {
    "unknown": ("--frobnicate",),
    "operand": ("unix:/tmp/x",),
    "repeated": ("--connect-timeout", "5", "--connect-timeout", "5"),
    "no-value": ("--connect-timeout",),
    "empty": ("--status", ""),
    "timeout-word": ("--connect-timeout", "soon"),
    "timeout-zero": ("--connect-timeout", "0"),
    "timeout-negative": ("--connect-timeout", "-1"),
    "timeout-nan": ("--connect-timeout", "nan"),
    "ready-fd-word": ("--ready-fd", "three"),
    "ready-fd-closed": ("--ready-fd", "99"),
    "flag-value": ("--allow-remote=yes",),
}


@case("BRIDGE-USAGE/refused", transports=UNIX)
@pytest.mark.parametrize("name", BAD)
def test_bad_option(bridge: BridgeBench, name: str) -> None:
    bridge.refuses(bridge.command(*BAD[name]), 2)
    _nothing_made(bridge)


def _nothing_made(bridge: BridgeBench) -> None:
    expect_equal(bridge.witness.names(bridge.program.folder), [], "what it made")


PLACES = ["", "unix:", "tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:", "tcp:127.0.0.1:http", "tcp:127.0.0.1:65536",
          "tcp:127.0.0.1:-1", "tcp:::1:80", "tcp::80", "hybrid:/x", "hybrid:/x:y", "pipe:/x", "fd:", "fd:x", "/x",
          "vsock:", "vsock:x", "vsock:x:1", "vsock::1", "vsock:1:x", "vsock:1:", "vsock:1:2:3", "vsock:-1", "vsock:1:4294967295",
          "vsock:4294967296:1"]  # fmt: skip
TARGETS = [*PLACES, "fd:3", "vsock:2"]


@case("BRIDGE-USAGE/refused", variant="addresses", transports=UNIX)
@pytest.mark.parametrize("option", ["listen", "connect", "long-path"])
def test_bad_address(bridge: BridgeBench, option: str) -> None:
    if option == "long-path":  # longer than any Unix socket's
        bridge.refuses(bridge.command(listen=f"unix:{bridge.program.folder}/{'x' * 200}"), 2)
        bridge.refuses(bridge.command(connect=f"unix:{bridge.program.folder}/{'x' * 200}"), 2)
    for text in {"listen": PLACES, "connect": TARGETS, "long-path": []}[option]:
        words = [*bridge.command()]
        old = bridge.listen if option == "listen" else bridge.guest.address
        with about(f"--{option} {text!r}"):
            bridge.refuses(tuple(word.replace(old, text) for word in words), 2)
    _nothing_made(bridge)


@case("BRIDGE-USAGE/refused", variant="missing", transports=UNIX)
def test_missing_option(bridge: BridgeBench) -> None:
    bridge.refuses(bridge.bare(), 2)
    bridge.refuses(bridge.command_without_listen(), 2)
    _nothing_made(bridge)


@case("BRIDGE-USAGE/refused", variant="repeated-listen", transports=UNIX)
@pytest.mark.parametrize("option", ["--listen", "--connect"])
def test_repeated_address(bridge: BridgeBench, option: str) -> None:
    bridge.refuses(bridge.command(option, bridge.listen if option == "--listen" else bridge.guest.address), 2)
    _nothing_made(bridge)


@case("BRIDGE-USAGE/help", transports=UNIX)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version(bridge: BridgeBench, option: str) -> None:
    running = bridge.program.start(bridge.bare(option), stdout="file")
    expect_equal(running.wait(PATIENCE), 0, f"exit status of {option}")
    expect(running.stdout().strip(), f"what {option} prints to stdout", "nothing")
    expect_equal(running.stderr(), "", f"stderr of {option}")
    _nothing_made(bridge)
