"""The same bytes to both sides: what comes of it is nothing, something that the contract leaves open, or a finding."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from guestwire.blackbox.inputs import Input
from guestwire.blackbox.side import Leak, Side, Tree
from guestwire.blackbox.told import Told, of_its_surroundings, undecided
from guestwire.drive.row import SETTLE_TIMEOUT
from guestwire.judge.outcome import Crash, DeadlineExceeded, Violation, short

DYING = 0.5  # seconds; of a process whose connection has ended
FILES_WITHIN = 2.0  # seconds until what an upload has left is gone


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
    """Oracle and agent. `left_open` counts what both may say."""

    def __init__(self, oracle: Side, agent: Side) -> None:
        self.oracle, self.agent = oracle, agent
        self.sides = (oracle, agent)
        self.left_open = 0
        self.answers: Counter[str] = Counter()  # the oracle's, by their shape

    def play(self, drawn: Input) -> Finding | None:
        """One input on both. A finding leaves the sides as they are: renew() before the next one."""
        together = self.agent.half_closes and self.agent.connectable.kind == "exec"
        try:
            if together:
                self.agent.send(drawn)
            self.oracle.send(drawn)
            right = self.oracle.receive()
            self.answers[right.shape] += 1
        except (Violation, OSError) as error:
            return self._of_oracle(error)
        try:
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

    def _of_oracle(self, error: Violation | OSError) -> Finding:
        """It is in the wrong itself, or the agent could not be reached before it was asked."""
        try:
            self.oracle.check_alive(0.3)
            self.agent.check_alive(0.3)
        except Crash as crash:
            error = crash
        return of_violation(error)

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
        """A fresh agent (an oracle only if it has failed), and folders as they were."""
        self.agent.renew()
        try:
            self.oracle.hang_up()
            self.oracle.check_alive()
        except Crash:
            self.oracle.renew()
        if self.agent.seen:
            for side in self.sides:
                side.tidy(side.tree())

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
