"""Section 3: how a conversation ends. Lingering, and hosts that shut down their sending side."""

from __future__ import annotations

import time
from typing import Any

import pytest

from guestwire.drive.conversation import Answer, frame
from guestwire.drive.host import Host, exit_code, file_of, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.protocol import CHUNK_SIZE, FRAME_DATA, FRAME_EOF, FRAME_JSON

LATE = 2.0  # seconds that a loaded machine may add to a timeout


def answer_to(host: Host, request: dict[str, Any], data: bytes = b"") -> Answer:
    """Send a request (and an upload's data), shut down the sending side, read the response."""
    conversation = host.connect()
    conversation.send_json(request)
    if data:
        conversation.send_frame(FRAME_DATA, data)
    conversation.half_close()
    return conversation.answer()


# ---- CONV-LINGER


@case("CONV-LINGER/late-eof", needs="witness")
def test_eof_after_the_end_of_the_response(host: Host) -> None:
    """The latest moment at which a host may send it; an agent that has closed by then breaks the connection."""
    conversation = host.connect()
    conversation.send_json({"op": "put_file", "path": f"{host.scratch}/file", "size": 3})
    conversation.send_frame(FRAME_DATA, b"abc")
    expect_equal(conversation.recv_json(), {"ok": True}, "response")
    conversation.end_of_stream()
    for _ in range(3):
        time.sleep(0.02)
        conversation.send_frame(FRAME_EOF)
    expect_equal(conversation.answer().ended, "eof", "end of the stream")


@case("CONV-LINGER/late-eof", variant="race", needs="server witness")
def test_eof_racing_the_response(host: Host) -> None:
    path = f"{host.scratch}/file"
    for turn in range(200):
        conversation = host.connect()
        conversation.send_json({"op": "put_file", "path": path, "size": 3})
        conversation.send_frame(FRAME_DATA, b"abc")
        if turn % 2:
            expect_equal(conversation.recv_json(), {"ok": True}, f"response of put {turn}")
            conversation.send_frame(FRAME_EOF)
            expect_equal(conversation.answer().ended, "eof", f"end of put {turn}")
        else:
            conversation.send_frame(FRAME_EOF)
            answer = conversation.answer()
            expect_equal((answer.terminal, answer.ended), ({"ok": True}, "eof"), f"response and end of put {turn}")


@case("CONV-LINGER/flood", needs="destructive")
@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"op": "ping"}, id="ping"),
        pytest.param({"op": "nosuch"}, id="error"),
        pytest.param({"op": "put_file", "path": "/nowhere", "size": -1}, id="bad-size"),
        pytest.param({"op": "get_file", "path": "/nowhere"}, id="get"),
        pytest.param({"op": "run", "cmd": "echo one", "shell": "raw"}, id="run"),
    ],
)
def test_host_that_goes_on_sending(host: Host, request_: dict[str, Any]) -> None:
    """4 MiB before the response is read, 4 MiB more after its end."""
    conversation = host.connect()
    conversation.send_json(request_)
    chunk = frame(FRAME_DATA, bytes(CHUNK_SIZE)) * 16
    for _ in range(4):
        conversation.send_raw(chunk)
    kind = 0
    while kind != FRAME_JSON:
        kind, _ = conversation.recv_frame()
    conversation.end_of_stream()
    for _ in range(4):
        conversation.send_raw(chunk)
    expect_equal(conversation.answer().ended, "eof", "end of the stream")


@case("CONV-LINGER/timeout", needs="start")
def test_lingering_ends(host: Host) -> None:
    """Both of a host that is silent and of one that goes on sending."""
    limit = 0.4
    private = host.start("--linger-timeout", str(limit))
    silent, dripping = private.connect(), private.connect()
    start = time.monotonic()
    for conversation in (silent, dripping):
        conversation.send_json({"op": "ping"})
    for conversation in (silent, dripping):
        conversation.recv_json()
        conversation.end_of_stream()
    after = time.monotonic()
    while time.monotonic() < start + limit * 0.95:
        gone = dripping.gone()
        passed = time.monotonic() - start
        expect(not gone or passed >= limit, f"open for {limit:g} s", f"closed after {passed:.3f} s")
        time.sleep(0.02)
    for conversation in (silent, dripping):
        conversation.wait_gone(after + limit + LATE - time.monotonic())


