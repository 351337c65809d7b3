"""From what a case file says to the bytes that are sent."""

from __future__ import annotations

import re
import struct
from typing import Any

from guestwire.spec import generate

JSON = 1  # the frame type of a control frame
_CONSTANTS = generate.load()["limit"]
LIMITS: dict[str, int] = {
    "cap": _CONSTANTS["frame_payload"],
    "control-limit": _CONSTANTS["control_payload"],
    "chunk": _CONSTANTS["chunk"],
}


def length(value: int | str) -> int:
    """A length: a number, or one of LIMITS with numbers added and taken away (`cap+1`). Raises ValueError."""
    if isinstance(value, int):
        return value
    found = re.fullmatch(r"([a-z-]+?)((?:[+-][0-9]+)*)", value)
    if found is None or found[1] not in LIMITS:
        raise ValueError(f"no length: {value!r}; known: a number, or {', '.join(LIMITS)} and what is added, like cap+1")
    return LIMITS[found[1]] + sum(map(int, re.findall(r"[+-][0-9]+", found[2])))


def _part(part: Any, before: int) -> bytes:
    """One part; `before` is the number of bytes that stand in front of it."""
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, int):
        return bytes([part])
    if "hex" in part:
        return bytes.fromhex(part["hex"])
    if "fill" in part:
        text = part["fill"].encode()
        return bytes(text * max((length(part["to"]) - before) // len(text), 0))
    if "numbered" in part:
        return "".join(part["numbered"] % number for number in range(length(part["times"]))).encode()
    return bytes(part["text"].encode() * length(part.get("times", 1)))


def payload(value: Any) -> bytes:
    """A text, or a list of parts. Raises ValueError."""
    joined = bytearray()
    for part in value if isinstance(value, list) else [value]:
        joined += _part(part, len(joined))
    return bytes(joined)


def frame(value: Any) -> bytes:
    """A control frame (its payload as a text, or under `json`), a frame of any type and declared length, or `raw` bytes."""
    if isinstance(value, str):
        return frame({"json": value})
    if "raw" in value:
        return payload(value["raw"])
    content = payload(value["json"] if "json" in value else value.get("payload", ""))
    announced = length(value["length"]) if "length" in value else len(content)
    return struct.pack(">BI", value.get("type", JSON), announced) + content


def frames(value: Any) -> bytes:
    """One frame or several in a row."""
    return b"".join(map(frame, value)) if isinstance(value, list) else frame(value)
