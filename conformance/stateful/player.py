"""Plays steps on agents: on two, oracle first, which must agree, or on one, against a recording."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from guestwire import protocol
from guestwire.drive.connectable import UsageError
from guestwire.drive.conversation import Answer, frame
from guestwire.judge.outcome import Crash, DeadlineExceeded, Violation, expect, short
from guestwire.stateful import asks
from guestwire.stateful.model import Due, Talk, World
from guestwire.stateful.side import LIVED, PATIENCE, STARTED, Side, data_frame, normalise
from guestwire.stateful.steps import Recording, Step

NEAR = 0.6  # of a timeout: who is nearer than that might be cut off by it


class TooSlow(Exception):
    """The machine was so slow that a timeout may have passed which no step asked for: nothing is decided any more."""


class Finding(Violation):
    """A violation, the check it breaks, and whose it is."""

    def __init__(self, cause: Violation, check: str, side: str) -> None:
        super().__init__(cause.expected, f"{cause.actual} [{side}]")
        self.check = check
        self.late = isinstance(cause, DeadlineExceeded)
        self.certain = self.late or isinstance(cause, Crash)  # no timeout that passed early makes it


class Player:
    """One example. After every step its consequences are awaited and compared; finish() ends it."""

    def __init__(self, sides: list[Side], recorded: Recording | None = None) -> None:
        """All sides have the same timeouts."""
        self.sides = sides
        self._seconds = sides[0].seconds
        self.world = World()
        self.outcomes: dict[int, dict[str, Any]] = {} if recorded is None else recorded.outcomes
        self.files: dict[str, list[str]] | None = None if recorded is None else recorded.files
        self._learning = recorded is None  # the first side is the oracle, and says what is right
        self._clocks: dict[int, float] = {}
        self._timed_from = 0.0
        self._raw: dict[int, list[bytes]] = {}  # for each host what is left of its request, on each side
        self._upload: dict[int, bytes] = {}  # for each host the frames of its upload that are due
        for side in sides:
            side.begin()

    # ---- steps

    def step(self, step: Step) -> None:
        """Take a step that the model finds possible. Raises Finding or TooSlow."""
        began = time.monotonic()
        timed, running = self.world.timed(), {} if step.do == "stall" else self._clocked()
        self.world.take(step)
        if not timed:
            self._timed_from = began
        self._clocks |= dict.fromkeys(self.world.moved, self._timed_from)
        try:
            self._act(step)
            self._check_clocks(running)
            for due in self.world.due:
                self._await(due, self._seconds if step.do == "stall" else 0.0)
            self._barrier()
        except Finding as finding:
            if not finding.certain:
                self._check_clocks(running | self._clocked())
            raise

    def _act(self, step: Step) -> None:
        if step.do == "open":
            self._open(step.host)
        elif step.do == "burst":
            numbers = sorted(self.world.talks)[-step.size :]
            for number in numbers:
                self._open(number)
            for part in (7, 0):
                for number in numbers:
                    self._send_request(number, part)
        elif step.do == "send":
            more = b""
            if step.data:
                more = data_frame(protocol.FRAME_DATA, step.host, 0, step.data)
            self._send_request(step.host, step.bytes, more)
        elif step.do in ("data", "eof", "stray"):
            self._send_upload(step)
        elif step.do in ("half-close", "close", "release"):
            for side in self.sides:
                with self._blaming(side, self.world.talks[step.host].check):
                    getattr(side, step.do.replace("-", "_"))(step.host)

    def _open(self, number: int) -> None:
        opened = self.world.talks[number].opened
        piped = " G" in asks.ASKS[opened.ask].command
        self._raw[number] = [asks.request(opened, number, side.folder) for side in self.sides]
        for side in self.sides:
            with self._blaming(side, "SRV-SURVIVE/alive"):
                side.connect(number, piped)

    def _send_request(self, number: int, part: int, more: bytes = b"") -> None:
        for index, side in enumerate(self.sides):
            raw = self._raw[number][index]
            size = min(part, len(raw) - 1) if part else len(raw)
            self._raw[number][index] = raw[size:]
            if raw[:size] + more:
                with self._blaming(side, self.world.talks[number].check):
                    side.send(number, raw[:size] + more)

    def _send_upload(self, step: Step) -> None:
        talk = self.world.talks[step.host]
        due = self._upload.get(step.host, b"")
        if step.do == "data":
            due += data_frame(protocol.FRAME_DATA, step.host, talk.sent - step.size, step.size)
        else:
            due += frame(protocol.FRAME_EOF if step.do == "eof" else protocol.FRAME_STDOUT, b"")
        size = len(due) - talk.due
        self._upload[step.host] = due[size:]
        for side in self.sides:
            with self._blaming(side, talk.check):
                side.send(step.host, due[:size])

    # ---- what follows

    def _clocked(self) -> dict[int, float]:
        """Whose timeout runs, and since when at the earliest."""
        return {
            talk.number: self._timed_from if talk.phase == "queued" else self._clocks[talk.number]
            for talk in self.world.open()
            if self.world.clocked(talk)
        }

    def _check_clocks(self, running: dict[int, float]) -> None:
        now = time.monotonic()
        for host, since in running.items():
            if now - since > NEAR * self._seconds:
                raise TooSlow(f"host {host} came near its timeout")

    def _await(self, due: Due, more: float) -> None:
        talk = self.world.talks[due.host]
        for side in self.sides:
            with self._blaming(side, due.check):
                if due.what == "answered":
                    self._compare(side, talk, side.patience + more)
                elif due.what == "bytes":
                    side.wait_bytes(due.host)
                elif due.what == "gone":
                    side.wait_gone(due.host)
                else:
                    side.wait_file(STARTED if due.what == "started" else LIVED, due.host)

    def _compare(self, side: Side, talk: Talk, within: float) -> None:
        """An answer that has come to its end is the oracle's, as far as the contract decides it."""
        if talk.loose == "given-up":
            answer = side.partial_answer(talk.number, within)
            begun = set(answer.data) <= {0} and len(answer.data) < asks.LARGE
            finished = any(kind == protocol.FRAME_EOF for kind, _ in answer.frames)
            expect(begun and not finished, f"host {talk.number} gets the beginning of its file, and no EOF",
                   f"{len(answer.data)} bytes and frames {[kind for kind, _ in answer.frames][-3:]}")  # fmt: skip
            return
        answer = side.answer(talk.number, within)
        if talk.loose == "ended":
            expect(
                not any(control.get("ok") for control in answer.controls), "no ok for half an upload", answer.controls
            )
            return
        got = _loosened(answer, talk.loose)
        if self._learning and side is self.sides[0]:
            self.outcomes[talk.number] = got
            return
        wanted = self.outcomes.get(talk.number)
        if wanted is None:
            raise UsageError(f"the recording has no outcome of host {talk.number}")
        expect(got == wanted, f"host {talk.number} gets {wanted}", f"it gets {got}")

    def _barrier(self) -> None:
        """A ping on each side: the same process, and what was sent before has been seen. Who cannot have been answered has heard
        nothing."""
        for side in self.sides:
            with self._blaming(side, "PING-ALWAYS"):
                instance = side.ping()
                expect(instance == side.instance, "the same process as ever", f"instance {instance}")
        heard = [
            (side, talk, said)
            for side in self.sides
            for talk in self.world.silent()
            if (said := side.spoke(talk.number))
        ]
        self._check_clocks(self._clocked())
        for side, talk, said in heard:
            with self._blaming(side, "SRV-SLOTS/queued" if talk.phase == "queued" else talk.check):
                raise Violation(f"host {talk.number} ({talk.phase}) hears nothing yet", said)

    @contextlib.contextmanager
    def _blaming(self, side: Side, check: str) -> Iterator[None]:
        """Whatever goes wrong inside breaks that check, unless it is that the agent has died."""
        try:
            yield
        except (Violation, OSError) as error:
            cause = error if isinstance(error, Violation) else Violation("the agent is there", str(error))
            try:
                side.witness.wait(side.agent.pid, 0.3)  # the connection ends before the process does
                side.agent.check_alive()
            except Crash as crash:
                raise Finding(crash, "SRV-SURVIVE/alive", side.name) from error
            raise Finding(cause, check, side.name) from error

    # ---- the end

    def finish(self) -> list[Step]:
        """Bring every conversation to its end, then look at what is left. Return: the steps that this took."""
        taken: list[Step] = []
        while (step := self.world.closing()) is not None:
            taken.append(step)
            self.step(step)
        for side in self.sides:
            with self._blaming(side, "SRV-SURVIVE/leaks"):
                side.settle()
                self._compare_files(side)
        with self._blaming(self.sides[-1], "SRV-SURVIVE/leaks"):
            strays = self.sides[-1].witness.strays(PATIENCE)
            expect(not strays, "no process left behind", short(strays))
        return taken

    def _compare_files(self, side: Side) -> None:
        found = {name: told for name, told in side.files().items() if name not in self.world.undecided}
        if self.files is None:
            self.files = found
        expect(found == self.files, f"files {self.files}", found)

    def clear(self) -> None:
        """Hang up on all, whatever happened."""
        for side in self.sides:
            side.clear()


def _loosened(answer: Answer, loose: str) -> dict[str, Any]:
    told = normalise(answer)
    if loose == "any-version":
        return {"order": told["order"].replace(" data", ""), "controls": [], "loose": loose}
    return told


def play(steps: Iterable[Step], sides: list[Side], recorded: Recording | None = None) -> Player:
    """Play a whole list. Return: the player, for what came of it. Raises Finding, TooSlow, or UsageError for a list with a step
    that the contract does not decide."""
    player = Player(sides, recorded)
    try:
        for number, step in enumerate(steps, 1):
            if not player.world.can(step):
                raise UsageError(f"step {number} ({step}): the contract does not decide what it does")
            player.step(step)
        player.finish()
    finally:
        player.clear()
    return player
