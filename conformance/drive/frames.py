"""One direction of a connection cut into frames as its bytes come, with times, in bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from guestwire import protocol

NAMES = {
    protocol.FRAME_JSON: "JSON",
    protocol.FRAME_STDOUT: "STDOUT",
    protocol.FRAME_STDERR: "STDERR",
    protocol.FRAME_DATA: "DATA",
    protocol.FRAME_EOF: "EOF",
}
STREAMS = (protocol.FRAME_STDOUT, protocol.FRAME_STDERR, protocol.FRAME_DATA)
HEADER = 5
HASHED = 64 << 20  # bytes of payload of one direction that are hashed, the first ones: gigabytes would take seconds
KEPT = 1 << 20  # bytes of payload kept of one direction; of the rest only length and hash


def name_of(kind: int) -> str:
    """A frame type as a person says it."""
    return NAMES.get(kind, f"type {kind}")


@dataclass
class Record:
    """A frame, or several of one stream of which no payload was kept. Times are seconds since the case began."""

    at: float  # of the header's first byte
    until: float  # of the last byte so far
    kind: int
    length: int  # as the header says; the sum for several frames
    got: int = 0  # bytes of the payload that came
    payload: bytearray = field(default_factory=bytearray)  # what was kept of it
    frames: int = 1

    @property
    def whole(self) -> bool:
        """Whether the payload came to its end."""
        return self.got == self.length

    @property
    def cut(self) -> bool:
        """Whether some of the payload was not kept."""
        return len(self.payload) < self.got


class Frames:
    """Fed with bytes, gives records. `rest` is a header that never became whole, begun at `rest_since`. `lengths` are of all
    payload bytes of each frame type, `hashes` (SHA-256) of the first HASHED that came."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.rest = b""
        self.hashes: dict[int, hashlib._Hash] = {}
        self.lengths: dict[int, int] = {}
        self.hashed = 0
        self._room = KEPT
        self._missing = 0
        self.rest_since = 0.0

    def feed(self, at: float, data: bytes | memoryview) -> None:
        """The next bytes of the direction, in pieces of any size."""
        if self.hashed >= HASHED and self._feed_quickly(at, data):
            return
        view = memoryview(data)
        while view:
            if self._missing:
                part, view = view[: self._missing], view[self._missing :]
                self._payload(at, part)
                continue
            if not self.rest:
                self.rest_since = at
            wanted = HEADER - len(self.rest)
            self.rest, view = self.rest + bytes(view[:wanted]), view[wanted:]
            if len(self.rest) == HEADER:
                self._begin(at, self.rest[0], int.from_bytes(self.rest[1:], "big"))
                self.rest = b""

    def _feed_quickly(self, at: float, data: bytes | memoryview) -> bool:
        """Whether the data was a header or part of a payload, as the host functions read them, of which nothing is kept."""
        if len(data) <= self._missing:
            self._count(at, len(data))
        elif len(data) == HEADER and not self._missing and not self.rest:
            self.rest_since = at
            self._begin(at, data[0], int.from_bytes(data[1:], "big"))
        else:
            return False
        return True

    def _begin(self, at: float, kind: int, length: int) -> None:
        last = self.records[-1] if self.records else None
        self._missing = length
        if not self._room and last is not None and last.kind == kind and kind in STREAMS and not last.payload:
            last.frames, last.length, last.until = last.frames + 1, last.length + length, at
            return
        self.records.append(Record(self.rest_since, at, kind, length))

    def _count(self, at: float, size: int) -> None:
        record = self.records[-1]
        record.got += size
        record.until = at
        self._missing -= size
        self.lengths[record.kind] = self.lengths.get(record.kind, 0) + size

    def _payload(self, at: float, part: memoryview) -> None:
        record = self.records[-1]
        kept = part[: self._room]
        record.payload += kept
        self._room -= len(kept)
        if record.kind not in self.hashes:
            self.hashes[record.kind] = hashlib.sha256()
        some = part[: HASHED - self.hashed]
        self.hashes[record.kind].update(some)
        self.hashed += len(some)
        self._count(at, len(part))
