"""What an agent sent in a conversation, told in lines that are equal for conversations that are alike.

Only what may differ is left out: `agent_version`, `instance`, error texts, where chunks of a stream begin and end, and how the
streams interleave up to the next control frame; and how a conversation ended in which nothing was said, which the contract
leaves open. Any other byte shows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator

from guestwire import protocol
from guestwire.drive.frames import STREAMS, Frames, Record, name_of
from guestwire.drive.transcript import Recording

SHOWN = 120  # bytes of a stream that are written out; of a longer one its hash
_STRING = r'("(?:[^"\\]|\\.)*")'
_FREE = re.compile(r'("(?:agent_version|instance)"[ \t\r\n]*:[ \t\r\n]*)' + _STRING)
_ERROR = re.compile(r'("error"[ \t\r\n]*:[ \t\r\n]*)' + _STRING)


def outline(recording: Recording) -> list[str]:
    """Of one conversation."""
    frames = recording.received.frames()
    lines = list(_frames(frames))
    lines += [f"{name_of(kind)} in all: {_digest(frames, kind)}" for kind in STREAMS if kind in frames.hashes]
    if frames.rest:
        lines.append(f"part of a header: {frames.rest.hex()}")
    ended = recording.ended or "no end of stream"
    if not lines and recording.ended:
        ended = "closed"  # end of stream or reset: which, depends on what was on its way from the host just then
    return [*lines, ended]


def _digest(frames: Frames, kind: int) -> str:
    return f"{frames.lengths[kind]} bytes, SHA-256 {frames.hashes[kind].hexdigest()}"


def _frames(frames: Frames) -> Iterator[str]:
    streams: dict[int, list[Record]] = {}
    for record in frames.records:
        if record.kind in STREAMS and record.whole and record.length:
            streams.setdefault(record.kind, []).append(record)
            continue
        yield from _streams(streams)
        streams = {}
        yield _line(record)
    yield from _streams(streams)


def _streams(streams: dict[int, list[Record]]) -> Iterator[str]:
    """Each joined, in the order of their types."""
    for kind, records in sorted(streams.items()):
        length = sum(record.length for record in records)
        data = b"".join(record.payload for record in records)
        yield f"{name_of(kind)} {length} bytes" + (f" {data!r}" if len(data) == length <= SHOWN else "")


def _line(record: Record) -> str:
    """A frame that stands for itself: no stream's, or one that is broken."""
    missing = "" if record.whole else f", of which {record.got} came"
    payload = bytes(record.payload)
    if record.kind == protocol.FRAME_JSON and record.whole:
        return f"JSON {plain(payload)}"
    shown = base64.b16encode(payload[:SHOWN]).decode()
    return f"{name_of(record.kind)} {record.length} bytes{missing} {shown}".rstrip()


def plain(payload: bytes) -> str:
    """A control frame as it came, but for the values that may differ."""
    text = payload.decode(errors="backslashreplace")
    try:
        control = json.loads(payload)
    except (ValueError, RecursionError):
        return text
    text = _FREE.sub(r"\1*", text)
    return _ERROR.sub(r"\1*", text) if isinstance(control, dict) and control.get("op") == "error" else text


def of_case(recordings: Iterable[Recording]) -> list[str]:
    """Of a case's own conversations, each begun by a line of its own."""
    own = [recording for recording in recordings if not recording.label]
    return [line for number, each in enumerate(own, 1) for line in (f"conversation {number}", *outline(each))]


def digest(lines: list[str]) -> str:
    """The same for the same lines."""
    return hashlib.sha256("\n".join(lines).encode(errors="backslashreplace")).hexdigest()
