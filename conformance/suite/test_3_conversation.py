"""Section 3: one request, one response, with what the witness sees of it; the rest is in cases/conversation.toml."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
from typing import Any

import pytest

from guestwire.drive.conversation import Answer, frame
from guestwire.drive.host import Host, exit_code, file_of
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.protocol import FRAME_DATA, FRAME_EOF, FRAME_JSON

MIB = 1_048_576
PING = b'{"op":"ping"}'
KINDS = ("ping", "run", "put", "get", "error")
PROMPT = 2.0  # seconds for what has to happen without a timeout being waited for


def control(request: dict[str, Any]) -> bytes:
    """A request's frame."""
    return frame(FRAME_JSON, json.dumps(request).encode())


def opening(host: Host, kind: str) -> bytes:
    """All that a host has to send for a response of that kind."""
    path = f"{host.scratch}/{kind}"
    if kind == "put":
        return control({"op": "put_file", "path": path, "size": 3}) + frame(FRAME_DATA, b"abc")
    if kind == "get":
        host.witness.write(path, b"content")
        return control({"op": "get_file", "path": path})
    if kind == "run":
        return control({"op": "run", "cmd": "echo one", "shell": "raw"})
    return control({"op": kind})


def expect_response(host: Host, kind: str, answer: Answer) -> None:
    """The one whole response to opening(), then end of stream."""
    if kind == "error":
        host.error(answer, "unknown_op", "unknown op")
    elif kind == "get":
        expect_equal(file_of(answer)[1], b"content", "content")
    elif kind == "run":
        expect_equal((answer.stdout, exit_code(answer)), (b"one\n", 0), "output and exit code")
    elif kind == "put":
        expect_equal((len(answer.frames), answer.terminal), (1, {"ok": True}), "the only frame")
    else:
        expect_equal((len(answer.frames), answer.terminal.get("op")), (1, "pong"), "the only frame")
    expect_equal(answer.ended, "eof", "end of the stream")


# ---- CONV-ONE


@case("CONV-ONE/single", needs="witness", wide=True)
@pytest.mark.parametrize("kind", ["put", "get"])
def test_one_response(host: Host, kind: str, chunking: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(opening(host, kind), chunking)
    expect_response(host, kind, conversation.answer())


@case("CONV-ONE/second", needs="witness", wide=True)
@pytest.mark.parametrize("kind", KINDS)
def test_second_request_is_discarded(host: Host, kind: str, chunking: str) -> None:
    trace = f"{host.scratch}/second"
    conversation = host.connect()
    second = control({"op": "run", "cmd": f"touch {trace}", "shell": "raw"})
    conversation.send_chunked(opening(host, kind) + second, chunking)
    expect_response(host, kind, conversation.answer())
    host.ping()
    expect_equal(host.witness.info(trace), None, "the second request's file")


@case("CONV-ONE/second", variant="late", needs="witness")
def test_second_request_after_the_response_is_discarded(host: Host) -> None:
    trace = f"{host.scratch}/second"
    conversation = host.connect()
    conversation.send_json({"op": "ping"})
    conversation.recv_json()
    conversation.end_of_stream()
    conversation.send_json({"op": "put_file", "path": trace, "size": 0})
    expect_equal(conversation.answer().frames, [], "frames after the response")
    expect_equal(exit_code(host.run("true")), 0, "exit code of another run")
    expect_equal(host.witness.info(trace), None, "the second request's file")


@case("CONV-ONE/descriptors", needs="witness")
@pytest.mark.parametrize("at", ["header", "payload", "data", "lingering"])
def test_descriptors_are_closed(host: Host, at: str) -> None:
    """The other end of a pipe tells: once no copy of the write end is left, it reads end of stream."""
    data = frame(FRAME_DATA, b"abc")
    request = control({"op": "put_file", "path": f"{host.scratch}/put", "size": 3})
    pieces = {"header": request[:5], "payload": request[5:], "data": data, "lingering": frame(FRAME_EOF, b"")}
    conversation = host.connect()
    read_end, write_end = os.pipe()
    try:
        for name, piece in pieces.items():
            if name == "lingering":
                expect_equal(conversation.recv_json(), {"ok": True}, "response")
                conversation.end_of_stream()
            if name == at:
                socket.send_fds(conversation.sock, [piece], [write_end] * 50)
            else:
                conversation.send_raw(piece)
        os.close(write_end)
        write_end = -1
        readable, _, _ = select.select([read_end], [], [], PROMPT)
        expect(readable, "every copy of the descriptor closed", f"some are open after {PROMPT:g} s")
        expect_equal(os.read(read_end, 1), b"", "what the pipe reads")
    finally:
        for number in (read_end, write_end):
            with contextlib.suppress(OSError):
                os.close(number)
    expect_equal(conversation.answer().frames, [], "frames after the response")


# ---- CONV-VERSION


@case("CONV-VERSION/refused", needs="witness", wide=True, twin="CONV-VERSION/served:1")
@pytest.mark.parametrize(
    "v",
    ["0", "2", "-1", "10", "1.0", "1e0", "true", '"1"', "[1]", "{}", "18446744073709551617"],
    ids=["0", "2", "minus-1", "10", "fraction", "exponent", "true", "string", "array", "object", "2-pow-64-plus-1"],
)
def test_version_refused(host: Host, v: str, chunking: str) -> None:
    trace = f"{host.scratch}/trace"
    conversation = host.connect()
    request = f'{{"v":{v},"op":"run","cmd":"touch {trace}","shell":"raw"}}'
    conversation.send_chunked(frame(FRAME_JSON, request.encode()), chunking)
    host.error(conversation.answer(), "unsupported_version", "version")
    expect_equal(host.witness.info(trace), None, "the refused request's file")
