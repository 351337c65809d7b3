"""Draws input after input and plays it, until there are enough of them; what it finds is seen again, made smaller and kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guestwire.blackbox import mutate, shrink
from guestwire.blackbox.duel import Duel, Finding
from guestwire.blackbox.inputs import LARGE, Input
from guestwire.blackbox.side import MORE_PATIENCE, PATIENCE

CHECK_EVERY = 100  # inputs between two looks at what the agent holds
MOST = 20  # different findings; an agent that is wrong in more ways is told by these


@dataclass
class Found:
    """A finding with its input. `again`: whether it was seen again on fresh processes, and made smaller."""

    number: int
    drawn: Input
    finding: Finding
    again: bool = False


@dataclass
class Campaign:
    """What was asked for, and what came of it."""

    duel: Duel
    seeds: Sequence[Input]
    seed: int
    examples: int  # 0: as many as there is time for
    seconds: float  # 0: as long as it takes
    floods: bool = True
    restarts: bool = True  # whether the harness starts the agent
    keep: Callable[[Found], None] = lambda _: None
    progress: Callable[[Campaign], None] = lambda _: None
    drawn: int = 0
    played: int = 0  # those that were sent
    unsent: int = 0  # too large for an agent that runs already
    late: int = 0  # a busy machine: what seemed to hang did not, given more time
    repeats: int = 0  # findings like one before
    found: list[Found] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _recent: deque[tuple[int, Input]] = field(default_factory=lambda: deque(maxlen=CHECK_EVERY))

    @property
    def over(self) -> bool:
        """Whether that is enough, or there is nobody left to play with."""
        if self.examples and self.played >= self.examples:
            return True
        if self.seconds and time.monotonic() - self.began >= self.seconds:
            return True
        gone = any(each.finding.kind in ("crash", "hang", "leak") for each in self.found) and not self.restarts
        return gone or len(self.found) >= MOST

    def run(self) -> None:
        """To the end. Raises KeyboardInterrupt, with everything kept that was found."""
        while not self.over:
            self._one()
            if len(self._recent) == CHECK_EVERY:
                self._look()
            self.progress(self)
        if self._recent:
            self._look()

    def _one(self) -> None:
        number, self.drawn = self.drawn, self.drawn + 1
        drawn = mutate.draw(self.seed, number, self.seeds, self.floods)
        if not self.floods and len(drawn.stream()) > LARGE:
            self.unsent += 1
            return
        self.played += 1
        self._recent.append((number, drawn))
        finding = self.duel.play(drawn)
        if finding is not None and finding.kind == "hang":
            finding = self._patiently(drawn)
        if finding is not None:
            self._take(Found(number, drawn, finding))

    def _patiently(self, drawn: Input) -> Finding | None:
        """The same on fresh processes with more time: on a busy machine much takes long that does not hang."""
        if self.restarts:
            self.duel.renew()
        for side in self.duel.sides:
            side.patience = MORE_PATIENCE
        try:
            finding = self.duel.play(drawn)
        finally:
            for side in self.duel.sides:
                side.patience = PATIENCE
        self.late += finding is None
        return finding

    def _take(self, found: Found) -> None:
        """A finding: like one before, or new."""
        new = found.finding.signature not in self._signatures()
        if not new:
            self.repeats += 1
        else:
            self.found.append(found)
            try:
                if self.restarts or found.finding.kind.startswith("wrong"):
                    shrink.smallest(self.duel, found)
            finally:
                self.keep(found)
        if self.restarts and (new or not found.finding.kind.startswith("wrong")):
            self.duel.renew()
            self._recent.clear()

    def _signatures(self) -> set[tuple[str, ...]]:
        return {each.finding.signature for each in self.found}

    # ---- what is held

    def _look(self) -> None:
        """What the agent holds by now; if too much, which input of late it was."""
        finding = self.duel.settled()
        recent = list(self._recent)
        self._recent.clear()
        if finding is None:
            return
        if self.restarts:
            self.duel.renew()
            for number, drawn in recent:
                again = self.duel.leaks(drawn)
                if again is not None and again.kind == "leak" and again.signature not in self._signatures():
                    again = self.duel.settled()  # a new one has to stay
                if again is not None and again.kind == finding.kind:
                    self._take(Found(number, drawn, again))
                    return
        number, drawn = recent[-1] if recent else (self.played, Input(()))
        self._take(Found(number, drawn, finding))
