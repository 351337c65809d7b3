"""Section 3: requests that do not come to an end, transfers that stall, and every default time once at full length."""

from __future__ import annotations

import contextlib
import time

from guestwire.drive.conversation import Conversation, frame
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.protocol import FRAME_DATA, FRAME_EOF, FRAME_JSON
from guestwire.suite.waiting import BIG, EARLY, LATE, Wait, readable, watch

PING = frame(FRAME_JSON, b'{"op":"ping"}')
UPLOAD = [frame(FRAME_DATA, b"ab"), frame(FRAME_DATA, b"cdef")]


def expect_open(ended: bool, start: float, limit: float) -> None:
    """Nothing has ended; found out later than `limit` seconds after `start`, it proves nothing."""
    expect(not ended or time.monotonic() >= start + limit, f"open for {limit:g} s", "one ended before")


def expect_ended(conversations: list[Conversation], start: float, limit: float) -> None:
    """Nothing can be read before `limit` seconds after `start`; then all end without success."""
    expect_open(readable(conversations, start + EARLY * limit), start, limit)
    for conversation in conversations:
        answer = conversation.answer(start + limit + LATE - time.monotonic())
        expect(not any(control.get("ok") for control in answer.controls), "no success", answer.controls)


def expect_gone(host: Host, conversations: list[Conversation], start: float, limit: float) -> None:
    """The same where what the agent has sent is not to be read."""
    time.sleep(max(start + EARLY * limit - time.monotonic(), 0))
    expect_open(any(c.gone() for c in conversations), start, limit)
    for conversation in conversations:
        conversation.wait_gone(start + limit + LATE + host.passing_on - time.monotonic())


# ---- CONV-IDLE


@case("CONV-IDLE/closed", needs="start", twin="CONV-IDLE/closed:twin")
def test_incomplete_request(host: Host) -> None:
    private = host.start("--request-timeout", "0.4")
    start = time.monotonic()
    waiting = [private.connect() for _ in range(4)]
    for conversation, part in zip(waiting, (0, 3, 5, len(PING) - 1), strict=True):
        conversation.send_raw(PING[:part])
    expect_open(readable(waiting, start + EARLY * 0.4), start, 0.4)
    for conversation in waiting:
        conversation.closed_silently(start + 0.4 + LATE - time.monotonic())


@case("CONV-IDLE/closed", variant="twin", needs="start witness")
def test_complete_request_outlives_the_timeout(host: Host) -> None:
    private = host.start("--request-timeout", "0.3")
    run, put = private.connect(), private.connect()
    run.send_json({"op": "run", "cmd": "sleep 0.5", "shell": "raw"})
    put.send_json({"op": "put_file", "path": f"{host.scratch}/file", "size": 3})
    expect_equal(exit_code(run.answer()), 0, "exit code")
    put.send_frame(FRAME_DATA, b"abc")
    expect_equal(put.answer().terminal, {"ok": True}, "response")


@case("CONV-IDLE/drip", needs="start", twin="CONV-IDLE/closed:twin")
def test_dripping_request(host: Host) -> None:
    """A byte each 20 ms; the larger request's payload is discarded as it comes."""
    private = host.start("--request-timeout", "0.4")
    start = time.monotonic()
    dripping = [private.connect(), private.connect()]
    for conversation, size in zip(dripping, (200, 2_000_000), strict=True):
        conversation.send_raw(frame(FRAME_JSON, bytes(size))[:5])
    while time.monotonic() < start + EARLY * 0.4:
        expect_open(readable(dripping, time.monotonic() + 0.02), start, 0.4)
        for conversation in dripping:
            conversation.send_raw(b" ", tolerate=True)
    for conversation in dripping:
        while not readable([conversation], time.monotonic() + 0.02) and time.monotonic() < start + 0.4 + LATE:
            conversation.send_raw(b" ", tolerate=True)
        conversation.closed_silently(0.1)


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


