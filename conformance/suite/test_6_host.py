"""Section 6: the host functions, which no agent has a part in. Their peers here are those of guestwire.peers."""

from __future__ import annotations

import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from guestwire import protocol
from guestwire.cases import tables
from guestwire.drive.conversation import frame
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, about, expect, expect_equal, short
from guestwire.peers.hostile import Scene, facing, says, says_and_leaves

CAP = 16_777_216
CONTROL = 1_048_576
MIB = 1 << 20
SOON = 0.5  # seconds beyond a timeout, on a loaded machine
Call = Callable[[socket.socket], Any]


def header(kind: int, length: int) -> bytes:
    """The 5 bytes that announce a frame."""
    return struct.pack(">BI", kind, length)


def calling(name: str) -> Call:
    """A call of recv_frame or recv_json."""
    return lambda sock: getattr(protocol, name)(sock, timeout=5)


def raises(call: Call, scene: Scene, expected: type[Exception]) -> Exception:
    """The exception that the call ends with, facing the scene: it has to be of that type."""
    with facing(scene) as sock:
        try:
            result = call(sock)
        except Exception as error:
            expect(isinstance(error, expected), expected.__name__, repr(error))
            return error
    raise Violation(expected.__name__, f"returned {short(result)}")


def received(payload: bytes) -> dict[str, Any]:
    """What recv_json makes of a control payload."""
    with facing(says(frame(protocol.FRAME_JSON, payload))) as sock:
        return protocol.recv_json(sock, timeout=5)


def sends_nothing(call: Call, what: str) -> None:
    """ValueError, and the peer has received nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            call(ours)
        except ValueError:
            pass
        except Exception as error:
            raise Violation(f"ValueError for {what}", repr(error)) from None
        else:
            raise Violation(f"ValueError for {what}", "it was sent")
        theirs.setblocking(False)
        try:
            got = theirs.recv(100)
        except BlockingIOError:
            return
    raise Violation(f"nothing sent for {what}", short(got))


# ---- HOST-CAP


@case("HOST-CAP/send")
def test_send_over_the_cap() -> None:
    payload = bytes(CAP + 1)
    sends_nothing(lambda sock: protocol.send_frame(sock, protocol.FRAME_DATA, payload, timeout=5), "16,777,217 bytes")


@case("HOST-CAP/send", "HOST-CAP/receive", variant="at-cap")
def test_frame_at_the_cap() -> None:
    """16,777,216 bytes pass, both ways."""
    payload = bytes(range(256)) * (CAP // 256)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=protocol.send_frame, args=(ours, protocol.FRAME_DATA, payload))
        sender.start()
        kind, got = protocol.recv_frame(theirs, timeout=10)
        sender.join()
    expect(kind == protocol.FRAME_DATA and got == payload, "the frame as it was sent", f"type {kind}, {len(got)} bytes")


@case("HOST-CAP/receive")
@pytest.mark.parametrize("length", [CAP + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_receive_over_the_cap(length: int) -> None:
    """At the header: no byte of the payload ever comes."""
    start = time.monotonic()
    for kind, name in itertools.product((protocol.FRAME_JSON, protocol.FRAME_DATA, 200), ("recv_frame", "recv_json")):
        raises(calling(name), says(header(kind, length)), ValueError)
    expect(time.monotonic() - start < 2, "ValueError at once", f"{time.monotonic() - start:.1f} s")


# ---- HOST-TRUNC


@case("HOST-TRUNC")
def test_end_of_stream_inside_a_frame() -> None:
    """After every byte of the header, and within the payload; for recv_json too."""
    whole = frame(protocol.FRAME_JSON, b'{"ok":true,"op":"pong"}')
    for length, name in itertools.product((1, 2, 3, 4, 5, 6, 20, len(whole) - 1), ("recv_frame", "recv_json")):
        with about(f"{name}, {length} of {len(whole)} bytes"):
            raises(calling(name), says_and_leaves(whole[:length]), ConnectionError)
    large = header(protocol.FRAME_DATA, CAP) + bytes(100_000)
    raises(calling("recv_frame"), says_and_leaves(large), ConnectionError)
    raises(lambda sock: protocol.recv_exact(sock, 10, timeout=5), says_and_leaves(b"123456789"), ConnectionError)
    with facing(says_and_leaves(whole)) as sock:
        expect_equal(protocol.recv_json(sock, timeout=5), {"ok": True, "op": "pong"}, "the frame when it is whole")


@case("HOST-TRUNC", variant="reset")
def test_reset_inside_a_frame() -> None:
    """A peer that closes with the host's bytes unread resets the connection."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"unread")
        theirs.sendall(header(protocol.FRAME_DATA, 10) + b"12345")
        theirs.close()
        try:
            protocol.recv_frame(ours, timeout=5)
        except ConnectionError:
            return
    raise Violation("ConnectionError", "a frame")


# ---- HOST-JSON


