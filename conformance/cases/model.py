"""A case as read from its file. Bytes are made when they are asked for: some payloads have 16 MiB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guestwire.cases import parts


@dataclass(frozen=True)
class Answer:
    """What has to come, up to the end of the stream. `closed`: nothing at all. `members` and `shape`: what the terminal control
    frame (get_file: the header) has to hold, by value and by kind. `data` is None where no DATA and EOF frames belong there."""

    closed: bool = False
    error: str = ""
    contains: str = ""
    never: str = ""
    members: tuple[tuple[str, Any], ...] = ()
    shape: tuple[tuple[str, str], ...] = ()
    stdout: bytes = b""
    stderr: bytes = b""
    data: bytes | None = None
    ended: tuple[str, ...] = ("eof",)
    within: float | None = None

    @property
    def negative(self) -> bool:
        """Whether the agent has to refuse."""
        return self.closed or bool(self.error)


@dataclass(frozen=True)
class Step:
    """What the host does next: `kind` is send, wait, shutdown, close or expect."""

    kind: str
    value: Any = None

    def raw(self) -> bytes:
        """The bytes of a send."""
        return parts.frames(self.value)


@dataclass(frozen=True)
class Conversation:
    """One connection. It ends in an expect or a close."""

    name: str
    steps: tuple[Step, ...]

    @property
    def negative(self) -> bool:
        """Whether the agent has to refuse what it is sent."""
        return any(step.kind == "expect" and step.value.negative for step in self.steps)

    @property
    def payload(self) -> bytes:
        """The payload of the one control frame that is sent, for files of nothing but such."""
        return self.steps[0].raw()[5:]


@dataclass(frozen=True)
class DataCase:
    """One case: its conversations, one after the other."""

    id: str
    file: str
    about: str
    checks: tuple[str, ...]
    twin: str
    needs: tuple[str, ...]
    transports: tuple[str, ...]
    chunkings: str
    deadline: float
    conversations: tuple[Conversation, ...]
    apart: tuple[
        tuple[str, str], ...
    ] = ()  # conversations that are more than one change away from the twin: name and reason

    @property
    def negative(self) -> bool:
        """Whether the agent has to refuse something."""
        return any(conversation.negative for conversation in self.conversations)
