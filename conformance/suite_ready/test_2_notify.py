"""Section 2: `notify` (READY-NOTIFY)."""

from __future__ import annotations

import os
import socket
import stat
import time
from typing import Any

import pytest

from guestwire.drive.gate import PATIENCE, START, Gate, GateBench, expect_ready
from guestwire.judge.case import case
from guestwire.judge.outcome import DeadlineExceeded, about, expect, expect_equal


def place(gate: GateBench) -> str:
    """A path for its socket, where nothing may be left."""
    return f"{gate.program.folder}/notify"


def listening(gate: GateBench, path: str, *words: str, **conditions: Any) -> Gate:
    """A gate that listens at `path`, once it does."""
    running = gate.start(*(words or ("notify", f"unix:{path}")), "--timeout", "30", **conditions)
    until = time.monotonic() + PATIENCE
    while not tells(path, b""):
        if time.monotonic() > until or running.poll() is not None:
            raise DeadlineExceeded(f"a datagram socket at {path}", f"none; stderr {running.running.stderr()!r}")
        time.sleep(0.005)
    return running


def tells(path: str, message: bytes) -> bool:
    """Send a message. Return: whether there was somebody to take it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as guest:
        guest.settimeout(PATIENCE)
        try:
            guest.connect(path)
            guest.send(message)
        except OSError:
            return False
        return True


@case("READY-NOTIFY/ready")
@pytest.mark.parametrize(
    "message",
    [
        b"READY=1",
        b"READY=1\n",
        b"STATUS=up\nREADY=1\nMAINPID=1\n",
        b"MAINPID=1\nREADY=1",
        b"X=" + b"x" * 4000 + b"\nREADY=1",
    ],
    ids=["alone", "with its end", "in the middle", "last", "behind a long one"],
)
def test_a_message_with_ready(gate: GateBench, message: bytes) -> None:
    running = listening(gate, place(gate))
    expect(tells(place(gate), message), "the message taken", "it was not")
    told = running.end()
    expect_ready(told)
    expect_equal(gate.program.witness.info(place(gate)), None, "its socket afterwards")


@case("READY-NOTIFY/listen")
@pytest.mark.parametrize("words", [["notify", "{}"], ["notify", "--listen", "{}"], ["notify", "--listen={}"]])
def test_as_target_or_option(gate: GateBench, words: list[str]) -> None:
    path = place(gate)
    running = listening(gate, path, *(word.format(f"unix:{path}") for word in words), "--json")
    tells(path, b"READY=1")
    told = running.end()
    expect_ready(told)
    expect_equal(
        (told.probe["kind"], told.probe["target"]), ("notify", f"unix:{path}"), "kind and target of the report"
    )


@case("READY-NOTIFY/other", twin="READY-NOTIFY/ready")
def test_other_messages_are_passed_over(gate: GateBench) -> None:
    others = [
        b"", b"READY=0", b"READY=10", b"READY=", b"READY", b"ready=1", b"XREADY=1", b" READY=1", b"READY=1 ", b"READY=1\r\n",
        b"STATUS=READY=1", b"STOPPING=1", b"\0READY=1", b"READY=1\0", b"READY=\n1", b"\xff\xfe", b"x" * 60_000,
    ]  # fmt: skip
    path = place(gate)
    running = listening(gate, path)
    for other in others:
        with about(repr(other[:20])):
            expect(tells(path, other), "the message taken", "it was not")
            time.sleep(0.02)
            expect(running.poll() is None, "the gate still waits", running.poll())
    time.sleep(0.1)
    expect(running.poll() is None, "the gate still waits", running.poll())
    tells(path, b"READY=1")
    expect_ready(running.end())


@case("READY-NOTIFY/other", variant="halves", twin="READY-NOTIFY/ready")
def test_a_line_does_not_go_over_two_messages(gate: GateBench) -> None:
    path = place(gate)
    running = listening(gate, path)
    tells(path, b"REA")
    tells(path, b"DY=1")
    time.sleep(0.2)
    expect(running.poll() is None, "the gate still waits", running.poll())


@case("READY-NOTIFY/other", variant="with-a-descriptor")
def test_descriptors_that_come_along_are_not_kept(gate: GateBench) -> None:
    path = place(gate)
    running = listening(gate, path)
    before = gate.program.witness.counts(running.running.pid)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as guest:
        guest.connect(path)
        for _ in range(5):
            socket.send_fds(guest, [b"STATUS=x"], [0])
    time.sleep(0.2)
    now = gate.program.witness.counts(running.running.pid)
    expect_equal(now and now[0], before and before[0], "descriptors of the gate")


@case("READY-NOTIFY/mode")
@pytest.mark.parametrize("umask", [0, 0o022, 0o777], ids=["000", "022", "777"])
def test_mode_of_the_socket(gate: GateBench, umask: int) -> None:
    path = place(gate)
    running = gate.start("notify", f"unix:{path}", "--timeout", "30", umask=umask)
    until = time.monotonic() + PATIENCE
    while (found := gate.program.witness.info(path)) is None:
        expect(time.monotonic() < until and running.poll() is None, "a socket", running.running.stderr())
    expect_equal((found.kind, oct(found.mode)), ("socket", oct(0o600)), "kind and mode, when it is there first")
    time.sleep(0.05)
    expect_equal(oct(stat.S_IMODE(os.stat(path).st_mode)), oct(0o600), "mode, a moment later")


@case("READY-NOTIFY/stale")
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["datagram", "stream"])
def test_a_stale_socket_is_replaced(gate: GateBench, kind: int) -> None:
    path = place(gate)
    with socket.socket(socket.AF_UNIX, kind) as leftover:
        leftover.bind(path)
    running = listening(gate, path)
    tells(path, b"READY=1")
    expect_ready(running.end())
    expect_equal(gate.program.witness.info(path), None, "the socket afterwards")


def left_alone(gate: GateBench, path: str) -> None:
    """What stands at `path` is in the way: exit 1 at once, with one line, and it stays as it is."""
    gate.program.keep(path)
    before = os.lstat(path)
    told = gate.run("notify", f"unix:{path}", "--timeout", "30")
    expect_equal((told.status, len(told.lines)), (1, 1), f"exit status and lines on stderr ({told.stderr!r})")
    expect(told.seconds < 2 + START, "exit at once", told.seconds)
    expect(path in told.stderr, "a line that names it", told.stderr)
    now = os.lstat(path)
    expect_equal(
        (now.st_ino, now.st_mode, now.st_mtime_ns), (before.st_ino, before.st_mode, before.st_mtime_ns), "file"
    )


@case("READY-NOTIFY/taken", twin="READY-NOTIFY/stale")
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["datagram", "stream"])
def test_a_live_socket_is_left_alone(gate: GateBench, kind: int) -> None:
    with socket.socket(socket.AF_UNIX, kind) as live:
        live.bind(place(gate))
        if kind == socket.SOCK_STREAM:
            live.listen()
        left_alone(gate, place(gate))
        if kind == socket.SOCK_DGRAM:
            expect(tells(place(gate), b"still there"), "the live socket reached by others", "it is not")


@case("READY-NOTIFY/taken", variant="no-socket", twin="READY-NOTIFY/stale")
@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "link", "dangling-link"])
def test_what_is_no_socket_is_left_alone(gate: GateBench, kind: str) -> None:
    path, witness = place(gate), gate.program.witness
    if kind == "file":
        witness.write(path, b"mine\n")
    elif kind == "directory":
        witness.mkdir(path)
    elif kind == "fifo":
        witness.mkfifo(path)
    else:
        target = gate.path("target")
        if kind == "link":
            witness.mksocket(target)
        witness.symlink(target, path)
    left_alone(gate, path)


@case("READY-NOTIFY/taken", variant="ours", twin="READY-NOTIFY/listen")
def test_another_gate_listens_there(gate: GateBench) -> None:
    """The first one goes on, and hears."""
    path = place(gate)
    running = listening(gate, path)
    left_alone(gate, path)
    tells(path, b"READY=1")
    expect_ready(running.end())


@case("READY-NOTIFY/taken", variant="nowhere", twin="READY-NOTIFY/listen")
def test_a_socket_that_cannot_be_made(gate: GateBench) -> None:
    told = gate.run("notify", f"unix:{gate.path('no/such/folder')}", "--timeout", "30")
    expect_equal((told.status, len(told.lines)), (1, 1), f"exit status and lines on stderr ({told.stderr!r})")
    expect(told.seconds < 2 + START, "exit at once", told.seconds)
