"""One of the two that get the same bytes: a process that goes on from input to input, and its private folder."""

from __future__ import annotations

import os
import time
from typing import Any

from guestwire.blackbox import gate
from guestwire.blackbox.inputs import Input
from guestwire.blackbox.told import Told, tell
from guestwire.drive.connectable import Connectable
from guestwire.drive.conversation import Conversation
from guestwire.drive.server import Agent, Remote
from guestwire.drive.session import Session
from guestwire.drive.transcript import Transcript
from guestwire.drive.witness import NoWitness
from guestwire.judge.outcome import DeadlineExceeded, Violation

PATIENCE = 5.0  # seconds for what is due at once
MORE_PATIENCE = 20.0  # the same, before a hang is told
DYING = 2.0  # of a process whose connection has ended
NOWHERE = b"/nonexistent-guestwire-fuzz"  # the private folder where no file can be made or seen
Tree = dict[str, tuple[str, int, bytes]]


def _ours(connectable: Connectable) -> bool:
    """Whether files can be made that an agent may use as the oracle may use its own: it is of the same user."""
    pid = None if connectable.kind == "exec" else Remote(connectable).pid
    return pid is None or os.stat(f"/proc/{pid}").st_uid == os.geteuid()


class Side:
    """`name` is what findings call it."""

    def __init__(self, name: str, session: Session, connectable: Connectable, transport: str) -> None:
        self.name = name
        self.connectable = connectable
        self.row = session.row(connectable, transport)
        self.patience = PATIENCE
        self.seen = not isinstance(self.row.witness, NoWitness) and _ours(connectable)
        self.home = NOWHERE.decode()
        self.pristine: Tree = {}
        self._conversation: Conversation | None = None
        self._end = 0.0
        self.codes = True
        self.half_closes = transport != "hybrid"

    def settle_in(self) -> None:
        """Make the private folder, two levels deep in what the witness made for it."""
        top = self.row.witness.scratch()
        for folder in ("deep", "deep/home"):
            self.row.witness.mkdir(f"{top}/{folder}")
        self.home = f"{top}/deep/home"
        self._furnish()
        self.pristine = self.tree()

    def _furnish(self) -> None:
        witness: Any = self.row.witness
        witness.mkdir(f"{self.home}/folder")
        for name, content in gate.FILES.items():
            witness.write(f"{self.home}/{name}", content)
        for name, target in gate.LINKS.items():
            witness.symlink(target, f"{self.home}/{name}")

    @property
    def agent(self) -> Agent:
        """Started if it is not there."""
        return self.row.agent(Transcript())

    # ---- one input

    def send(self, drawn: Input) -> None:
        """All of it, then a half-close. An agent that has closed already is no failure: what it answered tells."""
        agent = self.agent
        self._end = time.monotonic() + self.patience
        self._conversation = Conversation(self._connect(agent), lambda: self._end - time.monotonic())
        for number, piece in enumerate(drawn.pieces(self.home.encode())):
            if number:
                self._conversation.let_read()
            self._conversation.send_raw(piece, tolerate=True)
        if self.half_closes:
            self._conversation.half_close()

    def _connect(self, agent: Agent) -> Any:
        try:
            return agent.connect()
        except OSError as error:
            self.row.witness.wait(agent.pid, DYING)
            agent.check_alive()
            raise Violation("the agent accepts a connection", str(error)) from None

    def wait_longer(self) -> None:
        """Its time to answer begins anew: what was waited for was the other side."""
        self._end = time.monotonic() + self.patience

    def receive(self) -> Told:
        """What it said. Raises Crash, DeadlineExceeded, or Violation for frames that no agent may send."""
        assert self._conversation is not None
        try:
            told = tell(self._conversation.answer(), self.codes)
        except DeadlineExceeded:
            raise
        except (Violation, OSError) as error:
            self.check_alive(DYING)
            raise error if isinstance(error, Violation) else Violation("the agent is there", str(error)) from None
        finally:
            self.hang_up()
        if self.row.transport == "fd-conn":
            self.agent.check_alive()
        return told

    def hang_up(self) -> None:
        """Whatever is still to come."""
        if self._conversation is not None:
            self._conversation.sock.close()
            self._conversation = None

    def check_alive(self, grace: float = 0.0) -> None:
        """Raise Crash if it has ended, or ends within `grace` seconds."""
        agent = self.row.started
        if grace and self.connectable.kind != "exec":
            time.sleep(grace)  # nobody tells when it ends
        elif grace and agent is not None and agent.pid is not None:
            self.row.witness.wait(agent.pid, grace)
        self.row.check_alive()

    # ---- what is left

    def tree(self) -> Tree:
        """What stands in the private folder's own directory: the kind, mode and content of each."""
        return {name: (info.kind, info.mode if info.kind != "link" else 0, content)
                for name, (info, content) in self.row.witness.tree(f"{self.home}/..").items()}  # fmt: skip

    def tidy(self, tree: Tree) -> None:
        """Put the folder back as it was, where it is not."""
        if tree == self.pristine:
            return
        top = self.home.rpartition("/")[0]
        for name in self.row.witness.names(top):
            self.row.witness.drop(f"{top}/{name}")
        self.row.witness.mkdir(self.home)
        self._furnish()

    def settled(self, within: float) -> None:
        """Within so many seconds it holds no more than after its start, and is the process it was. Raises Leak, Crash."""
        self.row.check_alive()
        for check, what in self.row.settled(within).items():
            raise Leak(check, what)
        self.row.bracket("SRV-SURVIVE", Transcript())

    def renew(self) -> None:
        """Kill it; the next input meets a fresh one."""
        self.hang_up()
        self.row.discard()


class Leak(Violation):
    """What an agent still holds. `check`: what that breaks."""

    def __init__(self, check: str, what: str) -> None:
        super().__init__("no more held than after its start", what)
        self.check = check
