"""Section 3: requests that do not come to an end, transfers that stall, and every default time once at full length."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from guestwire.drive.conversation import Conversation, frame
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.protocol import CHUNK_SIZE, FRAME_DATA, FRAME_EOF, FRAME_JSON

EARLY = 0.95  # a timeout may not strike before this part of it
LATE = 0.75  # seconds that a loaded machine may add to a timeout; a process may have to be started first
PING = frame(FRAME_JSON, b'{"op":"ping"}')


def readable(conversation: Conversation, seconds: float) -> bool:
    """Whether something, the end of the stream included, is there to be read within that time."""
    return bool(select.select([conversation.sock], [], [], seconds)[0])


def expect_at(limit: float, seconds: float, what: str) -> None:
    """`what` has taken `seconds`, and is due after `limit`."""
    expect(EARLY * limit <= seconds <= limit + LATE, f"{what} after {limit:g} s", f"after {seconds:.3f} s")


# ---- CONV-IDLE


@case("CONV-IDLE/closed", needs="start")
@pytest.mark.parametrize("part", [0, 3, 5, len(PING) - 1], ids=["nothing", "3-bytes", "header", "payload"])
def test_incomplete_request(host: Host, part: int) -> None:
    private = host.start("--request-timeout", "0.4")
    start = time.monotonic()
    conversation = private.connect()
    conversation.send_raw(PING[:part])
    conversation.closed_silently(0.4 + 2 * LATE)
    expect_at(0.4, time.monotonic() - start, "closed")


@case("CONV-IDLE/closed", variant="request-only", needs="start")
def test_complete_request_outlives_the_timeout(host: Host) -> None:
    private = host.start("--request-timeout", "0.4")
    expect_equal(exit_code(private.run("sleep 0.6")), 0, "exit code")
    conversation = private.connect()
    conversation.send_json({"op": "put_file", "path": f"{host.scratch}/file", "size": 3})
    conversation.silence(0.6)
    conversation.send_frame(FRAME_DATA, b"abc")
    expect_equal(conversation.answer().terminal, {"ok": True}, "response")


@case("CONV-IDLE/drip", needs="start")
@pytest.mark.parametrize("size", [200, 2_000_000], ids=["small", "oversized"])
def test_dripping_request(host: Host, size: int) -> None:
    """A byte each 20 ms; the oversized request's payload is discarded as it comes."""
    private = host.start("--request-timeout", "0.4")
    start = time.monotonic()
    conversation = private.connect()
    raw = frame(FRAME_JSON, b" " * size)
    at = 0
    while not readable(conversation, 0.02) and time.monotonic() - start < 0.4 + LATE:
        conversation.send_raw(raw[at : at + 1], tolerate=True)
        at += 1
    conversation.closed_silently(0.1)
    expect_at(0.4, time.monotonic() - start, "closed")


@case("CONV-IDLE/others", needs="server")
def test_others_are_served_meanwhile(host: Host) -> None:
    """More connections that wait than there are work slots."""
    waiting = [host.connect() for _ in range(80)]
    for index, conversation in enumerate(waiting):
        conversation.send_raw(PING[: index % 8])
    host.ping(within=1.5)
    expect_equal(exit_code(host.run("true", within=1.5)), 0, "exit code")
    for conversation in waiting:
        conversation.close()


# ---- CONV-STALL


def expect_given_up(host: Host, conversation: Conversation, start: float, limit: float) -> None:
    """An upload that began to stall at `start`: closed in time, nothing done, nothing left."""
    answer = conversation.answer(limit + 2 * LATE)
    expect_at(limit, time.monotonic() - start, "closed")
    expect(not any(control.get("ok") for control in answer.controls), "no success", answer.controls)
    wait_for(lambda: not host.witness.temporaries(host.scratch), 0.5, "the temporary file gone")


UPLOAD = [frame(FRAME_DATA, b"ab"), frame(FRAME_DATA, b"cdef")]


@case("CONV-STALL/upload", needs="start witness")
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(UPLOAD[0], id="between-frames"),
        pytest.param(UPLOAD[0] + UPLOAD[1][:3], id="in-header"),
        pytest.param(UPLOAD[0] + UPLOAD[1][:-1], id="in-payload"),
    ],
)
def test_stalled_upload(host: Host, part: bytes) -> None:
    private = host.start("--io-timeout", "0.4", "--max-requests", "1")
    path = f"{host.scratch}/file"
    host.witness.write(path, b"old")
    conversation = private.connect()
    start = time.monotonic()
    conversation.send_json({"op": "put_file", "path": path, "size": 6})
    conversation.send_raw(part)
    expect_given_up(host, conversation, start, 0.4)
    expect_equal(host.witness.read(path), b"old", "the target's content")
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in the freed slot")


