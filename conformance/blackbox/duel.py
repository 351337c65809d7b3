"""The same bytes to both sides: what comes of it is nothing, something that the contract leaves open, or a finding."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from guestwire.blackbox.inputs import Input
from guestwire.blackbox.side import DYING, MORE_PATIENCE, Leak, Side, Tree
from guestwire.blackbox.told import Told, of_its_surroundings, undecided
from guestwire.drive.row import SETTLE_TIMEOUT
from guestwire.judge.outcome import CouldNotRun, Crash, DeadlineExceeded, Violation, short

LEAK_TIMES = 3  # a leak is told of an input that leaks again and again
SOON = 0.4  # seconds; what an idle agent holds longer is taken for lost, until it is looked at for SETTLE_TIMEOUT
FILES_WITHIN = 6.0  # seconds until what an upload has left is gone


class OracleFailed(Exception):
    """The oracle did what no agent may do, or is not there: nobody can be judged by it."""


class _OracleLate(OracleFailed):
    """Or the machine is busy."""


@dataclass
class Finding:
    """`kind` and `shapes` are equal for findings that are taken for the same. `told` is what the oracle said."""

    kind: str  # wrong answer, wrong files, frames, crash, hang, leak
    check: str  # "" for that of the answer
    expected: str
    actual: str
    shapes: tuple[str, ...] = ()
    told: Told | None = None
    files: Tree = field(default_factory=dict)  # the oracle's, of those that differ

    @property
    def signature(self) -> tuple[str, ...]:
        return (self.kind, self.check, *self.shapes)


def of_violation(error: Violation | OSError, told: Told | None = None) -> Finding:
    """What an agent did that none may do."""
    if not isinstance(error, Violation):
        return Finding("crash", "SRV-SURVIVE/alive", "the agent is there", str(error), told=told)
    kind, check = "frames", ""
    if isinstance(error, Crash):
        kind, check = "crash", "SRV-SURVIVE/alive"
    elif isinstance(error, DeadlineExceeded):
        kind = "hang"
    elif isinstance(error, Leak):
        kind, check = "leak", error.check
    shapes = (told.shape,) if told and kind in ("frames", "hang") else ()
    return Finding(kind, check, error.expected, error.actual, shapes, told)


class Duel:
    """Oracle and agent. `left_open` counts what both may say, `late` what the oracle could say only when asked again."""

    def __init__(self, oracle: Side, agent: Side) -> None:
        self.oracle, self.agent = oracle, agent
        self.sides = (oracle, agent)
        self.left_open = self.late = 0
        self.answers: Counter[str] = Counter()  # the oracle's, by their shape

    def play(self, drawn: Input) -> Finding | None:
        """One input on both. A finding leaves the sides as they are: renew() before the next one. Raises OracleFailed."""
        try:
            return self._play(drawn)
        except _OracleLate:
            self.late += 1
        self.renew()
        self.oracle.renew()
        usual, self.oracle.patience = self.oracle.patience, MORE_PATIENCE
        try:
            return self._play(drawn)
        finally:
            self.oracle.patience = usual

    def _play(self, drawn: Input) -> Finding | None:
        together = self.agent.half_closes and self.agent.connectable.kind == "exec"
        try:
            if together:
                self.agent.send(drawn)
            right = self._right(drawn)
            self.agent.wait_longer()
            if not together:
                if not self._decided(drawn, right):
                    self.left_open += 1
                    return None
                self.agent.send(drawn)
            said = self.agent.receive()
            if said.shape == "closed" != right.shape:
                self.agent.check_alive(DYING)  # the connection ends before the process does
        except (Violation, OSError) as error:
            return of_violation(error, right)
        finally:
            self.agent.hang_up()
        if right.lines != said.lines:
            self._oracle_lives(DYING if right.shape == "closed" else 0)
        files = None
        if self.agent.seen and b"put" in drawn.stream():
            files = self._files(right, FILES_WITHIN if right.lines == said.lines else 0)
        if right.lines == said.lines:
            return files
        if undecided(drawn, right, said):
            self.left_open += 1
            return None
        return Finding("wrong answer", "", str(right), str(said), (right.shape, said.shape), right)

    def _decided(self, drawn: Input, right: Told) -> bool:
        """Whether an agent that runs already has to say the same."""
        if (
            right.shape == "closed" and not self.agent.half_closes
        ):  # a half-close is a hang-up there: it would go on waiting
            return False
        return not of_its_surroundings(drawn, right)

    def _right(self, drawn: Input) -> Told:
        """What the oracle says. Raises OracleFailed."""
        try:
            self.oracle.send(drawn)
            right = self.oracle.receive()
        except DeadlineExceeded as error:
            raise _OracleLate(f"expected {error.expected}, got {error.actual}") from None
        except Violation as error:
            raise OracleFailed(f"expected {error.expected}, got {error.actual}") from None
        except (CouldNotRun, OSError) as error:
            raise OracleFailed(str(error)) from None
        self.answers[right.shape] += 1
        return right

    def _oracle_lives(self, grace: float = 0.0) -> None:
        """Raise OracleFailed if it has ended, or ends within so many seconds."""
        try:
            self.oracle.check_alive(grace)
        except Crash as error:
            raise OracleFailed(f"expected {error.expected}, got {error.actual}") from None

    def _files(self, right: Told, within: float) -> Finding | None:
        """What both have made of their folders after so many seconds at most."""
        end = time.monotonic() + within
        while True:
            theirs, ours = self.oracle.tree(), self.agent.tree()
            if theirs == ours or time.monotonic() > end:
                break
            time.sleep(0.01)
        for side, tree in ((self.oracle, theirs), (self.agent, ours)):
            side.tidy(tree)
        if theirs == ours:
            return None
        differs = {name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)}
        right_ones = {name: entry for name, entry in theirs.items() if name in differs}
        return Finding(
            "wrong files", "", _told(theirs, differs), _told(ours, differs), (right.shape,), right, right_ones
        )

    def renew(self) -> None:
        """A fresh agent, and folders as they were. Raises OracleFailed."""
        self.agent.renew()
        self.oracle.hang_up()
        self._oracle_lives()
        if self.agent.seen:
            for side in self.sides:
                side.tidy(side.tree())

    def leaks(self, drawn: Input, within: float = SOON) -> Finding | None:
        """Play it a few times, then look at what is held after so many seconds. Another finding on the way is told in its
        place."""
        for _ in range(LEAK_TIMES):
            finding = self.play(drawn)
            if finding is not None:
                return finding
        return self.settled(within)

    def settled(self, within: float = SETTLE_TIMEOUT) -> Finding | None:
        """What the agent holds by now."""
        try:
            self.agent.settled(within)
        except (Violation, OSError) as error:
            return of_violation(error)
        return None


def _told(tree: Tree, names: set[str]) -> str:
    found = []
    for name in sorted(names):
        kind, mode, content = tree.get(name, ("nothing", 0, b""))
        found.append(f"{name}: {kind} {mode:04o} {short(content, 60)}" if name in tree else f"{name}: nothing")
    return "files " + ", ".join(found)
