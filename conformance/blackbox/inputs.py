"""One conversation as it is sent: frames, how the stream of them is cut, and nothing after it but a half-close."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from guestwire.cases.parts import LIMITS

HOME = b"@HOME@"  # in a payload, the private folder; each side has its own, of the same length
LARGE = 64 << 10  # bytes; a longer stream counts as a flood
MOST = 256 << 10  # bytes of a frame that are sent, unless it is filled up to a limit of the contract
HEADER = struct.Struct(">BI")


@dataclass(frozen=True)
class Frame:
    """`announced`: the declared length, where it is not the true one."""

    kind: int
    payload: bytes
    announced: int | None = None

    def raw(self, home: bytes) -> bytes:
        """Its bytes, with that private folder."""
        payload = self.payload.replace(HOME, home)
        return HEADER.pack(self.kind, len(payload) if self.announced is None else self.announced) + payload


@dataclass(frozen=True)
class Input:
    """`tail` follows the frames and has no header of its own. `cuts` are offsets at which the stream is sent in pieces."""

    frames: tuple[Frame, ...]
    tail: bytes = b""
    cuts: tuple[int, ...] = ()
    origin: str = ""  # what it was drawn from

    def stream(self, home: bytes = HOME) -> bytes:
        """All that is sent."""
        return b"".join(frame.raw(home) for frame in self.frames) + self.tail.replace(HOME, home)

    def pieces(self, home: bytes) -> list[bytes]:
        """The stream as it is cut."""
        raw = self.stream(home)
        at = [0, *sorted({cut for cut in self.cuts if 0 < cut < len(raw)}), len(raw)]
        return [raw[start:end] for start, end in itertools.pairwise(at)] if raw else []

    @property
    def at_home(self) -> bool:
        """Whether it names a file in the private folder."""
        return HOME in self.tail or any(HOME in frame.payload for frame in self.frames)

    def with_frame(self, number: int, *frames: Frame) -> Input:
        """Others in the place of one frame."""
        return replace(self, frames=(*self.frames[:number], *frames, *self.frames[number + 1 :]))


def parse(raw: bytes, origin: str = "") -> Input:
    """A stream cut into frames; what has no whole header is the tail."""
    frames: list[Frame] = []
    while len(raw) >= HEADER.size:
        kind, length = HEADER.unpack_from(raw)
        payload = raw[HEADER.size : HEADER.size + length]
        frames.append(Frame(kind, payload, None if len(payload) == length else length))
        raw = raw[HEADER.size + len(payload) :]
    return Input(tuple(frames), raw, origin=origin)


def received(raw: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Type and payload of each frame as a receiver of the stream cuts it, and whether the frame is whole."""
    while len(raw) >= HEADER.size:
        kind, length = HEADER.unpack_from(raw)
        if length > LIMITS["cap"]:
            return
        yield kind, raw[HEADER.size : HEADER.size + length], len(raw) - HEADER.size >= length
        raw = raw[HEADER.size + length :]
