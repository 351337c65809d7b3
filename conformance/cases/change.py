"""What one change is: in what a conversation that is refused may differ from its twin, which is served.

Compared is what the host does: the bytes it sends, read as frames, and how it ends (it stays, shuts down its sending side, or
closes). Waits are no difference: they only look. One change is exactly one of

- `end`: the same bytes, and another end;
- `cut`: the bytes stop early;
- `frame`: one frame more, or one less;
- `type`: another type of one frame;
- `length`: another declared length of one frame;
- `member`: in one control frame one member of the object more, one less, or one with another name or value;
- `bytes`: in one payload that is no object, or the same one, a run of at most RUN bytes put in, taken out, or put in the place of
  another such run. The declared length follows the payload.
"""

from __future__ import annotations

import json
from typing import Any

from guestwire.cases.model import Conversation

RUN = 16
Frame = tuple[int, int, bytes]  # type, declared length, what there is of the payload


def _stream(conversation: Conversation) -> tuple[bytes, str]:
    """All that is sent, and how the host ends."""
    end = [step.kind for step in conversation.steps if step.kind in ("shutdown", "close")]
    return b"".join(step.raw() for step in conversation.steps if step.kind == "send"), " ".join(end)


def _frames(raw: bytes) -> list[Frame]:
    """What is sent as frames; the rest that has no whole header counts as one of type -1."""
    found: list[Frame] = []
    at = 0
    while len(raw) - at >= 5:
        length = int.from_bytes(raw[at + 1 : at + 5], "big")
        found.append((raw[at], length, raw[at + 5 : at + 5 + length]))
        at += 5 + length
    return found + ([(-1, 0, raw[at:])] if raw[at:] else [])


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _run(one: bytes, other: bytes) -> int:
    """Bytes of the longer one of the two runs that differ."""
    start = _common(one, other)
    one, other = one[start:], other[start:]
    same = _common(one[::-1], other[::-1])
    return max(len(one), len(other)) - same


def _members(payload: bytes) -> list[tuple[str, Any]] | None:
    """The members of an object in their order, duplicates and all; None for what is none."""
    try:
        found = json.loads(payload, object_pairs_hook=lambda pairs: ("object", pairs))
    except (ValueError, RecursionError):
        return None
    return found[1] if isinstance(found, tuple) else None


def _one_member(ours: list[tuple[str, Any]], theirs: list[tuple[str, Any]]) -> bool:
    start = next((n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))  # noqa: B905
    ours, theirs = ours[start:], theirs[start:]
    while ours and theirs and ours[-1] == theirs[-1]:
        ours, theirs = ours[:-1], theirs[:-1]
    return max(len(ours), len(theirs)) == 1


def _in_payload(one: bytes, other: bytes, control: bool) -> str:
    ours, theirs = (_members(one), _members(other)) if control else (None, None)
    if ours is not None and theirs is not None and ours != theirs:
        return "member" if _one_member(ours, theirs) else ""
    return "bytes" if _run(one, other) <= RUN else ""


def _in_frame(one: Frame, other: Frame) -> str:
    kinds = [kind for kind, a, b in zip(("type", "length", "payload"), one, other, strict=True) if a != b]
    if kinds in (["type"], ["length"]):
        return kinds[0]
    short = one[1] - len(one[2])
    if "type" in kinds or short != other[1] - len(other[2]):
        return ""
    return _in_payload(one[2], other[2], one[0] == 1 and not short)


def change(refused: Conversation, served: Conversation) -> str:
    """The one change between the two by the name above, "" where there is none, or more than one."""
    (ours, our_end), (theirs, their_end) = _stream(refused), _stream(served)
    if our_end != their_end:
        return "end" if ours == theirs else ""
    if theirs.startswith(ours):
        return "cut" if ours != theirs else ""
    one, other = _frames(ours), _frames(theirs)
    if len(one) == len(other):
        different = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
        return _in_frame(*different[0]) if len(different) == 1 else ""
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return "frame" if any(longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer))) else ""
