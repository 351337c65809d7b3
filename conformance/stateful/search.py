"""Plays drawn examples on the agents, until there are enough of them, or one fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from guestwire.stateful import asks, machine
from guestwire.stateful.arena import Arena
from guestwire.stateful.player import Finding, Player, TooSlow
from guestwire.stateful.player import play as play
from guestwire.stateful.steps import LONG, VERBS, Step, stalls

SHORT = 0.6  # seconds; the timeouts where an example has them pass, so that this is cheap
SHORT_MOST = 5.0  # what they grow to on a machine too slow for that
DROPPED_MOST = 0.25  # of the examples that are wanted
EVERYTHING = 100  # examples; so many have to hold every verb and every request


@dataclass
class Search:
    """What a search did, and what it found: the steps that failed, with the finding. `earlier` are the examples before that."""

    arena: Arena
    wanted: int
    progress: Callable[[Search], None] = lambda _: None
    examples: int = 0  # played to their end
    dropped: int = 0  # the machine was too slow for what they asked of the timeouts; others are drawn instead
    verbs: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    earlier: list[list[Step]] = field(default_factory=list)
    failing: list[Step] | None = None
    finding: Finding | None = None
    short: float = SHORT

    @property
    def unseen(self) -> list[str]:
        """Verbs and requests that no example had."""
        verbs = [name for name in VERBS if name not in self.verbs]
        return verbs + [name for name in asks.ASKS if name not in self.requests]

    @property
    def enough(self) -> bool:
        """Whether all are played; a large number goes on until every verb and every request has occurred."""
        if self.examples < self.wanted:
            return False
        return self.wanted < EVERYTHING or not self.unseen or self.examples >= 2 * self.wanted

    def seconds(self, steps: list[Step]) -> float:
        """The timeouts of the agents that these steps are played on."""
        return self.short if stalls(steps) else LONG

    @property
    def slow(self) -> bool:
        """Whether so many examples were dropped that the others say too little."""
        return self.dropped > DROPPED_MOST * self.wanted

    def take(self, steps: list[Step]) -> None:
        """Play an example. Raises machine.Enough after the last one."""
        try:
            played = play(steps, self.arena.sides(self.seconds(steps)))
        except TooSlow:
            self.dropped += 1
            self.short = min(2 * self.short, SHORT_MOST)
            self.arena.renew()  # whatever the example left unfinished is not the next one's
        except Finding as finding:
            self.failing, self.finding = steps, finding
        else:
            self._count(steps, played)
        self.earlier.append(steps)
        if self.failing is not None or self.slow or self.enough:
            raise machine.Enough

    def _count(self, steps: list[Step], played: Player) -> None:
        self.examples += 1
        self.verbs.update(step.do for step in steps)
        self.requests.update(talk.opened.ask for talk in played.world.talks.values())
        self.progress(self)


def search(
    arena: Arena, examples: int, steps: int, seed: int, home: Path, progress: Callable[[Search], None]
) -> Search:
    """Play so many different examples of up to so many steps to their end, or until one fails or too many are dropped."""
    found = Search(arena, examples, progress)
    machine.draw(steps, seed, home, found.take)
    return found
