"""Section 3: one request, one response; how the first frame, the version and the operation are judged."""

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
from guestwire.protocol import FRAME_DATA, FRAME_EOF, FRAME_JSON, FRAME_STDERR, FRAME_STDOUT

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
@pytest.mark.parametrize("kind", KINDS)
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


# ---- CONV-FIRST


@case("CONV-FIRST/malformed", wide=True)
@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        pytest.param(FRAME_STDOUT, PING, id="stdout"),
        pytest.param(FRAME_STDERR, PING, id="stderr"),
        pytest.param(FRAME_DATA, PING, id="data"),
        pytest.param(FRAME_EOF, PING, id="eof"),
        pytest.param(FRAME_EOF, b"", id="eof-empty"),
        pytest.param(0, PING, id="type-0"),
        pytest.param(6, PING, id="type-6"),
        pytest.param(255, PING, id="type-255"),
        pytest.param(FRAME_JSON, b"", id="empty"),
        pytest.param(FRAME_JSON, b"ping", id="word"),
        pytest.param(FRAME_JSON, b"[]", id="array"),
        pytest.param(FRAME_JSON, PING[:-1], id="cut"),
        pytest.param(FRAME_JSON, b"\x00" * 16, id="zeros"),
    ],
)
def test_first_frame_that_is_no_request(host: Host, kind: int, payload: bytes, chunking: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(frame(kind, payload), chunking)
    host.error(conversation.answer(), "malformed")


def judged_when_whole(host: Host, kind: int, payload: bytes, code: str) -> None:
    """Every byte is taken, no word comes before the last one, then the error does."""
    raw = frame(kind, payload)
    conversation = host.connect()
    conversation.send_raw(raw[:-1])
    conversation.silence(0.1)
    conversation.send_raw(raw[-1:])
    host.error(conversation.answer(), code)


@case("CONV-FIRST/discarded")
@pytest.mark.parametrize("size", [MIB + 1, 16 * MIB], ids=["over-1m", "cap"])
def test_oversized_request_is_read_whole(host: Host, size: int) -> None:
    judged_when_whole(host, FRAME_JSON, PING.ljust(size), "too_large")


@case("CONV-FIRST/discarded", variant="twin")
def test_largest_request_is_served(host: Host) -> None:
    conversation = host.connect()
    conversation.send_raw(frame(FRAME_JSON, PING.ljust(MIB)))
    expect_response(host, "ping", conversation.answer())


@case("CONV-FIRST/order")
@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        pytest.param(FRAME_DATA, PING.ljust(MIB + 1), "malformed", id="type-size"),
        pytest.param(99, b"x" * 16 * MIB, "malformed", id="type-size-content"),
        pytest.param(FRAME_JSON, b"x" * (MIB + 1), "too_large", id="size-content"),
        pytest.param(FRAME_JSON, b"[" * (MIB + 1), "too_large", id="size-depth"),
        pytest.param(FRAME_JSON, b"x" * MIB, "malformed", id="content"),
    ],
)
def test_type_before_size_before_content(host: Host, kind: int, payload: bytes, code: str) -> None:
    judged_when_whole(host, kind, payload, code)


CUTS = [
    pytest.param(b"", id="nothing"),
    pytest.param(frame(FRAME_JSON, PING)[:1], id="1-byte"),
    pytest.param(frame(FRAME_JSON, PING)[:4], id="4-bytes"),
    pytest.param(frame(FRAME_JSON, PING)[:5], id="header"),
    pytest.param(frame(FRAME_JSON, PING)[:-1], id="payload"),
    pytest.param(frame(FRAME_JSON, b"[" + PING)[:-1], id="bad-payload"),
    pytest.param(frame(FRAME_DATA, PING)[:-1], id="bad-type"),
    pytest.param(frame(FRAME_JSON, PING.ljust(MIB + 1))[:-1], id="oversized"),
]


@case("CONV-FIRST/silent", needs="half-close")
@pytest.mark.parametrize("part", CUTS)
def test_end_of_stream_inside_the_first_frame(host: Host, part: bytes) -> None:
    conversation = host.connect()
    conversation.send_raw(part)
    conversation.half_close()
    conversation.closed_silently(PROMPT)


@case("CONV-FIRST/silent", variant="twin", needs="half-close")
def test_end_of_stream_behind_a_whole_first_frame(host: Host) -> None:
    """An empty payload makes a whole frame of the header, and that is judged."""
    conversation = host.connect()
    conversation.send_raw(frame(FRAME_JSON, b""))
    conversation.half_close()
    host.error(conversation.answer(), "malformed")