@case("CONV-STALL/upload", variant="refused", needs="start witness")
def test_stalled_upload_that_cannot_succeed(host: Host) -> None:
    """It is still read to its end, under the same timeout."""
    private = host.start("--io-timeout", "0.4", "--max-requests", "1")
    conversation = private.connect()
    start = time.monotonic()
    conversation.send_json({"op": "put_file", "path": f"{host.scratch}/nowhere/file", "size": 6})
    conversation.send_raw(UPLOAD[0])
    expect_given_up(host, conversation, start, 0.4)
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in the freed slot")


@case("CONV-STALL/slot", needs="start server witness")
def test_clock_starts_with_the_slot(host: Host) -> None:
    """An upload that waits its turn for longer than the timeout has not stalled."""
    private = host.start("--io-timeout", "0.4", "--max-requests", "1")
    first = private.connect()
    first.send_json({"op": "run", "cmd": "echo up; sleep 0.8", "shell": "raw"})
    first.recv_frame(what="the first command's output")
    path = f"{host.scratch}/file"
    conversation = private.connect()
    conversation.send_json({"op": "put_file", "path": path, "size": 6})
    expect_equal(exit_code(first.answer()), 0, "exit code")
    conversation.send_raw(b"".join(UPLOAD))
    expect_equal(conversation.answer().terminal, {"ok": True}, "response")
    expect_equal(host.witness.read(path), b"abcdef", "content")


def expect_closed_unread(conversation: Conversation, start: float, limit: float) -> None:
    """A response nobody reads is due to be given up `limit` seconds after `start`."""
    conversation.wait_gone(limit + 2 * LATE)
    expect_at(limit, time.monotonic() - start, "closed")


@case("CONV-STALL/download", needs="start witness")
def test_unread_download(host: Host) -> None:
    private = host.start("--io-timeout", "0.4", "--max-requests", "1")
    path = f"{host.scratch}/file"
    host.witness.truncate(path, 64 << 20)
    conversation = private.connect()
    start = time.monotonic()
    conversation.send_json({"op": "get_file", "path": path})
    expect_equal(conversation.recv_json().get("size"), 64 << 20, "size")
    expect_closed_unread(conversation, start, 0.4)
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in the freed slot")


@case("CONV-STALL/download", variant="no-eof", needs="start witness")
def test_given_up_download_reads_as_broken(host: Host) -> None:
    private = host.start("--io-timeout", "0.3")
    path = f"{host.scratch}/file"
    host.witness.truncate(path, 64 << 20)
    conversation = private.connect()
    conversation.send_json({"op": "get_file", "path": path})
    time.sleep(0.3 + LATE)
    kinds: list[int] = []
    with contextlib.suppress(Violation):
        while len(kinds) <= (64 << 20) // CHUNK_SIZE:
            kinds.append(conversation.recv_frame(within=2)[0])
    conversation.close()
    expect(FRAME_EOF not in kinds and len(kinds) < 512, "a part of the file and no EOF frame", f"{len(kinds)} frames")


# Both pipes full hold more than a socket takes that the agent may have filled to a quarter only.
FLOOD = "cat /dev/zero & one=$!; cat /dev/zero >&2 & :"


@case("CONV-STALL/run-rest", needs="start")
@pytest.mark.parametrize(
    ("cmd", "fields"),
    [
        pytest.param(f"{FLOOD}; sleep 0.3; kill $one $!; wait", {}, id="exit"),
        pytest.param(f"{FLOOD}; wait", {"timeout": 0.3}, id="timeout"),
    ],
)
def test_unread_rest_of_a_run(host: Host, cmd: str, fields: dict[str, float]) -> None:
    """The command ends with the connection and the pipe full, and the rest of its output is never read."""
    private = host.start("--io-timeout", "0.4", "--max-requests", "1")
    conversation = private.connect()
    start = time.monotonic()
    conversation.send_json({"op": "run", "cmd": cmd, "shell": "raw", **fields})
    expect_closed_unread(conversation, start, 0.7)
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in the freed slot")


@case("CONV-STALL/progress", needs="start witness")
def test_slow_upload(host: Host) -> None:
    private = host.start("--io-timeout", "0.6")
    path = f"{host.scratch}/file"
    conversation = private.connect()
    conversation.send_json({"op": "put_file", "path": path, "size": 2})
    for piece in [b"\x04\0\0", b"\0\x02", b"a", b"b"]:
        time.sleep(0.25)
        conversation.send_raw(piece)
    expect_equal(conversation.answer().terminal, {"ok": True}, "response")
    expect_equal(host.witness.read(path), b"ab", "content")


