"""Section 4: the status file (BRIDGE-STATUS)."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from typing import Any

import pytest

from guestwire.drive.bridge import Bridge, BridgeBench, read_status, wait_for
from guestwire.drive.link import SECOND, Meanwhile
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

UNIX = ("unix-unix",)
NUMBERS = ("pid", "connections", "waiting", "accepted", "bytes_to_guest", "bytes_to_client")


def _start(bridge: BridgeBench, *options: str, **conditions: Any) -> Bridge:
    running = bridge.start("--status", bridge.status_path, *options, **conditions)
    wait_for(lambda: os.path.exists(bridge.status_path), "a status file", SECOND)
    return running


def _becomes(running: Bridge, **wanted: object) -> None:
    """Within a second the file says so."""
    end = time.monotonic() + SECOND
    while True:
        said = running.status()
        found = {name: said.get(name) for name in wanted}
        if found == wanted:
            return
        expect(time.monotonic() < end, f"{wanted} in the status within 1 s", found)
        time.sleep(0.02)


@case("BRIDGE-STATUS/members")
def test_status_members(bridge: BridgeBench) -> None:
    running = _start(bridge)
    _becomes(running, listening=True)
    said = running.status()
    for name in NUMBERS:
        value = said.get(name)
        expect(isinstance(value, int) and not isinstance(value, bool), f"an integer as {name}", value)
    expect(said.get("listening") is True, "listening: true, a boolean", said.get("listening"))
    expect_equal(said.get("address"), bridge.listen, "address")
    expect_equal(said.get("target"), bridge.guest.address, "target")
    expect_equal(said.get("pid"), running.pid, "pid")
    for name in ("last_error", "last_error_time"):
        expect(name in said and said[name] is None, f"{name}: null", said.get(name, "none"))


@case("BRIDGE-STATUS/counts", "BRIDGE-STATUS/fresh")
def test_status_counts(bridge: BridgeBench) -> None:
    running = _start(bridge)
    clients = [running.client() for _ in range(2)]
    _becomes(running, connections=0, waiting=2, accepted=2)
    bridge.guest.listen()
    guests = [bridge.guest.accept() for _ in clients]
    _becomes(running, connections=2, waiting=0, accepted=2, bytes_to_guest=0, bytes_to_client=0)
    clients[0].send(b"1234567")
    for guest in guests:
        guest.send(b"12345")
    _becomes(running, connections=2, bytes_to_guest=7, bytes_to_client=10)
    for link in (clients[0], *guests):
        link.close()
    for link in (clients[1],):
        link.close()
    _becomes(running, connections=0, waiting=0, accepted=2, bytes_to_guest=7, bytes_to_client=10)


@case("BRIDGE-STATUS/whole", transports=("unix-unix", "tcp-unix"))
def test_status_is_never_half_written(bridge: BridgeBench) -> None:
    """Read all the while clients come and go."""
    bridge.guest.listen()
    running = _start(bridge)
    end = time.monotonic() + 2
    inodes = set()

    def churn() -> None:
        while time.monotonic() < end:
            client, guest = running.pair()
            client.send(b"there")
            guest.gets(b"there")
            client.close()
            guest.close()
            time.sleep(0.02)

    churning = Meanwhile(churn)
    while time.monotonic() < end:
        with open(bridge.status_path, "rb") as file:
            before = os.fstat(file.fileno()).st_size
            expect(before > 0, "a whole status", "an empty file")
            inodes.add(os.fstat(file.fileno()).st_ino)
        read_status(bridge.status_path)
    churning.join()
    expect(len(inodes) > 1, "a file that is replaced as clients come and go", "always the same one")
    names = {name for name in bridge.witness.names(bridge.program.folder) if name != "client"}
    expect(len(names) <= 2, "the status file, and at most one that is to replace it", names)


@case("BRIDGE-STATUS/mode", transports=UNIX)
@pytest.mark.parametrize("umask", [0, 0o777], ids=["000", "777"])
def test_status_mode(bridge: BridgeBench, umask: int) -> None:
    bridge.guest.listen()
    running = _start(bridge, umask=umask)
    modes = set()
    for _ in range(3):
        modes.add(oct(stat.S_IMODE(os.stat(bridge.status_path).st_mode)))
        running.works()
        time.sleep(0.2)
    expect_equal(modes, {oct(0o600)}, "modes of the status file")


@case("BRIDGE-STATUS/error", transports=UNIX)
def test_status_last_error(bridge: BridgeBench) -> None:
    running = _start(bridge, "--connect-timeout", "0.3")
    began = int(time.time())
    running.client().ends_early()
    said = wait_for(lambda: (now := running.status())["last_error"] and now, "an error in the status", SECOND)
    expect(isinstance(said["last_error"], str), "a string as last_error", said["last_error"])
    when = said["last_error_time"]
    expect(
        isinstance(when, (int, float)) and began <= when <= time.time() + 1, f"about {began} as last_error_time", when
    )
    bridge.guest.listen()
    running.works()
    expect(running.status()["last_error"], "the error still there", "gone")


@case("BRIDGE-STATUS/removed")
def test_status_removed(bridge: BridgeBench) -> None:
    running = _start(bridge)
    running.works()
    expect_equal(running.stop(signal.SIGTERM), 0, "exit status")
    expect_equal(bridge.witness.names(bridge.program.folder), [], "what stands in its folder after the stop")


@case("BRIDGE-STATUS/unwritable", transports=UNIX, twin="BRIDGE-STATUS/removed")
def test_status_that_cannot_be_written(bridge: BridgeBench) -> None:
    """A supervisor would look at it in vain. Nothing is left, the socket least of all."""
    bridge.refuses(bridge.command("--status", f"{bridge.program.folder}/nowhere/status"), 1)
    expect_equal(bridge.witness.names(bridge.program.folder), [], "what stands in its folder")


@case("BRIDGE-STATUS/failed", transports=UNIX)
def test_status_of_a_failed_start(bridge: BridgeBench) -> None:
    bridge.program.keep(bridge.socket_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(bridge.socket_path)
        listener.listen()
        bridge.refuses(bridge.command("--status", bridge.status_path), 1)
    said = read_status(bridge.status_path)
    expect(said.get("listening") is False, "listening: false", said.get("listening"))
    expect(isinstance(said.get("last_error"), str) and said["last_error"], "the reason", said.get("last_error"))
    expect_equal(sorted(bridge.witness.names(bridge.program.folder)), ["client", "status"], "what stands in its folder")
    mode = stat.S_IMODE(os.stat(bridge.status_path).st_mode)
    expect_equal(oct(mode), oct(0o600), "mode of the status file")


@case("BRIDGE-STATUS/failed", "BRIDGE-USAGE/refused", variant="usage", transports=UNIX, twin="BRIDGE-STATUS/failed")
def test_no_status_of_a_bad_command_line(bridge: BridgeBench) -> None:
    """It makes nothing."""
    bridge.refuses(bridge.command("--status", bridge.status_path, "--frobnicate"), 2)
    expect_equal(bridge.witness.names(bridge.program.folder), [], "what it made")


@case("BRIDGE-STATUS/removed", variant="idle", transports=UNIX)
def test_status_costs_nothing(bridge: BridgeBench) -> None:
    """Nor does keeping the status while nothing happens; and nothing but it stands there."""
    bridge.guest.listen()
    running = _start(bridge)
    running.pair()
    used = running.cpu_over(1.5)
    expect(used < 0.15, "less than 0.15 s of processor time in 1.5 s", f"{used:g} s")
    expect_equal(sorted(bridge.witness.names(bridge.program.folder)), ["client", "status"], "what stands in its folder")
