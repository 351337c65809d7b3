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
from guestwire.stateful.side import PATIENCE, Side
from guestwire.stateful.steps import SECONDS, options


class Arena:
    """The agents that steps are played on, in this order. `seconds`: the timeouts of those that are started from now on."""

    def __init__(self, session: Session, folder: Path, agents: dict[str, Connectable]) -> None:
        self._session, self._folder, self._connectables = session, folder, agents
        self._started: list[Agent] = []
        self.seconds = SECONDS
        self._sides: list[Side] = []

    def sides(self, patience: float = PATIENCE) -> list[Side]:
        """All of them, serving. `patience`: seconds for whatever is due at once."""
        if not self._sides:
            for name, connectable in self._connectables.items():
                row = self._session.row(connectable, "unix")
                agent = server.start(row.witness, connectable, "unix", row.spec(*options(self.seconds)), self._folder)
                self._started.append(agent)
                self._sides.append(Side(name, agent, row.witness))
        for side in self._sides:
            side.patience = patience
        return self._sides

    def renew(self) -> None:
        """Kill them and whatever they left; the next example gets fresh ones."""
        for agent in self._started:
            agent.stop()
        for side in self._sides[:1]:
            side.witness.strays()
        self._started, self._sides = [], []


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
