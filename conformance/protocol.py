"""The host's end of the guest control protocol, version 1 (contract, section 6).

This file stands alone: existing hosts import it, and the suite drives every agent through it. Names and signatures never
change; the keyword `timeout` (seconds for the whole call, None: as the socket is set) is the one addition.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from typing import Any

PROTOCOL_VERSION = 1
SMOLVM_AGENT_PORT = 1024
CHUNK_SIZE = 65_536

FRAME_JSON = 1
FRAME_STDOUT = 2
FRAME_STDERR = 3
FRAME_DATA = 4
FRAME_EOF = 5

_HEADER = struct.Struct(">BI")
_PAYLOAD_CAP = 16_777_216  # FRAME-CAP
_CONTROL_CAP = 1_048_576  # JSON-LIMITS
_DEPTH_CAP = 16
_VALUES_CAP = 4_096


class EndOfStream(ConnectionError):
    """The peer ended the stream; `partial` says whether that was inside a frame (HOST-TRUNC)."""

    def __init__(self, message: str, partial: bool) -> None:
        super().__init__(message)
        self.partial = partial


class _Clock:
    """Spreads one timeout over the calls of one operation, and puts the socket back as it was."""

    def __init__(self, sock: socket.socket, timeout: float | None) -> None:
        self._sock = sock
        self._end = None if timeout is None else time.monotonic() + timeout

    def __enter__(self) -> _Clock:
        self._before = self._sock.gettimeout() if self._end is not None else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._end is not None:
            self._sock.settimeout(self._before)

    def tick(self) -> None:
        """Arm the socket with what is left; TimeoutError when nothing is."""
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)


def recv_exact(sock: socket.socket, n: int, *, timeout: float | None = None) -> bytes:
    """Read exactly n bytes. Raises ConnectionError at end of stream before that; memory grows with what arrives, up to n."""
    with _Clock(sock, timeout) as clock:
        return _recv_exact(sock, n, clock, inside=False)


def _recv_exact(sock: socket.socket, n: int, clock: _Clock, inside: bool) -> bytes:
    data = bytearray()
    while len(data) < n:
        clock.tick()
        part = sock.recv(min(n - len(data), CHUNK_SIZE))
        if not part:
            partial = inside or len(data) > 0
            where = "inside a frame" if partial else "before a frame"
            raise EndOfStream(f"end of stream {where}: {len(data)} of {n} bytes", partial)
        if len(part) == n:
            return part
        data += part  # in one place: a list of crumbs would cost many times their bytes
    return bytes(data)


def send_frame(sock: socket.socket, type: int, payload: bytes = b"", *, timeout: float | None = None) -> None:
    """Send one frame. Raises ValueError above FRAME-CAP, before sending anything (HOST-CAP)."""
    if len(payload) > _PAYLOAD_CAP:
        raise ValueError(f"frame payload of {len(payload)} bytes: at most {_PAYLOAD_CAP}")
    with _Clock(sock, timeout) as clock:
        view = memoryview(_HEADER.pack(type, len(payload)) + payload)
        while view:
            clock.tick()
            view = view[sock.send(view) :]


def _recv_header(sock: socket.socket, clock: _Clock) -> tuple[int, int]:
    type_, length = _HEADER.unpack(_recv_exact(sock, _HEADER.size, clock, inside=False))
    if length > _PAYLOAD_CAP:
        raise ValueError(f"frame announces {length} bytes: at most {_PAYLOAD_CAP}")
    return type_, length


def recv_frame(sock: socket.socket, *, timeout: float | None = None) -> tuple[int, bytes]:
    """Read one frame: (type, payload). Raises ValueError above FRAME-CAP before allocating, ConnectionError at its truncation."""
    with _Clock(sock, timeout) as clock:
        type_, length = _recv_header(sock, clock)
        return type_, _recv_exact(sock, length, clock, inside=True)


def send_json(sock: socket.socket, obj: dict[str, Any], *, timeout: float | None = None) -> None:
    """Send one control frame. Raises ValueError, sending nothing, for an object that section 2 forbids (HOST-JSON)."""
    try:
        text = json.dumps(obj, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not a control object: {error}") from None
    payload = text.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    parse_control(payload)
    send_frame(sock, FRAME_JSON, payload, timeout=timeout)


def recv_json(sock: socket.socket, *, timeout: float | None = None) -> dict[str, Any]:
    """Read one control frame. Raises ValueError for another type or a payload outside section 2 (HOST-JSON)."""
    with _Clock(sock, timeout) as clock:
        type_, length = _recv_header(sock, clock)
        if type_ != FRAME_JSON:
            raise ValueError(f"frame type {type_}: a control frame is type {FRAME_JSON}")
        if length > _CONTROL_CAP:
            raise ValueError(f"control payload of {length} bytes: at most {_CONTROL_CAP}")
        return parse_control(_recv_exact(sock, length, clock, inside=True))


_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<punctuation>[{}\[\]:,])|(?P<string>\")"
    r"|(?P<scalar>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null))"
)
_PIECE = re.compile(r'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))?')
_SPACE = re.compile(r"[ \t\r\n]*")


def _string_end(text: str, at: int) -> int:
    """Behind the string whose first character is at `at`. In pieces: one pattern for a whole string takes 160 times its size."""
    while (end := _PIECE.match(text, at).end()) > at:  # type: ignore[union-attr]
        at = end
    if not text.startswith('"', at):
        raise ValueError(f"control payload: a string is broken at character {at}")
    return at + 1


def _check_limits(text: str) -> None:
    """JSON-LIMITS before any parsing: brackets and values are counted in one pass over the tokens."""
    depth = values = at = 0
    previous = ""
    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        mark = token["punctuation"]
        if mark is None:
            values += 1
            if token["string"]:
                at = _string_end(text, at)
        elif mark in "{[":
            values += 1
            depth += 1
        elif mark in "}]":
            depth -= 1
        elif mark == ":" and previous == "string":
            values -= 1  # what stood before the colon was a name
        if depth > _DEPTH_CAP or values > _VALUES_CAP + 1:  # + 1: the last string may yet turn out to be a name
            raise ValueError(f"control object over {_DEPTH_CAP} levels or {_VALUES_CAP} values")
        previous = token.lastgroup or ""
    if _SPACE.fullmatch(text, at) is None:
        raise ValueError(f"control payload: no JSON token at character {at}")
    if values > _VALUES_CAP:
        raise ValueError(f"control object of {values} values: at most {_VALUES_CAP}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("control object with a duplicate name")
    _check_strings(members)
    _check_strings(members.values())
    return members


def _check_strings(values: Any) -> None:
    """No U+0000 and no lone surrogate in names and values (JSON-NUL, JSON-PROFILE)."""
    for value in values:
        if isinstance(value, str):
            if "\0" in value:
                raise ValueError("control object with U+0000 in a string")
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("control object with a lone surrogate") from None
        elif isinstance(value, list):
            _check_strings(value)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 4_000 else float(digits)  # int() refuses more; numbers may have any length


def parse_control(payload: bytes) -> dict[str, Any]:
    """The object of a control payload. Raises ValueError for anything that section 2 forbids."""
    if len(payload) > _CONTROL_CAP:
        raise ValueError(f"control payload of {len(payload)} bytes: at most {_CONTROL_CAP}")
    text = payload.decode("utf-8")  # UnicodeDecodeError is a ValueError
    if _TOKEN.match(text) is None or text[_SPACE.match(text).end()] != "{":  # type: ignore[union-attr]
        raise ValueError("control payload is not a JSON object")
    _check_limits(text)
    value: dict[str, Any] = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    return value
