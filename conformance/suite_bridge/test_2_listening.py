"""Section 2: the listening socket (BRIDGE-LISTENS, BRIDGE-MODE, BRIDGE-TAKEN)."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Callable

import pytest

from guestwire.drive.bridge import Bridge, BridgeBench, is_listening
from guestwire.drive.link import PATIENCE
from guestwire.judge.case import case
from guestwire.judge.outcome import DeadlineExceeded, about, expect, expect_equal

UNIX = ("unix-unix",)


@case("BRIDGE-LISTENS/early")
def test_listens_before_the_guest(bridge: BridgeBench) -> None:
    """Several clients are accepted while there is no guest at all."""
    running = bridge.start()
    clients = [running.client() for _ in range(3)]
    for client in clients:
        client.stays_open(0.1)
    running.works_for(clients)


@case("BRIDGE-LISTENS/stays")
def test_listens_on_whatever_happens(bridge: BridgeBench) -> None:
    """After a client that came too early, one that left, one that was reset, and a guest that left."""
    running = bridge.start("--connect-timeout", "0.3")
    running.client().ends_early()
    running.client().close()
    time.sleep(0.6)  # on TCP a client that has closed cannot be told from one that waits
    bridge.guest.listen()
    client, _ = running.pair()
    client.close()
    client, guest = running.pair()
    guest.close()
    client.ends_early()
    client, guest = running.pair()
    guest.send(b"unread")
    time.sleep(0.05)
    client.abandon()
    if guest.is_tcp:
        guest.reset()
    bridge.guest.leave()
    running.client().ends_early()
    expect(is_listening(running.listen), "the listening socket", "gone")
    running.works()


@case("BRIDGE-LISTENS/lazy", twin="BRIDGE-LISTENS/early")
def test_dials_for_a_client_only(bridge: BridgeBench) -> None:
    """None before the first client, and none more than there are clients."""
    bridge.guest.listen()
    running = bridge.start()
    bridge.guest.nobody_dials(0.4)
    running.pair()
    bridge.guest.nobody_dials(0.3)


@case("BRIDGE-MODE/mode", transports=UNIX)
@pytest.mark.parametrize("umask", [0, 0o22, 0o777], ids=["000", "022", "777"])
def test_socket_mode(bridge: BridgeBench, umask: int) -> None:
    bridge.start(umask=umask)
    mode = stat.S_IMODE(os.lstat(bridge.socket_path).st_mode)
    expect_equal(oct(mode), oct(0o600), "mode of the socket file")


@case("BRIDGE-MODE/always", transports=UNIX)
def test_socket_mode_from_the_first_moment(bridge: BridgeBench) -> None:
    running = bridge.launch(bridge.command(), umask=0)
    end = time.monotonic() + PATIENCE
    seen: set[str] = set()
    while not seen or not is_listening(running.listen):
        for _ in range(100):
            with contextlib.suppress(FileNotFoundError):
                seen.add(oct(stat.S_IMODE(os.lstat(bridge.socket_path).st_mode)))
        expect(time.monotonic() < end, f"a socket file within {PATIENCE:g} s", "none")
    expect_equal(seen, {oct(0o600)}, "modes that the socket file had")


# ---- what stands there already


def _stale(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()


@case("BRIDGE-TAKEN/stale", transports=UNIX)
def test_stale_socket_replaced(bridge: BridgeBench) -> None:
    _stale(bridge.socket_path)
    bridge.start().works()


@case("BRIDGE-TAKEN/stale", variant="after-a-kill", transports=UNIX)
def test_socket_of_a_killed_bridge_replaced(bridge: BridgeBench) -> None:
    first = bridge.start()
    first.works()
    first.stop(9)
    expect(os.path.exists(bridge.socket_path), "the killed bridge's socket file where it was", "it is gone")
    bridge.guest.leave()
    bridge.start().works()


@case("BRIDGE-TAKEN/live", transports=UNIX, twin="BRIDGE-TAKEN/stale")
@pytest.mark.parametrize("backlog", [8, 0], ids=["free", "full"])
def test_live_socket_left_alone(bridge: BridgeBench, backlog: int) -> None:
    """Also one whose queue is full: connecting there does not succeed, and it lives all the same."""
    bridge.program.keep(bridge.socket_path)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(bridge.socket_path)
        listener.listen(backlog)
        if not backlog:
            waiting.connect(bridge.socket_path)
        inode = os.lstat(bridge.socket_path).st_ino
        bridge.refuses(bridge.command(), 1)
        expect_equal(os.lstat(bridge.socket_path).st_ino, inode, "inode at the path")


@case("BRIDGE-TAKEN/live", variant="twice", transports=UNIX, twin="BRIDGE-TAKEN/stale")
def test_started_twice(bridge: BridgeBench) -> None:
    """The first one goes on."""
    first = bridge.start()
    bridge.refuses(bridge.command(), 1)
    bridge.guest.listen()
    time.sleep(0.1)
    while True:  # the second one may have made a client of itself to see whether somebody listens
        try:
            bridge.guest.accept_raw(0.3).close()
        except DeadlineExceeded:
            break
    first.works()


def _folder(path: str) -> None:
    os.mkdir(path)


def _file(path: str) -> None:
    with open(path, "xb") as file:
        file.write(b"nobody's business\n")


@case("BRIDGE-TAKEN/other", transports=UNIX, twin="BRIDGE-TAKEN/stale")
@pytest.mark.parametrize("make", [_file, _folder, os.mkfifo], ids=["file", "folder", "fifo"])
def test_no_socket_left_alone(bridge: BridgeBench, make: Callable[[str], None]) -> None:
    bridge.program.keep(bridge.socket_path)
    make(bridge.socket_path)
    before = os.lstat(bridge.socket_path)
    bridge.refuses(bridge.command(), 1)
    after = os.lstat(bridge.socket_path)
    expect_equal((after.st_ino, after.st_mode, after.st_size), (before.st_ino, before.st_mode, before.st_size), "it")


@case("BRIDGE-TAKEN/together", transports=UNIX)
@pytest.mark.parametrize("stale", [True, False], ids=["stale", "nothing"])
def test_two_started_together(bridge: BridgeBench, stale: bool) -> None:
    """One serves, at the path; the other one says why not."""
    for attempt in range(6):
        if stale:
            _stale(bridge.socket_path)
        both = [bridge.launch(bridge.command()) for _ in range(2)]
        with about(f"attempt {attempt + 1}"):
            survivor = _survivor(both)
            bridge.await_listening(survivor)
            survivor.works()
            expect_equal(survivor.stop(15), 0, "exit status after SIGTERM")
        bridge.guest.leave()


def _survivor(both: list[Bridge]) -> Bridge:
    end = time.monotonic() + PATIENCE
    while True:
        status = [each.running.poll() for each in both]
        if sum(each is not None for each in status) == 1:
            ended = next(index for index, each in enumerate(status) if each is not None)
            expect_equal(status[ended], 1, "exit status of the one that does not serve")
            return both[1 - ended]
        told = [each.running.stderr() for each in both]
        expect(sum(each is not None for each in status) < 2, "one of the two serves", f"both ended: {told}")
        if time.monotonic() > end:
            raise DeadlineExceeded(f"one of the two ends within {PATIENCE:g} s", "both still run")
        time.sleep(0.005)