@case("HOST-JSON/type")
def test_another_type() -> None:
    """Judged at the header, also where the payload would be good, and where it never comes."""
    for kind in (0, 2, 3, 4, 5, 6, 123, 255):
        for raw in (frame(kind, b'{"ok":true}'), header(kind, 10_000)):
            with about(f"type {kind}"):
                raises(calling("recv_json"), says(raw), ValueError)


@case("HOST-JSON/accept")
@pytest.mark.parametrize("name", tables("json_accept"))
def test_received(name: str) -> None:
    """What an agent has to accept, a host takes too, and what it takes it can send again."""
    for entry, payload in tables("json_accept")[name].items():
        with about(entry):
            value = received(payload)
            expect_equal(value.get("op"), "ping", "the member op")
            if not name.startswith("JSON-PROFILE/numbers") and "Infinity" not in json.dumps(value):
                ours, theirs = socket.socketpair()
                with ours, theirs:
                    protocol.send_json(ours, value, timeout=5)
                    expect_equal(protocol.recv_json(theirs, timeout=5), value, "the object sent again")


@case("HOST-JSON/reject")
@pytest.mark.parametrize("file", ["json_malformed", "json_too_large"])
def test_not_received(file: str) -> None:
    for name, entries in tables(file).items():
        for entry, payload in entries.items():
            with about(f"{name}, {entry}"):
                raises(calling("recv_json"), says(frame(1, payload)), ValueError)


@case("HOST-JSON/limits")
def test_received_limits() -> None:
    """Size is judged at the header; the rest before parsing, so that no nesting ends in RecursionError."""
    padding = b" " * (CONTROL - len(b'{"op":"ping"}'))
    expect_equal(received(b'{"op":"ping"}' + padding), {"op": "ping"}, "an object of 1,048,576 bytes")
    raises(calling("recv_json"), says(header(protocol.FRAME_JSON, CONTROL + 1)), ValueError)
    for opening in (b"[", b'{"a":', b'[{"a":'):
        times = (CONTROL - 20) // len(opening)
        raises(calling("recv_json"), says(frame(protocol.FRAME_JSON, b'{"a":' + opening * times)), ValueError)
        raises(calling("recv_json"), says(frame(protocol.FRAME_JSON, b'{"a":' + opening * 17)), ValueError)


GOOD: dict[str, Any] = {
    "empty": {},
    "kinds": {"a": [None, True, 0, -1, 1.5, "b", [], {}]},
    "unicode": {"é😀\u2028": '"\\\x01\x7f\ufffe'},
    "integers": {"a": 2**53 - 1, "b": -(2**53) + 1, "c": 10**30},
    "depth": {"a": [[[[[[[[[[[[[[["b"]]]]]]]]]]]]]]]},
    "values": {"a": [0] * 4_094},
    "names": {str(number): 0 for number in range(4_095)},
    "size": {"a": "b" * (CONTROL - len('{"a":""}'))},
    "size-utf-8": {"a": "é" * ((CONTROL - len('{"a":""}')) // 2)},
}


@case("HOST-JSON/accept", variant="sent")
@pytest.mark.parametrize("name", GOOD)
def test_sent(name: str) -> None:
    """Up to the limits; what arrives is the same object."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=protocol.send_json, args=(ours, GOOD[name]))
        sender.start()
        expect_equal(protocol.recv_json(theirs, timeout=10), GOOD[name], "the object received")
        sender.join()


def circle() -> dict[str, Any]:
    """An object that holds itself."""
    value: dict[str, Any] = {}
    value["a"] = [value]
    return value


def nested(levels: int) -> dict[str, Any]:
    """An object of that many levels."""
    value: Any = []
    for _ in range(levels - 2):
        value = [value]
    return {"a": value}


BAD: dict[str, Any] = {
    "array": [],
    "string": "ping",
    "number": 1,
    "null": None,
    "nan": {"a": float("nan")},
    "infinity": {"a": [float("inf")]},
    "minus-infinity": {"a": {"b": -float("inf")}},
    "nul": {"a": "b\0"},
    "nul-name": {"a": {"b\0": 0}},
    "nul-nested": {"a": [["\0"]]},
    "surrogate": {"a": "\ud800"},
    "surrogate-name": {"\udfff": 0},
    "surrogate-from-bytes": {"path": b"/\xff".decode("utf-8", "surrogateescape")},
    "surrogates-apart": {"a": "\ud83d\ude00"},
    "duplicate": {"1": 0, 1: 0},
    "depth": nested(17),
    "depth-far": nested(100_000),
    "circle": circle(),
    "values": {"a": [0] * 4_095},
    "size": {"a": "b" * (CONTROL - len('{"a":""}') + 1)},
    "bytes": {"a": b"b"},
    "set": {"a": {1}},
    "object": {"a": object()},
    "tuple-name": {("a",): 0},
}


@case("HOST-JSON/send")
@pytest.mark.parametrize("name", BAD)
def test_not_sent(name: str) -> None:
    sends_nothing(lambda sock: protocol.send_json(sock, BAD[name], timeout=5), name)
