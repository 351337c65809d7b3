"""Section 4: the start, and telling of it (BRIDGE-START, BRIDGE-READY)."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

import pytest

from guestwire.drive.bridge import BridgeBench, free_port, hosts_of_its_own
from guestwire.drive.link import PATIENCE, SECOND
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal

UNIX = ("unix-unix",)
IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP)


# ---- a start that fails


@case("BRIDGE-START/failed", transports=UNIX)
@pytest.mark.parametrize("reason", ["no-folder", "folder-is-a-file", "in-the-way"])
def test_failed_start(bridge: BridgeBench, reason: str) -> None:
    places = {"no-folder": "nowhere/socket", "folder-is-a-file": "status/socket"}
    if reason == "folder-is-a-file":
        bridge.witness.write(bridge.status_path, b"")
    if reason == "in-the-way":
        bridge.program.keep(bridge.socket_path)
        bridge.witness.write(bridge.socket_path, b"")
    listen = f"unix:{bridge.program.folder}/{places.get(reason, 'client')}"
    before = bridge.witness.names(bridge.program.folder)
    bridge.refuses(bridge.command(listen=listen), 1)
    expect_equal(bridge.witness.names(bridge.program.folder), before, "what stands in its folder")


@case("BRIDGE-START/failed", variant="port", transports=("tcp-unix",))
@pytest.mark.parametrize("reason", ["in-use", "not-here"])
def test_failed_start_on_tcp(bridge: BridgeBench, reason: str) -> None:
    host = hosts_of_its_own()
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        if reason == "not-here":
            host = "192.0.2.1"
        bridge.refuses(bridge.command("--allow-remote", listen=f"tcp:{host}:{port}"), 1)


@case("BRIDGE-START/failed", variant="name", transports=("tcp-unix",))
def test_failed_start_with_an_unknown_name(bridge: BridgeBench) -> None:
    bridge.refuses(bridge.command(listen=f"tcp:no-such-name.invalid:{free_port('127.0.0.1')}"), 1)


# ---- what it was started with


@case("BRIDGE-START/signals", transports=UNIX)
@pytest.mark.parametrize("how", ["ignored", "blocked"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_signals_at_the_start(bridge: BridgeBench, how: str, number: int) -> None:
    """Also a guest that goes while the bridge writes to it, which is a SIGPIPE to who does not care."""
    conditions = {"ignore": IGNORED} if how == "ignored" else {"block": tuple(range(1, 65))}
    running = bridge.start(**conditions)
    running.works()
    client, guest = running.pair()
    guest.abandon()
    with suppress(Violation):
        client.fill()
    running.works()
    expect_equal(running.stop(number, SECOND), 0, "exit status in time")
    expect(not os.path.lexists(bridge.socket_path), "its socket removed", "it is there")


@case("BRIDGE-START/closed", transports=UNIX)
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=["0", "1", "2", "012"])
def test_descriptors_closed_at_the_start(bridge: BridgeBench, closed: tuple[int, ...]) -> None:
    """No connection takes their numbers: what the bridge has to say would go there."""
    running = bridge.start("--connect-timeout", "0.4", close=closed)
    early = [running.client() for _ in range(3)]
    for client in early:
        came = client.rest()
        expect(not came, "nothing at a client whose dial is given up", came)
    bridge.guest.listen()
    client, guest = running.pair()
    bridge.guest.leave()
    running.client().ends()
    client.is_silent(0.1)
    guest.is_silent(0.1)
    running.works()


@case("BRIDGE-START/inherited")
def test_inherited_descriptors(bridge: BridgeBench) -> None:
    """Pipes, a socket that listens and one that is connected: nobody's business, and none of the bridge's."""
    with socket.socket() as listener:
        listener.bind((hosts_of_its_own(), 0))
        listener.listen()
        one, other = socket.socketpair()
        with one, other:
            numbers = (*os.pipe(), listener.fileno(), one.fileno())
            environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
            running = bridge.start(pass_fds=numbers, env=environment)
            running.works()
            client, guest = running.pair()
            client.half_close()
            if bridge.guest_kind != "hybrid":
                guest.ends()
            guest.send(b"on")
            client.gets(b"on")
            other.setblocking(False)
            with suppress(BlockingIOError):
                raise Violation("an inherited socket left alone", f"{other.recv(100)!r} came through it")
            expect_equal(running.stop(signal.SIGTERM, SECOND), 0, "exit status in time")
            for number in numbers[:2]:
                os.close(number)


# ---- readiness


def _told(descriptor: int) -> bytes:
    """Everything from a pipe up to its end, which has to come."""
    end, said = time.monotonic() + PATIENCE, b""
    with open(descriptor, "rb", buffering=0) as file:
        while select.select([file], [], [], max(end - time.monotonic(), 0))[0]:
            part = file.read(4096)
            if not part:
                return said
            said += part
    raise Violation(f"READY=1 and then an end on the ready descriptor within {PATIENCE:g} s", f"{said!r} and no end")


@case("BRIDGE-READY/fd", "BRIDGE-READY/closed")
def test_ready_fd(bridge: BridgeBench) -> None:
    """A connection that is made right then is accepted, every time."""
    for attempt in range(4):
        read_end, write_end = os.pipe()
        bridge.listen = bridge.place(bridge.client_kind)
        running = bridge.launch(bridge.command("--ready-fd", str(write_end)), pass_fds=(write_end,))
        os.close(write_end)
        expect_equal(_told(read_end), b"READY=1\n", f"what came on the ready descriptor (start {attempt + 1})")
        try:
            bridge.connect_once(bridge.listen).close()
        except OSError as error:
            raise Violation("a connection right after READY=1", str(error)) from None
        expect_equal(running.stop(signal.SIGTERM), 0, "exit status")


@case("BRIDGE-READY/closed", variant="stdout", transports=UNIX)
def test_ready_fd_is_stdout(bridge: BridgeBench) -> None:
    read_end, write_end = os.pipe()
    bridge.launch(bridge.command("--ready-fd", "1"), stdout=write_end)
    os.close(write_end)
    expect_equal(_told(read_end), b"READY=1\n", "what came on the ready descriptor")
    bridge.guest.listen()
    client = bridge.client()
    guest = bridge.guest.accept()
    client.send(b"there")
    guest.gets(b"there")


@case("BRIDGE-READY/notify", "BRIDGE-READY/stopping", transports=UNIX)
def test_notify_socket(bridge: BridgeBench) -> None:
    path = f"{bridge.program.scratch}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        _notified(bridge, manager, path)


@case("BRIDGE-READY/abstract", transports=UNIX)
def test_notify_socket_abstract(bridge: BridgeBench) -> None:
    name = f"guestwire-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(b"\0" + name.encode())
        _notified(bridge, manager, f"@{name}")


def _notified(bridge: BridgeBench, manager: socket.socket, address: str) -> None:
    running = bridge.launch(bridge.command(), env={"NOTIFY_SOCKET": address})
    expect(b"READY=1" in _lines(manager), "READY=1 among the lines", "it is not")
    try:
        bridge.connect_once(bridge.listen).close()
    except OSError as error:
        raise Violation("a connection right after READY=1", str(error)) from None
    expect_equal(running.stop(signal.SIGTERM), 0, "exit status")
    expect(b"STOPPING=1" in _lines(manager), "STOPPING=1 among the lines", "it is not")


def _lines(manager: socket.socket) -> list[bytes]:
    manager.settimeout(PATIENCE)
    try:
        return manager.recv(4096).split(b"\n")
    except TimeoutError:
        raise Violation(f"a notification within {PATIENCE:g} s", "none") from None


@case("BRIDGE-READY/failure", transports=UNIX)
@pytest.mark.parametrize("address", ["/nonexistent/notify", "@guestwire-nobody"], ids=["path", "abstract"])
def test_failing_notification(bridge: BridgeBench, address: str) -> None:
    running = bridge.start(env={"NOTIFY_SOCKET": address})
    running.works()
    expect_equal(len(running.lines()), 1, "lines on stderr")


@case("BRIDGE-READY/failure", variant="full", transports=UNIX)
def test_notification_that_nobody_takes(bridge: BridgeBench) -> None:
    path = f"{bridge.program.scratch}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            other.connect(path)
            with suppress(BlockingIOError):
                while True:
                    other.send(b"x")
        running = bridge.start(env={"NOTIFY_SOCKET": path})
        running.works()
        expect_equal(running.stop(signal.SIGTERM, SECOND), 0, "exit status in time")


@case("BRIDGE-READY/failure", variant="ready-fd", transports=UNIX)
@pytest.mark.parametrize("kind", ["full", "no-reader"])
def test_ready_fd_that_nobody_reads(bridge: BridgeBench, kind: str) -> None:
    read_end, write_end = os.pipe()
    if kind == "full":
        os.set_blocking(write_end, False)
        with suppress(BlockingIOError):
            while True:
                os.write(write_end, b"x" * 4096)
        os.set_blocking(write_end, True)
    else:
        os.close(read_end)
    running = bridge.start("--ready-fd", str(write_end), pass_fds=(write_end,))
    running.works()
    os.close(write_end)
    if kind == "full":
        os.close(read_end)
    expect_equal(len(running.lines()), 1, "lines on stderr")