# ---- CONV-VERSION


@case("CONV-VERSION/served", wide=True)
@pytest.mark.parametrize("v", ["", '"v":null,', '"v":1,'], ids=["absent", "null", "1"])
def test_version_served(host: Host, v: str, chunking: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(frame(FRAME_JSON, f'{{{v}"op":"ping"}}'.encode()), chunking)
    expect_response(host, "ping", conversation.answer())


@case("CONV-VERSION/refused", needs="witness", wide=True)
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


@case("CONV-VERSION/before-op")
@pytest.mark.parametrize(
    "request_",
    [{"v": 2}, {"v": 2, "op": "nosuch"}, {"op": 7, "v": "1"}, {"cmd": "", "op": "run", "v": 0}],
    ids=["no-op", "unknown-op", "bad-op", "bad-field"],
)
def test_version_before_operation(host: Host, request_: dict[str, Any]) -> None:
    host.error(host.ask(request_), "unsupported_version", "version")


# ---- CONV-OP


@case("CONV-OP/unknown", wide=True)
@pytest.mark.parametrize(
    "op",
    ["", '"op":null', '"op":1', '"op":true', '"op":["ping"]', '"op":{"ping":1}', '"op":""', '"op":"Ping"', '"op":"pong"',
     '"op":"ping "', '"op":"pingu"', '"op":"pin"', '"op":"exit"', '"OP":"ping"'],
    ids=["absent", "null", "number", "true", "array", "object", "empty", "case", "pong", "blank", "longer", "shorter",
         "exit", "name-case"],
)  # fmt: skip
def test_unknown_operation(host: Host, op: str, chunking: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(frame(FRAME_JSON, f"{{{op}}}".encode()), chunking)
    host.error(conversation.answer(), "unknown_op", "unknown op")


@case("CONV-OP/unknown", variant="twin")
def test_operation_spelt_with_escapes(host: Host) -> None:
    conversation = host.connect()
    conversation.send_raw(frame(FRAME_JSON, rb'{"\u006fp":"p\u0069ng"}'))
    expect_response(host, "ping", conversation.answer())


@case("CONV-OP/before-fields")
@pytest.mark.parametrize("op", ["nosuch", None, 3], ids=["unknown", "null", "number"])
def test_operation_before_fields(host: Host, op: object) -> None:
    bad = {"cmd": 1, "shell": 2, "timeout": "x", "env": 3, "path": 4, "name": 5, "mode": -1, "size": -1}
    host.error(host.ask({**bad, "op": op}), "unknown_op", "unknown op")


GOOD_FIELDS: dict[str, dict[str, Any]] = {
    "run": {"cmd": "true", "shell": "raw", "timeout": 5, "env": {}},
    "put_file": {"path": "/nowhere/file", "name": "name", "mode": 0, "size": 2},
}
BAD_FIELDS: dict[str, dict[str, Any]] = {
    "run": {"cmd": "", "shell": "bash", "timeout": -1, "env": []},
    "put_file": {"path": "", "name": 5, "mode": 0o10000, "size": -1},
}


@case("CONV-OP/field-order")
@pytest.mark.parametrize(
    ("op", "first"),
    [(op, name) for op, fields in BAD_FIELDS.items() for name in fields],
    ids=[f"{op.partition('_')[0]}-{name}" for op, fields in BAD_FIELDS.items() for name in fields],
)
def test_first_bad_field_is_named(host: Host, op: str, first: str) -> None:
    """From `first` on every field is bad, and they stand in the request from last to first."""
    names = list(BAD_FIELDS[op])
    at = names.index(first)
    fields = {name: (BAD_FIELDS if i >= at else GOOD_FIELDS)[op][name] for i, name in enumerate(names)}
    host.error(host.ask({**dict(reversed(fields.items())), "op": op}), "invalid_argument", first)


@case("CONV-OP/field-order", variant="upload")
@pytest.mark.parametrize("first", ["path", "name", "mode"])
def test_first_bad_field_of_a_whole_upload_is_named(host: Host, first: str) -> None:
    """The same where `size` is good: answered once the upload has been read (PUT-DRAIN)."""
    fields = dict(GOOD_FIELDS["put_file"])
    for name in ["path", "name", "mode"][["path", "name", "mode"].index(first) :]:
        fields[name] = BAD_FIELDS["put_file"][name]
    conversation = host.connect()
    conversation.send_json({**dict(reversed(fields.items())), "op": "put_file"})
    conversation.silence(0.05)
    conversation.send_frame(FRAME_DATA, b"ab")
    host.error(conversation.answer(), "invalid_argument", first)
