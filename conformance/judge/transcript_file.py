"""A case's transcript as a JSON document and as text with a hexdump.

{"format": "guestwire-transcript", "format_version": 1, "case", "agent", "transport", "outcome", "scratch",
 "agents": [{"options", "conditions"}],
 "conversations": [{"label", "agent", "opened", "ended", "outline",
   "host": [{"at", "do": "send", "bytes": BASE64} | {"at", "do": "half-close" | "close"}], "host_whole": bool,
   "events": [{"at", "from": "host" | "agent", "what": "frame", "type", "name", "length", "got", "frames", "payload": BASE64,
               "text"?} | {"at", "from", "what": "half-close" | "end of stream" | ...}],
   "totals": {"host" | "agent": {NAME: {"length", "sha256"}}}}]}

`host` is what a replay sends, `agent` to which of `agents` (the first is the row's own, -1 one that cannot be told), and
`outline` what it compares (judge/outline.py). `events` is what a person reads, in the order of time. A payload may be cut: it is
then shorter than `got`, which is how much of `length` came. All times are seconds since the case began.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from guestwire import protocol
from guestwire.drive.frames import Frames, Record, name_of
from guestwire.drive.transcript import Recording, Transcript
from guestwire.judge.outcome import CaseResult
from guestwire.judge.outline import outline

FORMAT, FORMAT_VERSION = "guestwire-transcript", 1
PAYLOAD = 16 << 10  # bytes of one payload written
DUMPED = 1_024  # bytes of one payload in the hexdump
_ARROWS = {"host": "host > agent", "agent": "agent > host"}


def document(result: CaseResult, transcript: Transcript, scratch: str) -> dict[str, Any]:
    """The transcript as it is written."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "case": result.case,
        "agent": result.agent,
        "transport": result.transport,
        "outcome": result.outcome,
        "scratch": scratch,
        "agents": transcript.agents,
        "conversations": [_conversation(recording) for recording in transcript.recordings],
    }


def _base64(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode("ascii")


def _conversation(recording: Recording) -> dict[str, Any]:
    both = {"host": recording.sent.frames(), "agent": recording.received.frames()}
    events = [event for who, frames in both.items() for event in _frames(who, frames)]
    events += [{"at": round(at, 6), "from": who, "what": what} for at, who, what in recording.marks]
    totals = {
        who: {
            name_of(kind): {"length": frames.lengths[kind], "sha256": found.hexdigest()}
            for kind, found in sorted(frames.hashes.items())
        }
        for who, frames in both.items()
    }
    return {
        "label": recording.label,
        "agent": recording.agent,
        "opened": round(recording.opened, 6),
        "ended": recording.ended,
        "outline": outline(recording),
        "host": _steps(recording),
        "host_whole": recording.sent.whole,
        "events": sorted(events, key=lambda event: float(event["at"])),
        "totals": totals,
    }


def _steps(recording: Recording) -> list[dict[str, Any]]:
    """What the host did, for a replay."""
    steps: list[dict[str, Any]] = [
        {"at": round(at, 6), "do": "send", "bytes": _base64(data)} for at, data in recording.sent.pieces
    ]
    steps += [
        {"at": round(at, 6), "do": what}
        for at, who, what in recording.marks
        if who == "host" and what in ("half-close", "close")
    ]
    return sorted(steps, key=lambda step: float(step["at"]))


def _frames(who: str, frames: Frames) -> Iterator[dict[str, Any]]:
    for record in frames.records:
        event: dict[str, Any] = {
            "at": round(record.at, 6),
            "until": round(record.until, 6),
            "from": who,
            "what": "frame",
            "type": record.kind,
            "name": name_of(record.kind),
            "length": record.length,
            "got": record.got,
            "frames": record.frames,
            "payload": _base64(record.payload[:PAYLOAD]),
        }
        yield event | _text(record)
    if frames.rest:
        at = round(frames.rest_since, 6)
        yield {
            "at": at,
            "from": who,
            "what": "part of a header",
            "payload": _base64(frames.rest),
            "got": len(frames.rest),
        }


def _text(record: Record) -> dict[str, str]:
    if record.kind != protocol.FRAME_JSON:
        return {}
    return {"text": bytes(record.payload[:PAYLOAD]).decode(errors="backslashreplace")}


# ---- text


def readable(found: dict[str, Any]) -> str:
    """The document for a person."""
    lines = [f"{found['outcome']} {found['case']}@{found['transport']} [{found['agent']}]"]
    if not found["conversations"]:
        lines += ["", "no conversation was begun"]
    for number, conversation in enumerate(found["conversations"], 1):
        label = f" ({conversation['label']})" if conversation["label"] else ""
        lines += ["", f"conversation {number}{label}, opened at {conversation['opened']:.6f} s"]
        for event in conversation["events"]:
            lines += _event_lines(event)
    return "\n".join(lines) + "\n"


def _event_lines(event: dict[str, Any]) -> Iterator[str]:
    head = f"{event['at']:12.6f}  {_ARROWS[event['from']]}  "
    if event["what"] != "frame":
        yield f"{head}{event['what']}"
    else:
        many = f"{event['frames']} frames " if event["frames"] > 1 else ""
        missing = "" if event["got"] == event["length"] else f", of which {event['got']} came"
        yield f"{head}{many}{event['name']}, {event['length']} bytes{missing}"
    if "payload" in event:
        data = base64.b64decode(event["payload"])
        yield from hexdump(data[:DUMPED])
        if event["got"] > min(len(data), DUMPED):
            yield f"{'':14}... {event['got'] - min(len(data), DUMPED)} bytes more"


def hexdump(data: bytes) -> Iterator[str]:
    """16 bytes a line: offset, hex, and what is printable."""
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{'':14}{start:06x}  {part[:8].hex(' '):23}  {part[8:].hex(' '):23}  |{shown}|"