@case("CONV-STALL/upload", needs="start witness")
def test_stalled_upload(host: Host) -> None:
    """At every place where one can stall; the last one cannot succeed, and is read to its end all the same."""
    parts = [b"", UPLOAD[0], UPLOAD[0] + UPLOAD[1][:3], UPLOAD[0] + UPLOAD[1][:-1], UPLOAD[0]]
    private = host.start("--io-timeout", "0.4", "--max-requests", str(len(parts)))
    path = f"{host.scratch}/file"
    host.witness.write(path, b"old")
    start = time.monotonic()
    stalled = []
    for index, part in enumerate(parts):
        conversation = private.connect()
        missing = "" if index < len(parts) - 1 else "/nowhere/file"
        conversation.send_json({"op": "put_file", "path": path + missing, "size": 6})
        conversation.send_raw(part)
        stalled.append(conversation)
    expect_ended(stalled, start, 0.4)
    wait_for(lambda: not host.witness.temporaries(host.scratch), 0.5, "the temporary files gone")
    expect_equal(host.witness.read(path), b"old", "the target's content")
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in a freed slot")


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
    time.sleep(0.1)  # it has its slot, and no byte of the upload: an agent that counts from before gives up now
    conversation.send_raw(b"".join(UPLOAD))
    expect_equal(conversation.answer().terminal, {"ok": True}, "response")
    expect_equal(host.witness.read(path), b"abcdef", "content")


@case("CONV-STALL/download", needs="start witness")
def test_unread_download(host: Host) -> None:
    private = host.start("--io-timeout", "0.4", "--max-requests", "1")
    path = f"{host.scratch}/file"
    host.witness.truncate(path, BIG)
    conversation = private.connect()
    start = time.monotonic()
    conversation.send_json({"op": "get_file", "path": path})
    expect_equal(conversation.recv_json().get("size"), BIG, "size")
    expect_gone(host, [conversation], start, 0.4)
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in the freed slot")


@case("CONV-STALL/download", variant="no-eof", needs="start witness", transports=("unix",))
def test_given_up_download_reads_as_broken(host: Host) -> None:
    private = host.start("--io-timeout", "0.3")
    path = f"{host.scratch}/file"
    host.witness.truncate(path, BIG)
    conversation = private.connect()
    conversation.send_json({"op": "get_file", "path": path})
    time.sleep(1.0)
    kinds: list[int] = []
    with contextlib.suppress(Violation):
        while len(kinds) < 512:
            kinds.append(conversation.recv_frame(within=2)[0])
    conversation.close()
    expect(
        0 < len(kinds) < 512 and FRAME_EOF not in kinds, "some of the file, and no EOF frame", f"{len(kinds)} frames"
    )


# Both pipes full hold more than a socket takes, also one that the agent fills to a quarter before it waits.
FLOOD = "cat /dev/zero & one=$!; cat /dev/zero >&2 & two=$!"
FLOOD_AND_EXIT = f"{FLOOD}; sleep 0.3; kill $one $two; wait"


# Not over TCP: the kernel finds room there, little by little, for all that two pipes hold.
UNIX_ALL_THE_WAY = ("unix", "fd-listen", "fd-conn", "unix-ns", "via-unix", "via-hybrid")


@case("CONV-STALL/run-rest", needs="start", transports=UNIX_ALL_THE_WAY)
def test_unread_rest_of_a_run(host: Host) -> None:
    """Two commands end, by themselves and by their timeout, with pipes and connection full, and nobody reads."""
    private = host.start("--io-timeout", "0.4", "--max-requests", "2")
    start = time.monotonic()
    unread = [private.connect(), private.connect()]
    unread[0].send_json({"op": "run", "cmd": FLOOD_AND_EXIT, "shell": "raw"})
    unread[1].send_json({"op": "run", "cmd": f"{FLOOD}; wait", "shell": "raw", "timeout": 0.3})
    expect_gone(host, unread, start, 0.3 + 0.4)
    expect_equal(exit_code(private.run("true", within=2)), 0, "exit code of a run in a freed slot")


