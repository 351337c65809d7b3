"""Section 4: the end (BRIDGE-STOP, BRIDGE-PARENT)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from guestwire.drive.bridge import BridgeBench, is_listening, wait_for
from guestwire.drive.link import SECOND, Meanwhile
from guestwire.drive.program import Running
from guestwire.judge.case import case
from guestwire.judge.outcome import DeadlineExceeded, Violation, expect, expect_equal

UNIX = ("unix-unix",)
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])


@case("BRIDGE-STOP/exit", "BRIDGE-STOP/silent")
@SIGNALS
def test_exit_0_within_a_second(bridge: BridgeBench, number: int) -> None:
    bridge.guest.listen()
    running = bridge.start()
    running.pair()
    bridge.guest.leave()
    running.client()
    time.sleep(0.1)
    expect_equal(running.stop(number, SECOND), 0, "exit status in time")
    expect_equal(running.lines(), [], "lines on stderr")


@case("BRIDGE-STOP/exit", "BRIDGE-STOP/silent", variant="busy")
def test_stop_with_busy_pairs(bridge: BridgeBench) -> None:
    """Both directions full of bytes, one pair stuck."""
    bridge.guest.listen()
    running = bridge.start()
    stuck = running.pair()
    for link in stuck:
        link.fill()
    client, guest = running.pair()

    def flood() -> None:
        with contextlib.suppress(Violation):
            while True:
                client.send(bytes(100_000))

    def drain() -> None:
        with contextlib.suppress(Violation):
            while True:
                guest.receive(10_000)

    threads = [Meanwhile(flood), Meanwhile(drain)]
    time.sleep(0.2)
    expect_equal(running.stop(signal.SIGTERM, SECOND), 0, "exit status in time")
    for thread in threads:
        thread.join()
    expect_equal(running.lines(), [], "lines on stderr")


@case("BRIDGE-STOP/closes")
def test_stop_closes_every_connection(bridge: BridgeBench) -> None:
    """Pairs, a stuck one among them, and a client that waits."""
    bridge.guest.listen()
    running = bridge.start()
    links = [*running.pair(), *running.pair()]
    links[0].fill()
    bridge.guest.leave()
    links.append(running.client())
    time.sleep(0.1)
    running.stop(signal.SIGTERM, SECOND)
    for link in links:
        link.ends_early()


@case("BRIDGE-STOP/socket", transports=UNIX)
@SIGNALS
def test_stop_removes_its_socket(bridge: BridgeBench, number: int) -> None:
    running = bridge.start()
    expect(os.path.exists(bridge.socket_path), "a socket file", "none")
    running.stop(number, SECOND)
    expect(not os.path.lexists(bridge.socket_path), "no socket file after the stop", "it is there")


@case("BRIDGE-STOP/foreign", transports=UNIX, twin="BRIDGE-STOP/socket:sigterm")
@pytest.mark.parametrize("kind", ["socket", "file", "nothing"])
def test_stop_leaves_what_is_not_its_own(bridge: BridgeBench, kind: str) -> None:
    running = bridge.start()
    os.unlink(bridge.socket_path)
    bridge.program.keep(bridge.socket_path)
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(bridge.socket_path)
    elif kind == "file":
        bridge.witness.write(bridge.socket_path, b"another's")
    expect_equal(running.stop(signal.SIGTERM, SECOND), 0, "exit status in time")
    expect_equal(os.path.lexists(bridge.socket_path), kind != "nothing", "whether something stands there")
    expect_equal(running.lines(), [], "lines on stderr")


# ---- who started it

STARTS = '"$@" & echo $! > "$0"; wait'  # a parent that lives on
LEAVES = '(sleep 0.3; exec "$@") & echo $! > "$0"'  # one that has ended before the bridge has begun
THREAD = """
import subprocess, sys, threading, time
def start():
    started = subprocess.Popen(sys.argv[2:])
    with open(sys.argv[1], "w") as file:
        file.write(f"{started.pid}\\n")
    time.sleep(0.5)
thread = threading.Thread(target=start)
thread.start()
thread.join()
time.sleep(60)
"""


def _by_a_parent(bridge: BridgeBench, parent: tuple[str, ...], *options: str) -> tuple[Running, int]:
    """The bridge started by another process than the harness: that one, and the bridge's pid."""
    file = Path(bridge.program.scratch, "pid")
    started = bridge.program.helper((*parent, str(file), *bridge.command(*options)))
    text = wait_for(lambda: file.exists() and file.read_text(), "the bridge started")
    return started, int(text)


def _listens(bridge: BridgeBench) -> None:
    wait_for(lambda: is_listening(bridge.listen), "it listens", 10)


def _ends(bridge: BridgeBench, pid: int) -> None:
    if bridge.witness.wait_dead(pid, SECOND) is None:
        bridge.witness.signal(pid, signal.SIGKILL)
        raise DeadlineExceeded("the bridge ends within 1 s of its parent", "it runs on")
    expect_equal(bridge.witness.names(bridge.program.folder), [], "what it left")


@case("BRIDGE-PARENT/end", transports=UNIX)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["sigkill", "sigterm"])
def test_parent_ends(bridge: BridgeBench, number: int) -> None:
    parent, pid = _by_a_parent(bridge, ("sh", "-c", STARTS), "--exit-with-parent")
    _listens(bridge)
    client = bridge.client()
    parent.signal(number)
    _ends(bridge, pid)
    client.ends_early()


@case("BRIDGE-PARENT/thread", transports=UNIX, twin="BRIDGE-PARENT/end:sigkill")
def test_thread_of_the_parent_ends(bridge: BridgeBench) -> None:
    """The thread that started it; the process lives on, and so does the bridge, until that ends too."""
    parent, pid = _by_a_parent(bridge, (sys.executable, "-I", "-S", "-c", THREAD), "--exit-with-parent")
    _listens(bridge)
    time.sleep(1.5)
    expect(bridge.witness.alive(pid), "the bridge lives as long as its parent process", "it has ended")
    parent.signal(signal.SIGKILL)
    _ends(bridge, pid)


@case("BRIDGE-PARENT/early", transports=UNIX)
def test_parent_has_ended_before(bridge: BridgeBench) -> None:
    """Its child waits a moment before it becomes the bridge; by then another process is its parent."""
    _, pid = _by_a_parent(bridge, ("sh", "-c", LEAVES), "--exit-with-parent")
    time.sleep(0.4)
    _ends(bridge, pid)


@case("BRIDGE-PARENT/without", transports=UNIX)
@pytest.mark.parametrize("script", [STARTS, LEAVES], ids=["later", "before"])
def test_bridge_outlives_its_parent(bridge: BridgeBench, script: str) -> None:
    parent, pid = _by_a_parent(bridge, ("sh", "-c", script))
    _listens(bridge)
    parent.signal(signal.SIGKILL)
    time.sleep(1.2)
    expect(bridge.witness.alive(pid), "a bridge that lives on", "it has ended")
    bridge.witness.signal(pid, signal.SIGTERM)
    _ends(bridge, pid)