@case("CONV-STALL/progress", variant="download", needs="start witness")
def test_slow_download(host: Host) -> None:
    """The steps are larger than a socket's buffer, so that each lets the agent send."""
    private = host.start("--io-timeout", "0.6")
    path, size = f"{host.scratch}/file", 6 << 20
    host.witness.truncate(path, size)
    conversation = private.connect()
    conversation.send_json({"op": "get_file", "path": path})
    expect_equal(conversation.recv_json().get("size"), size, "size")
    got = 0
    for _ in range(4):
        time.sleep(0.25)
        step = got + (1 << 20)
        while got < step:
            got += len(conversation.recv_frame()[1])
    rest = conversation.answer()
    expect_equal((got + len(rest.data), rest.frames[-1][0]), (size, FRAME_EOF), "bytes and last frame")


@case("CONV-STALL/run-rest", variant="twin", needs="start")
def test_rest_of_a_run_read_in_time(host: Host) -> None:
    private = host.start("--io-timeout", "1.5")
    conversation = private.connect()
    conversation.send_json({"op": "run", "cmd": f"{FLOOD}; sleep 0.3; kill $one $!; wait", "shell": "raw"})
    time.sleep(0.7)
    expect_equal(exit_code(conversation.answer(keep=False)), 0, "exit code")


@case("CONV-STALL/run-alive", needs="start")
def test_silent_command_is_no_stall(host: Host) -> None:
    private = host.start("--io-timeout", "0.3")
    expect_equal(private.output("sleep 0.8; echo done"), b"done\n", "output")


@case("CONV-STALL/run-alive", variant="unread", needs="start")
def test_unread_live_command_is_no_stall(host: Host) -> None:
    private = host.start("--io-timeout", "0.3")
    conversation = private.connect()
    conversation.send_json({"op": "run", "cmd": "head -c 4000000 /dev/zero", "shell": "raw"})
    time.sleep(0.9)
    answer = conversation.answer()
    expect_equal((len(answer.stdout), exit_code(answer)), (4_000_000, 0), "bytes of output and exit code")


# ---- the defaults


@dataclass
class Wait:
    """A default time being waited for. `gone` asks whether the agent has given up."""

    check: str
    limit: float
    conversation: Conversation
    gone: Callable[[], bool]
    start: float
    asked: bool = False

    def over(self, host: Host) -> bool:
        """Ask, from 95 % of the time on; record the verdict once there is one."""
        passed = time.monotonic() - self.start
        if passed < EARLY * self.limit:
            return False
        gone = self.gone()
        if not gone and passed <= self.limit + 2:
            self.asked = True
            return False
        actual = f"{'closed' if gone else 'open'} after {passed:.1f} s"
        host.should(self.check, gone and self.asked, f"closed after {self.limit:g} s, at most 2 s late", actual)
        self.conversation.close()
        return True


@case(
    "CONV-STALL/upload-default",
    "CONV-STALL/download-default",
    "CONV-IDLE/default",
    "CONV-LINGER/default",
    needs="start witness",
    deadline=90,
    transports=("unix",),
    long=True,
)
def test_default_times(host: Host) -> None:
    """Each at full length, all at once. What is unread or lingers is asked by sending, the others are just watched."""
    private = host.start()
    path = f"{host.scratch}/file"
    host.witness.truncate(path, 64 << 20)
    idle, linger, upload, download = (private.connect() for _ in range(4))
    start = time.monotonic()
    upload.send_json({"op": "put_file", "path": f"{host.scratch}/upload", "size": 6})
    upload.send_raw(UPLOAD[0])
    download.send_json({"op": "get_file", "path": path})
    linger.send_json({"op": "ping"})
    linger.recv_json()
    linger.end_of_stream()
    waits = [
        Wait("CONV-IDLE/default", 10, idle, lambda: readable(idle, 0), start),
        Wait("CONV-LINGER/default", 5, linger, linger.gone, start),
        Wait("CONV-STALL/upload-default", 60, upload, lambda: readable(upload, 0), start),
        Wait("CONV-STALL/download-default", 60, download, download.gone, start),
    ]
    while waits:
        time.sleep(0.05)
        waits = [wait for wait in waits if not wait.over(host)]
    expect_equal(host.witness.info(f"{host.scratch}/upload"), None, "the target of the upload")
