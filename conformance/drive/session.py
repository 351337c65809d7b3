"""What one worker holds for the whole session: witnesses, rows, and the folder for sockets."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from guestwire.drive import bracket, canary, guest, through
from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.conversation import Conversation
from guestwire.drive.guest import FarWitness, World
from guestwire.drive.namespace import NamespacedWitness
from guestwire.drive.platform import ON_LINUX, lacking
from guestwire.drive.process import become_subreaper
from guestwire.drive.program import Program
from guestwire.drive.row import Row
from guestwire.drive.server import Agent, Remote, Server
from guestwire.drive.through import Via
from guestwire.drive.witness import NoWitness, Witness, shares_world
from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import CouldNotRun, Crash, DeadlineExceeded, Violation


class NothingToJudge(Exception):
    """The agent does not tell good requests from bad ones, so that whatever it passed would say nothing: one line."""


class Session:
    """Rows are made when a case first asks for them, and closed at the end."""

    def __init__(self, folder: Path, worlds: Mapping[str, World] = MappingProxyType({}), number: int = 0) -> None:
        """`worlds`: the guests of the run, by connectable; `number` counts those who use them, this process and its workers."""
        self.folder = folder
        self._worlds = worlds
        self._number = number
        self._far: dict[World, FarWitness] = {}
        self._witness = Witness(folder)
        self._namespaced: NamespacedWitness | None = None
        self._rows: dict[tuple[str, str], Row] = {}
        become_subreaper()

    def _witness_for(self, connectable: Connectable, transport: str) -> Any:
        if connectable.in_guest:
            world = self._worlds[connectable.text]
            if world not in self._far:
                self._far[world] = FarWitness(world, self._number)
            return self._far[world]
        if connectable.runs_already:
            pid = Remote(connectable).pid
            local = pid is not None and shares_world(pid)
            return self._witness if local else NoWitness("the agent runs where the harness cannot see it")
        if transport != "unix-ns":
            return self._witness
        if self._namespaced is None:
            self._namespaced = NamespacedWitness(self.folder, self._witness)
        return self._namespaced

    def program(self, connectable: Connectable, transport: str, deadline: float) -> Program:
        """A bridge or a gate for one case, `deadline` seconds long."""
        if not ON_LINUX:
            raise CouldNotRun(lacking(f"starting a {connectable.contract.noun}"))
        return Program(connectable, transport, self._witness_for(connectable, transport), deadline)

    def row(self, connectable: Connectable, transport: str) -> Row:
        """The row of an agent on a transport. Raises CouldNotRun where the transport is not possible here."""
        key = (connectable.text, transport)
        if key not in self._rows:
            witness = self._witness_for(connectable, transport)
            booted = connectable.in_guest and self._number <= 1  # 0 where there are no workers
            self._rows[key] = Row(connectable, transport, witness, self.folder, booted)
        return self._rows[key]

    def check(self, connectable: Connectable, transport: str) -> str:
        """Before any case: raises UsageError for an agent that cannot be started or, if it runs already, not be reached, and
        NothingToJudge for one that does not tell good requests from bad ones. Return: its agent_version, "" if it does not say.
        """
        if connectable.contract is not AGENT:
            self._check_program(connectable, transport)
            return ""
        here = "unix" if transport == "unix-ns" else transport
        try:
            row = self.row(connectable, here)
            agent = self._first(row, here)
            try:
                _greet(agent)
                if isinstance(agent, Server) or (isinstance(agent, Via) and agent.serves):
                    row.witness.wait(agent.pid, 0.05)
                    agent.check_alive()
                _try_out(agent, connectable, here)
                return _version(agent)
            finally:
                if not connectable.in_guest:
                    agent.stop()
        except (Crash, DeadlineExceeded) as error:
            raise UsageError(f"{connectable.text!r} does not come up: {' '.join(error.actual.split())}") from None
        except (CouldNotRun, OSError) as error:
            raise UsageError(f"{connectable.text!r}: {error}") from None

    def _first(self, row: Row, transport: str) -> Agent:
        """An agent to try; in a guest that of its init, which goes on."""
        if row.connectable.in_guest:
            return guest.start(row.witness, row.spec(), booted=True)
        return through.start(row.witness, row.connectable, transport, row.spec(), self.folder)

    def _check_program(self, connectable: Connectable, transport: str) -> None:
        try:
            program = self.program(connectable, transport, 60)
            try:
                canaries = canary.IN_GUEST if connectable.in_guest else canary.BY_CONTRACT
                canaries[connectable.contract.name](program)
            finally:
                program.release()
        except canary.NotUp as error:
            raise UsageError(f"{connectable.text!r} does not come up: {' '.join(error.actual.split())}") from None
        except Violation as error:
            what = " ".join(f"expected {error.expected}, got {error.actual}".split())
            raise NothingToJudge(f"nothing judged: {connectable.text!r}: {what} (canary)") from None
        except (CouldNotRun, OSError) as error:
            raise UsageError(f"{connectable.text!r}: {error}") from None

    def close(self) -> None:
        """Kill every agent, remove every file."""
        for row in self._rows.values():
            row.discard()
        if self._namespaced is not None:
            self._namespaced.close()
        for witness in self._far.values():
            witness.hang_up()
        self._witness.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _try_out(agent: Agent, connectable: Connectable, transport: str) -> None:
    """The canary. Raises NothingToJudge."""
    try:
        bracket.canary(agent, "ping" not in connectable.lacked_operations)
    except (Violation, OSError) as error:
        if isinstance(agent, Via):
            error = agent.blame() or error
        if not isinstance(error, Violation):
            raise error from None
        what = " ".join(f"expected {error.expected}, got {error.actual}".split())
        raise NothingToJudge(f"nothing judged: {connectable.text!r} over {transport}: {what}") from None


def _version(agent: Agent) -> str:
    """What a ping says. An agent that does not answer it says nothing: the cases are there to judge that."""
    end = time.monotonic() + 2
    try:
        conversation = Conversation(agent.connect(), lambda: end - time.monotonic())
    except (OSError, CouldNotRun):
        return ""
    try:
        conversation.send_json({"op": "ping"})
        version = conversation.answer().terminal.get("agent_version")
        return version[:100] if isinstance(version, str) else ""
    except (OSError, Violation):
        return ""
    finally:
        conversation.close()


def _greet(agent: Agent) -> None:
    """A connection that ends before its first byte, and is ended by the agent. That it can be made at all says little where the
    listening socket was inherited."""
    with agent.connect() as sock, contextlib.suppress(OSError):
        sock.settimeout(2)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)


SESSION = pytest.StashKey[Session]()  # of a pytest config
