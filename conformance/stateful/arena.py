"""Agents that go on from example to example, and are replaced only after a failure."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from guestwire.drive import server
from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.server import Agent
from guestwire.drive.session import Session
from guestwire.judge.outcome import Violation
from guestwire.stateful.side import PATIENCE, Side
from guestwire.stateful.steps import options


class Arena:
    """The agents that steps are played on, in this order, for each length of their timeouts."""

    def __init__(self, session: Session, folder: Path, agents: dict[str, Connectable]) -> None:
        self._session, self._folder, self._connectables = session, folder, agents
        self._started: list[Agent] = []
        self._sides: dict[float, list[Side]] = {}

    def sides(self, seconds: float, patience: float = PATIENCE) -> list[Side]:
        """All of them, serving, with timeouts of `seconds`. `patience`: seconds for whatever is due at once."""
        if seconds not in self._sides:
            self._sides[seconds] = [self._start(name, agent, seconds) for name, agent in self._connectables.items()]
        for side in self._sides[seconds]:
            side.patience = patience
        return self._sides[seconds]

    def _start(self, name: str, connectable: Connectable, seconds: float) -> Side:
        row = self._session.row(connectable, "unix")
        agent = server.start(row.witness, connectable, "unix", row.spec(*options(seconds)), self._folder)
        self._started.append(agent)
        try:
            return Side(name, agent, row.witness, seconds)
        except (Violation, OSError) as error:
            raise UsageError(f"{connectable.text!r} ({name}) does not come up: {error}") from None

    def renew(self) -> None:
        """Kill them and whatever they left; the next example gets fresh ones."""
        for agent in self._started:
            agent.stop()
        for side in [side for sides in self._sides.values() for side in sides][:1]:
            side.witness.strays(0)
        self._started, self._sides = [], {}


@contextlib.contextmanager
def arena(agents: dict[str, Connectable]) -> Iterator[Arena]:
    """An arena of agents by name. Raises UsageError for one that does not come up."""
    for name, connectable in agents.items():
        if connectable.kind != "exec":
            raise UsageError(f"{connectable.text!r} ({name}): it is started with short timeouts: give it as exec:PATH")
    folder = Path(tempfile.mkdtemp(prefix="guestwire-"))
    folder.chmod(0o755)
    session = Session(folder)
    try:
        for connectable in agents.values():
            session.check(connectable, "unix")
        yield Arena(session, folder, agents)
    finally:
        session.close()
