"""What went over a case's connections, in both directions, with times.

The host functions are given a real socket, of a class that notes the bytes of each call: they stay as they are. A direction is
kept as pieces as long as it is small, which costs next to nothing; from then on it is cut into frames as it comes.
"""

from __future__ import annotations

import socket
from array import array
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from guestwire.drive.frames import KEPT, Frames

UNKNOWN = -1
PIECES = 50_000  # of one direction of a conversation, kept one by one
_send, _recv = socket.socket.send, socket.socket.recv  # super() would cost as much again in every call


class Direction:
    """The bytes that went one way. `whole` says whether `pieces` is all of them."""

    def __init__(self, began: float) -> None:
        self._began = began
        # Beside the pieces, not in pairs with them: a hundred thousand tuples keep the garbage collector busy.
        self._times = array("d")
        self._pieces: list[bytes] = []
        self._room = KEPT
        self._live: Frames | None = None

    @property
    def whole(self) -> bool:
        return self._live is None

    @property
    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """(seconds since the case began, bytes) as they went, as long as they were kept so."""
        return zip((at - self._began for at in self._times), self._pieces, strict=True)

    def note(self, data: bytes | memoryview) -> None:
        """These bytes went just now."""
        if self._live is None:
            self._room -= len(data)
            if self._room >= 0 and len(self._pieces) < PIECES:
                self._times.append(monotonic())
                self._pieces.append(data if type(data) is bytes else bytes(data))
                return
            self._live = self.frames()
        self._live.feed(monotonic() - self._began, data)

    def frames(self) -> Frames:
        """All of it, cut into frames."""
        if self._live is not None:
            return self._live
        frames = Frames()
        for at, data in self.pieces:
            frames.feed(at, data)
        return frames


class Recording:
    """One conversation. `marks` are (seconds, "host" or "agent", what): half-close, close, end of stream, reset, ..."""

    def __init__(self, began: float, label: str = "", agent: int = 0) -> None:
        self.began = began
        self.label = label  # not of the case's own making: "warm-up"
        self.agent = agent  # its place in Transcript.agents, UNKNOWN where that cannot be told
        self.opened = monotonic() - began
        self.sent = Direction(began)
        self.received = Direction(began)
        self.marks: list[tuple[float, str, str]] = []

    def now(self) -> float:
        """Seconds since the case began."""
        return monotonic() - self.began

    def mark(self, who: str, what: str) -> None:
        """Note an event; the same one in a row is noted once."""
        if not self.marks or self.marks[-1][1:] != (who, what):
            self.marks.append((self.now(), who, what))

    @property
    def ended(self) -> str:
        """How the agent's side ended: "end of stream", "reset", or "" where the host did not wait for it."""
        return next((what for _, who, what in self.marks if who == "agent" and what in ("end of stream", "reset")), "")


class RecordingSocket(socket.socket):
    """A connected socket that notes in a Recording what goes through it."""

    __slots__ = ("_recording",)
    _recording: Recording

    @classmethod
    def around(cls, sock: socket.socket, recording: Recording) -> RecordingSocket:
        """Take over the descriptor of `sock`, which is blocking; `sock` is no longer usable."""
        taken = cls(sock.family, sock.type, sock.proto, fileno=sock.detach())
        taken._recording = recording
        return taken

    def _failed(self, error: OSError) -> None:
        if isinstance(error, TimeoutError):
            self._recording.mark("host", "waited in vain")
        elif isinstance(error, ConnectionResetError):
            self._recording.mark("agent", "reset")
        elif isinstance(error, BrokenPipeError):
            self._recording.mark("agent", "closed (EPIPE)")

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            count = _send(self, data, flags)
        except OSError as error:
            self._failed(error)
            raise
        self._recording.sent.note(data if count == len(data) else memoryview(data)[:count])
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As socket.sendall, piece by piece, so that what went out before a failure is known."""
        timeout = self.gettimeout()
        end = None if timeout is None else monotonic() + timeout
        count = self.send(data, flags) if data else 0
        if count == len(data):
            return
        view = memoryview(data)
        try:
            while count < len(view):
                if end is not None:
                    left = end - monotonic()
                    if left <= 0:
                        raise TimeoutError("timed out")
                    self.settimeout(left)
                count += self.send(view[count:], flags)
        finally:
            if end is not None:
                self.settimeout(timeout)

    def sendmsg(self, buffers: Iterable[Any], *arguments: Any) -> int:
        parts = list(buffers)
        try:
            count = super().sendmsg(parts, *arguments)
        except OSError as error:
            self._failed(error)
            raise
        self._recording.mark("host", "sent ancillary data")
        self._recording.sent.note(b"".join(parts)[:count])
        return count

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        try:
            data = _recv(self, bufsize, flags)
        except OSError as error:
            self._failed(error)
            raise
        if not data and bufsize:
            self._recording.mark("agent", "end of stream")
        elif not flags or not flags & socket.MSG_PEEK:  # plain 0 first: the enum's & takes longer than the call
            self._recording.received.note(data)
        return data

    def shutdown(self, how: int) -> None:
        super().shutdown(how)
        self._recording.mark(
            "host", {socket.SHUT_WR: "half-close", socket.SHUT_RD: "reads no more"}.get(how, "shutdown")
        )

    def close(self) -> None:
        if self.fileno() >= 0:
            self._recording.mark("host", "close")
        super().close()


class Transcript:
    """Of one case: its conversations in the order in which they were opened."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.recordings: list[Recording] = []
        self.agents: list[dict[str, list[str]]] = [{"options": [], "conditions": []}]  # the first is the row's own

    def start(self, options: Iterable[str], conditions: Iterable[str]) -> int:
        """Another agent is started, with these options under conditions of these names. Return: its place in `agents`."""
        self.agents.append({"options": list(options), "conditions": sorted(conditions)})
        return len(self.agents) - 1

    def record(self, sock: socket.socket, label: str = "", agent: int = 0) -> RecordingSocket:
        """The socket to converse over in the place of `sock`."""
        recording = Recording(self.began, label, agent)
        self.recordings.append(recording)
        return RecordingSocket.around(sock, recording)