@case("CONV-LINGER/end", needs="server start witness")
def test_lingering_ends_with_the_host(host: Host) -> None:
    private = host.start("--linger-timeout", "30")
    private.ping()
    conversation = private.connect()
    conversation.send_json({"op": "ping"})
    conversation.recv_json()
    conversation.end_of_stream()
    held = host.witness.counts(private.pid)[0]
    conversation.close()
    wait_for(lambda: host.witness.counts(private.pid)[0] < held, 2, "the lingering connection's descriptor closed")


@case("CONV-LINGER/no-slot", needs="server start witness")
def test_lingering_holds_no_slot(host: Host) -> None:
    private = host.start("--max-requests", "1", "--linger-timeout", "30")
    path = f"{host.scratch}/file"
    requests: list[tuple[dict[str, Any], bytes]] = [
        ({"op": "put_file", "path": path, "size": 3}, b"abc"),
        ({"op": "get_file", "path": path}, b""),
        ({"op": "run", "cmd": "true", "shell": "raw"}, b""),
    ]
    for request, data in requests:
        conversation = private.connect()
        conversation.send_json(request)
        if data:
            conversation.send_frame(FRAME_DATA, data)
        last = FRAME_EOF if request["op"] == "get_file" else FRAME_JSON
        kind = 0
        while kind != last:
            kind, _ = conversation.recv_frame()
        conversation.end_of_stream()
        expect_equal(exit_code(private.run("true", within=2)), 0, f"exit code while a {request['op']} lingers")
        conversation.close()


# ---- CONV-HALFCLOSE


@case("CONV-HALFCLOSE/run", variant="output", needs="half-close")
def test_half_close_run_with_output(host: Host) -> None:
    answer = answer_to(host, {"op": "run", "cmd": "head -c 4000000 /dev/zero; sleep 0.2; printf x", "shell": "raw"})
    expect_equal((len(answer.stdout), exit_code(answer)), (4_000_001, 0), "bytes of output and exit code")


@case("CONV-HALFCLOSE/run", variant="later", needs="half-close")
def test_half_close_while_the_command_runs(host: Host) -> None:
    conversation = host.connect()
    conversation.send_json({"op": "run", "cmd": "echo up; sleep 0.3; printf late", "shell": "raw"})
    conversation.recv_frame(what="the command's first output")
    conversation.half_close()
    answer = conversation.answer()
    expect_equal((answer.stdout, exit_code(answer)), (b"late", 0), "output and exit code")


@case("CONV-HALFCLOSE/run", variant="queued", needs="server start half-close")
def test_half_close_before_its_turn(host: Host) -> None:
    private = host.start("--max-requests", "1")
    first = private.connect()
    first.send_json({"op": "run", "cmd": "echo up; sleep 0.3", "shell": "raw"})
    first.recv_frame(what="the first command's output")
    answer = answer_to(private, {"op": "run", "cmd": "printf second", "shell": "raw"})
    expect_equal((answer.stdout, exit_code(answer)), (b"second", 0), "output and exit code")
    expect_equal(exit_code(first.answer()), 0, "exit code of the first")


@case("CONV-HALFCLOSE/get", needs="witness half-close")
def test_half_close_get(host: Host) -> None:
    content = bytes(range(256)) * 16_384
    host.witness.write(f"{host.scratch}/file", content)
    _, got = file_of(answer_to(host, {"op": "get_file", "path": f"{host.scratch}/file"}))
    expect(got == content, f"the file's {len(content)} bytes", f"{len(got)} bytes or others")


@case("CONV-HALFCLOSE/put", needs="witness half-close")
def test_half_close_put(host: Host) -> None:
    """Also without an EOF frame: `size` says where the upload ends."""
    path = f"{host.scratch}/file"
    expect_equal(
        answer_to(host, {"op": "put_file", "path": path, "size": 3}, b"abc").terminal, {"ok": True}, "response"
    )
    expect_equal(host.witness.read(path), b"abc", "content")