@case("CONV-STALL/run-rest", variant="twin", needs="start", transports=("unix",))
def test_rest_of_a_run_read_in_time(host: Host) -> None:
    private = host.start("--io-timeout", "1.5")
    conversation = private.connect()
    conversation.send_json({"op": "run", "cmd": FLOOD_AND_EXIT, "shell": "raw"})
    time.sleep(0.6)
    expect_equal(exit_code(conversation.answer(keep=False)), 0, "exit code")


@case("CONV-STALL/progress", needs="start witness")
def test_slow_upload(host: Host) -> None:
    private = host.start("--io-timeout", "1.5")  # a second more than a pause: a busy machine is not always on time
    path = f"{host.scratch}/file"
    conversation = private.connect()
    conversation.send_json({"op": "put_file", "path": path, "size": 2})
    for piece in [b"\x04\0\0", b"\0\x02", b"a", b"b"]:
        time.sleep(0.5)
        conversation.send_raw(piece)
    expect_equal(conversation.answer().terminal, {"ok": True}, "response")
    expect_equal(host.witness.read(path), b"ab", "content")


@case("CONV-STALL/progress", variant="download", needs="start witness", transports=("unix",))
def test_slow_download(host: Host) -> None:
    """The steps are larger than a socket's buffer, so that each lets the agent send."""
    private = host.start("--io-timeout", "1.5")  # as above
    path, size = f"{host.scratch}/file", 6 << 20
    host.witness.truncate(path, size)
    conversation = private.connect()
    conversation.send_json({"op": "get_file", "path": path})
    expect_equal(conversation.recv_json().get("size"), size, "size")
    got = 0
    for step in range(1, 5):
        time.sleep(0.5)
        while got < step << 20:
            got += len(conversation.recv_frame()[1])
    rest = conversation.answer()
    expect_equal((got + len(rest.data), rest.frames[-1][0]), (size, FRAME_EOF), "bytes and last frame")


@case("CONV-STALL/run-alive", needs="start")
def test_live_command_is_no_stall(host: Host) -> None:
    """One says nothing for longer than the timeout, the other's output is not read for longer."""
    private = host.start("--io-timeout", "0.3")
    silent, unread = private.connect(), private.connect()
    silent.send_json({"op": "run", "cmd": "sleep 0.8; echo done", "shell": "raw"})
    unread.send_json({"op": "run", "cmd": "head -c 4000000 /dev/zero", "shell": "raw"})
    answer = silent.answer()
    expect_equal((answer.stdout, exit_code(answer)), (b"done\n", 0), "the silent command's output and exit code")
    answer = unread.answer()
    expect_equal((len(answer.stdout), exit_code(answer)), (4_000_000, 0), "bytes of output and exit code")


# ---- the defaults


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
    host.witness.truncate(path, BIG)
    idle, linger, upload, download = (private.connect() for _ in range(4))
    start = time.monotonic()
    upload.send_json({"op": "put_file", "path": f"{host.scratch}/upload", "size": 6})
    upload.send_raw(UPLOAD[0])
    download.send_json({"op": "get_file", "path": path})
    linger.send_json({"op": "ping"})
    linger.recv_json()
    linger.end_of_stream()
    waits = [
        Wait(("CONV-IDLE/default",), 10, idle, lambda: readable([idle], 0), start),
        Wait(("CONV-LINGER/default",), 5, linger, linger.gone, start),
        Wait(("CONV-STALL/upload-default",), 60, upload, lambda: readable([upload], 0), start),
        Wait(("CONV-STALL/download-default",), 60, download, download.gone, start),
    ]
    watch(host, waits)
    expect_equal(host.witness.info(f"{host.scratch}/upload"), None, "the target of the upload")
