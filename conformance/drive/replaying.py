"""The recorded bytes of a case once more: each piece is sent at its time, once the agent has said what it had said by then."""

from __future__ import annotations

import base64
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from guestwire.drive.frames import HEADER
from guestwire.drive.transcript import Recording, RecordingSocket

PATIENCE = 5.0  # seconds an agent may be later than it was when it was recorded
Connect = Callable[[int], socket.socket]  # with one of the transcript's agents


@dataclass
class Step:
    """What the host did at a time: "open", "send", "half-close" or "close"."""

    at: float
    do: str
    data: bytes = b""


@dataclass
class Part:
    """One recorded conversation. `said`: by when the agent had sent how many bytes; `ended`: when its side had ended."""

    agent: int
    steps: list[Step]
    said: list[tuple[float, int]]
    ended: float | None

    @classmethod
    def of(cls, found: dict[str, Any]) -> Part:
        """From a conversation of transcript.json. Raises KeyError, TypeError or ValueError."""
        opened = float(found["opened"])
        if opened < 0 or not all(opened - 1 <= float(step["at"]) < opened + 3600 for step in found["host"]):
            raise ValueError("times that cannot be")
        steps = [Step(float(s["at"]), str(s["do"]), base64.b64decode(s.get("bytes", ""))) for s in found["host"]]
        if any(step.do not in ("send", "half-close", "close") for step in steps):
            raise ValueError("an unknown step")
        events = [event for event in found["events"] if event["from"] == "agent"]
        sizes = [(float(e["until"]), HEADER * int(e["frames"]) + int(e["got"])) for e in events if e["what"] == "frame"]
        ends = [float(event["at"]) for event in events if event["what"] in ("end of stream", "reset")]
        return cls(int(found["agent"]), [Step(opened, "open"), *steps], sizes, min(ends, default=None))

    def due(self, at: float) -> int:
        """How many bytes the agent had sent before that time."""
        return sum(size for until, size in self.said if until <= at)


@dataclass
class _Live:
    part: Part
    recording: Recording
    sock: RecordingSocket | None = None
    got: int = 0
    over: bool = False  # the agent's side
    failed: str = field(default="")


class Replay:
    """Plays the conversations of one case against whatever `connect` reaches. Each is recorded anew."""

    def __init__(self, parts: Sequence[Part], connect: Connect) -> None:
        self._connect = connect
        self._began = time.monotonic()
        self._all = [_Live(part, Recording(self._began)) for part in parts]

    def run(self) -> list[Recording]:
        """To the end; in the order of the recording. Raises what `connect` raises."""
        steps = [(step, live) for live in self._all for step in live.part.steps]
        steps.sort(key=lambda pair: pair[0].at)
        begin = time.monotonic() - (steps[0][0].at if steps else 0)
        try:
            for step, live in steps:
                self._pump(until=begin + step.at)
                self._wait(live, step)
                late = time.monotonic() - (begin + step.at)
                begin += max(late, 0)  # a slower agent or machine keeps its pauses
                self._do(live, step)
            self._wait_for_all()
        finally:
            for live in self._all:
                if live.sock is not None:
                    live.sock.close()
        return [live.recording for live in self._all]

    def _do(self, live: _Live, step: Step) -> None:
        if step.do == "open":
            live.recording = Recording(self._began)
            live.sock = RecordingSocket.around(self._connect(live.part.agent), live.recording)
            live.sock.setblocking(False)
        elif live.sock is None or live.failed:
            return
        elif step.do == "send":
            self._send(live, live.sock, step.data)
        elif step.do == "close":
            live.sock.close()
        else:
            try:
                live.sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                live.failed = str(error)

    def _send(self, live: _Live, sock: RecordingSocket, data: bytes) -> None:
        end = time.monotonic() + PATIENCE
        view = memoryview(data)
        while view and not live.failed:
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                self._pump(until=time.monotonic() + 0.005)
                live.failed = "the agent stopped reading" if time.monotonic() > end else ""
            except OSError as error:
                live.failed = str(error)

    def _wait(self, live: _Live, step: Step) -> None:
        """Until the agent has said what it had said when this was done, or is PATIENCE late."""
        end = time.monotonic() + PATIENCE
        ended = live.part.ended is not None and live.part.ended <= step.at
        due = live.part.due(step.at)
        while live.sock is not None and not live.over and (ended or live.got < due) and time.monotonic() < end:
            self._pump(until=min(end, time.monotonic() + 0.05), any_event=True)

    def _wait_for_all(self) -> None:
        end = time.monotonic() + PATIENCE
        while any(live.sock is not None and live.sock.fileno() >= 0 and not live.over for live in self._all):
            if time.monotonic() > end:
                return
            self._pump(until=min(end, time.monotonic() + 0.05), any_event=True)

    def _pump(self, until: float, any_event: bool = False) -> None:
        """Read from every open conversation until that time, or until something was read."""
        with selectors.DefaultSelector() as selector:
            for live in self._all:
                if live.sock is not None and live.sock.fileno() >= 0 and not live.over:
                    selector.register(live.sock, selectors.EVENT_READ, live)
            while selector.get_map() or not any_event:
                left = until - time.monotonic()
                if left <= 0:
                    return
                if not selector.get_map():
                    time.sleep(left)
                    return
                ready = selector.select(left)
                for key, _ in ready:
                    self._read(key.data)
                    if key.data.over:
                        selector.unregister(key.fileobj)
                if ready and any_event:
                    return

    def _read(self, live: _Live) -> None:
        assert live.sock is not None
        try:
            data = live.sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        live.got += len(data)
        live.over = not data
