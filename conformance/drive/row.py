"""One agent on one transport, for all cases of a worker: its shared server, that server's footprint and the sanity bracket."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from guestwire.drive import bracket, footprint, guest, server, through
from guestwire.drive.connectable import Connectable
from guestwire.drive.conversation import Conversation
from guestwire.drive.footprint import Footprint
from guestwire.drive.process import StartSpec
from guestwire.drive.server import Agent
from guestwire.drive.transcript import Transcript
from guestwire.judge.outcome import Crash, Violation

WARM_UP = ({"op": "run", "cmd": "true"}, {"op": "get_file", "path": "/etc/passwd"})
SETTLE_TIMEOUT = 4.0  # seconds an agent has to give back what a case used


class Row:
    """One agent on one transport, for all cases of a worker: the shared server and its footprint after warm-up."""

    def __init__(
        self, connectable: Connectable, transport: str, witness: Any, folder: Path, booted: bool = False
    ) -> None:
        """`booted`: a guest's, whose first shared agent is the one that its init has started."""
        self.connectable = connectable
        self._command = guest.command(connectable) if connectable.in_guest else connectable.argv
        self.transport = transport
        self.witness = witness
        self.folder = folder
        self._booted = booted
        self._agent: Agent | None = None
        self._baseline: Footprint | None = None
        self._pid: int | None = None
        self._watched: tuple[str, ...] = ()
        self._judges_memory = not connectable.sanitized
        self._instance = ""
        self._bracketed: set[str] = set()

    def spec(self, *options: str, **conditions: Any) -> StartSpec:
        """How this row's agent is started: with a plain environment, so that the harness's own shows in no verdict."""
        conditions["env"] = server.ENVIRONMENT | self.connectable.environment | (conditions.get("env") or {})
        return StartSpec(argv=(*self._command, *options), **conditions)

    @property
    def started(self) -> Agent | None:
        """The shared agent if it is there."""
        return self._agent

    def agent(self, transcript: Transcript) -> Agent:
        """The shared agent, started and warmed up if it is not there. The warm-up goes into the transcript."""
        if self._agent is None:
            home = self._home()
            self._agent = self._begun(home)
            self._pid = self._agent.pid  # none on fd-conn, where each conversation has its own, which has ended by then
            self._instance = ""
            if self._pid is not None:
                self._warm_up(self._agent, transcript)
            elif self._answers_pings and not self._one_shots:
                self._instance = bracket.pulse(self._agent, "before the case", transcript)
            if self._pid is not None or home:
                self._watched += self._agent.folders
                self._baseline = self.witness.footprint(self._pid, self._watched)
            if isinstance(self._agent, through.Via):
                self._agent.note()
        return self._agent

    def _begun(self, home: dict[str, str | bytes]) -> Agent:
        spec = self.spec(env=home)
        if self._booted:
            return guest.start(self.witness, spec, booted=True)
        return through.start(self.witness, self.connectable, self.transport, spec, self.folder)

    @property
    def _one_shots(self) -> bool:
        """Whether each conversation has a process of its own, which ends with it."""
        return self.transport in ("fd-conn", "via-hybrid")

    @property
    def _answers_pings(self) -> bool:
        return "ping" not in self.connectable.lacked_operations

    def bracket(self, clause: str, transcript: Transcript) -> None:
        """After a case: a ping is served, by the process that served the one before it (which came after the case before, or with
        the warm-up). On fd-conn, where every conversation has its own process, another one serves it, once for each clause."""
        if self._agent is None or not self._answers_pings:
            return
        if self._one_shots:
            if clause not in self._bracketed:
                self._bracketed.add(clause)
                bracket.pulse(self._agent, "after the case", transcript)
                self._agent.check_alive()
            return
        instance = bracket.pulse(self._agent, "after the case", transcript)
        if instance != self._instance:
            was = f"the process that called itself {self._instance!r} (sanity bracket)"
            raise Crash(was, f"one that calls itself {instance!r}: it was restarted")

    def bracket_private(self, agent: Agent, transcript: Transcript) -> None:
        """After a case in which an agent of its own refused something: that one is there and serves a ping. On fd-conn each of
        its processes has ended as it should."""
        behind = agent.inner if isinstance(agent, through.Via) else agent
        if isinstance(behind, server.Server) and self._answers_pings:
            try:
                bracket.pulse(agent, "after the case", transcript)
            except (Violation, OSError):
                self.witness.wait(behind.pid, 0.5)  # the connection ends before the process does
                agent.check_alive()
                raise
        if isinstance(behind, (server.Server, server.OneShots)):
            agent.check_alive()

    def _home(self) -> dict[str, str | bytes]:
        """A directory of the row's own as HOME and TMPDIR, unless the agent's descriptor has others for it."""
        if self.connectable.runs_already:
            return {}
        path = self.witness.home()
        self._watched = (path,)
        names = {"HOME", "TMPDIR"} - set(self.connectable.environment)
        return dict.fromkeys(names, path)

    def _warm_up(self, agent: Agent, transcript: Transcript) -> None:
        """What an agent holds for good once it has worked. Whether it works is for the cases to judge, each its own part."""
        end = time.monotonic() + 10
        for request in WARM_UP:
            if request["op"] in self.connectable.lacked_operations:
                continue
            sock = transcript.record(agent.connect(), "warm-up")
            conversation = Conversation(sock, lambda: end - time.monotonic())
            with contextlib.suppress(Violation), conversation.sock:
                conversation.send_json(request)
                conversation.answer()
        if self._answers_pings:
            self._instance = bracket.pulse(agent, "before the case", transcript)
        time.sleep(0.05)

    def settled(self, within: float = SETTLE_TIMEOUT) -> dict[str, str]:
        """Wait until the shared agent holds no more than after warm-up and is set as it was then, at most `within` seconds.
        Return: what it still holds or has changed, by the check that this breaks."""
        if self._agent is None or self._baseline is None:
            return {}
        end = time.monotonic() + within
        pause = 0.002
        while True:
            now = self.witness.footprint(self._pid, self._watched)
            if now is None:
                return {}  # check_alive() tells
            told = footprint.differences(self._baseline, now, self._judges_memory)
            held = self._agent.held() if isinstance(self._agent, through.Via) else ""
            if held:
                told["SRV-SURVIVE/leaks"] = "; ".join(filter(None, (held, told.get("SRV-SURVIVE/leaks", ""))))
            if not told or time.monotonic() > end:
                return told
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def check_alive(self) -> None:
        """Raise Crash if the shared agent has ended."""
        if self._agent is not None:
            self._agent.check_alive()

    def discard(self) -> None:
        """Kill the shared agent; the next case gets a fresh one."""
        if self._agent is not None:
            self._agent.stop()
        for folder in self._watched[:1]:
            self.witness.drop(folder)
        self._agent = self._baseline = None
        self._watched = ()
        self._booted = False
