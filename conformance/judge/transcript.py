"""What a conversation comes to, without what may differ between two that are alike: the agent's version and instance, the text
of errors, chunk boundaries, and the interleaving of a command's two streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import Answer

FREE = ("agent_version", "instance")


@dataclass(frozen=True)
class Transcript:
    """Equal for conversations that are alike."""

    parts: tuple[tuple[int, Any], ...]  # (frame type, payload), streams joined up to each control frame
    ended: str


def transcript(answer: Answer) -> Transcript:
    """The transcript of everything an agent sent."""
    parts: list[tuple[int, Any]] = []
    streams: dict[int, bytes] = {}
    for kind, payload in answer.frames:
        if kind in (protocol.FRAME_STDOUT, protocol.FRAME_STDERR, protocol.FRAME_DATA):
            streams[kind] = streams.get(kind, b"") + payload
            continue
        parts += sorted(streams.items())
        streams = {}
        parts.append((kind, _plain(protocol.parse_control(payload)) if kind == protocol.FRAME_JSON else payload))
    return Transcript((*parts, *sorted(streams.items())), answer.ended)


def _plain(control: dict[str, Any]) -> str:
    """A control frame's members in order of their names; what may differ is replaced by its type."""
    free = (*FREE, "error") if control.get("op") == "error" else FREE
    kept = {name: type(value).__name__ if name in free else value for name, value in control.items()}
    return repr(sorted(kept.items()))
