"""What an agent said in a conversation, without what the contract leaves open, and whether another agent said the same.

Left out, as in judge/alike.py: `agent_version`, `instance`, error texts (codes stay), where chunks begin and end, how streams
interleave, and whether a conversation without a word ended in a reset. More members of a pong are allowed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from guestwire import protocol
from guestwire.blackbox.inputs import Input, received
from guestwire.drive.conversation import Answer
from guestwire.judge.outcome import short
from guestwire.judge.transcript import transcript

STREAMS = {protocol.FRAME_STDOUT: "stdout", protocol.FRAME_STDERR: "stderr", protocol.FRAME_DATA: "data"}
FREE = {"pong": ("ok", "op", "proto"), "error": ("ok", "op", "code")}  # the members that count
SHORT = 1.0  # seconds; of a shorter timeout nobody can say whether the command or the deadline is first


@dataclass(frozen=True)
class Told:
    """`lines` are equal for agents that say the same, `shape` is equal for findings of one kind."""

    lines: tuple[str, ...]
    shape: str
    answer: Answer

    @property
    def ok(self) -> bool:
        """Whether something was served."""
        return self.shape not in ("closed", "broken") and not self.shape.startswith("error")

    def __str__(self) -> str:
        return short("; ".join(self.lines), 600)


def _quote(data: bytes) -> str:
    return repr(data) if len(data) <= 80 else f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}"


def _counted(control: dict[str, Any], codes: bool) -> dict[str, Any]:
    """The members that have to be the same."""
    names = FREE.get(str(control.get("op")), tuple(control))
    return {name: control[name] for name in names if name in control and (codes or name != "code")}


def _shape(answer: Answer, codes: bool) -> str:
    if not answer.controls:
        return "broken" if answer.frames else "closed"
    first = answer.controls[0]
    if first.get("op") == "error":
        return f"error {first.get('code')}" if codes else "error"
    return str(first.get("op", "file" if answer.frames[-1][0] == protocol.FRAME_EOF else "ok"))


def tell(answer: Answer, codes: bool = True) -> Told:
    """Of a response. `codes`: whether those of errors count."""
    lines = []
    controls = iter(answer.controls)
    for kind, payload in transcript(answer).parts:
        if kind == protocol.FRAME_JSON:
            lines.append(json.dumps(_counted(next(controls), codes), sort_keys=True))
        else:
            lines.append(f"{STREAMS.get(kind, 'EOF')} {_quote(payload)}".rstrip(" b'"))
    lines.append(answer.ended if answer.frames else "closed")
    return Told(tuple(lines), _shape(answer, codes), answer)


def _request(drawn: Input) -> dict[str, Any]:
    """The first frame's members, read leniently."""
    for _, payload, whole in received(drawn.stream()):
        try:
            found = json.loads(payload) if whole else None
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}
    return {}


def _upload_cut(drawn: Input) -> bool:
    """Whether the stream ends before an upload has: nothing but DATA frames follow its request."""
    kinds = [(kind, whole) for kind, _, whole in received(drawn.stream())][1:]
    return all(kind == protocol.FRAME_DATA for kind, whole in kinds if whole)


def of_its_surroundings(drawn: Input, right: Told) -> bool:
    """Whether the answer depends on the environment that an agent was started in: what its login shell does at its start."""
    return right.shape in ("exit", "timeout") and _request(drawn).get("shell") != "raw"


def undecided(drawn: Input, one: Told, other: Told) -> bool:
    """Whether the contract lets both say what they said: a short deadline, or an upload that broke off with its connection."""
    asked = _request(drawn)
    if asked.get("op") == "run" and "timeout" in (one.shape, other.shape):
        timeout = asked.get("timeout")
        return isinstance(timeout, (int, float)) and 0 < timeout < SHORT
    return asked.get("op") == "put_file" and not one.ok and not other.ok and _upload_cut(drawn)
