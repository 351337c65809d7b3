"""An agent whose allocations fail on demand, and what it may do then."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from channel import ARENA, FAILED, KINDS, MEMORY, PROCESS, THREAD, Channel

from guestwire.agents.descriptor import Descriptor
from guestwire.blackbox.inputs import Input
from guestwire.blackbox.side import Side, Tree
from guestwire.blackbox.told import Told
from guestwire.drive import connectable, server
from guestwire.drive.session import Session
from guestwire.judge.outcome import Crash, Violation, expect

LIFTED = 0.15  # seconds; a request that waits for a thread is served once there is one to be had, which then idles for longer
LONG = 512  # bytes; a longer request has its own memory before it is whole
DYING = 2.0  # seconds
STOPS_WITHIN = 10.0  # seconds; SRV-STOP says 2, a sanitizer looks for leaks before it ends
SANITIZER = re.compile(rb"AddressSanitizer|LeakSanitizer|runtime error|UndefinedBehavior")


class Victim:
    """One process for many inputs. `failed` counts the allocations that did."""

    def __init__(self, program: Path, session: Session, folder: Path) -> None:
        self.channel = Channel(folder / f"plan-{program.parent.name}")
        environment = (("GUESTWIRE_OOM", str(folder / f"plan-{program.parent.name}")),)
        named = Descriptor("oom", program, environment=environment)
        self._agent = replace(connectable.parse(f"exec:{program}"), text=str(program), declared=named)
        self.side = Side("agent", session, self._agent, "unix")
        self.side.settle_in()
        self.failed = 0
        self.outcomes: Counter[str] = Counter()  # what failed, and what came of it
        self.idle = 0.0  # seconds to wait before each input, of which then only threads fail

    # ---- one input

    def say(self, drawn: Input, at: int = 0, after: bool = False) -> Told:
        """What it says to an input, while that allocation fails. Raises Violation."""
        self.side.agent  # noqa: B018 - started and warmed up before anything fails
        time.sleep(self.idle)
        self.channel.plan(at, after, THREAD if self.idle else 0)
        answered = threading.Event()
        lifting = threading.Thread(target=self._lift, args=(answered,))
        lifting.start()
        try:
            self.side.send(drawn)
            return self.side.receive()
        finally:
            answered.set()
            lifting.join()
            self.channel.lift()
            self.failed += self.channel[FAILED]

    def _lift(self, answered: threading.Event) -> None:
        """However slow the machine: LIFTED after the first allocation has failed, not before."""
        while not self.channel[FAILED]:
            if answered.wait(0.005):
                return
        if not answered.wait(LIFTED):
            self.channel.lift()

    def sweep(self, drawn: Input) -> int:
        """Every allocation of an input, one after the other. Return: how many it makes. Raises Violation."""
        right = self.say(drawn)
        self._files(drawn)
        made = 0
        for after in (False, True):
            at = 1
            while True:
                where = f"with allocation {at}{' and all after it' if after else ''} failing"
                try:
                    told = self.say(drawn, at, after)
                    tree = self._files(drawn)
                    if not self.channel[FAILED]:
                        break
                    self._judge(right, told, tree, len(drawn.stream()) > LONG)
                except Violation as error:
                    what = f"{error.actual}, {where} ({self.channel.kinds()})"
                    raise type(error)(error.expected, what) from None
                at += 1
            made = max(made, at - 1)
        return made

    def _files(self, drawn: Input) -> Tree:
        """What an input has left in the folder, which is as at first afterwards."""
        if b"put" not in drawn.stream():
            return self.side.pristine
        tree = self.side.tree()
        self.side.tidy(tree)
        return tree

    def _judge(self, right: Told, told: Told, tree: Tree, long: bool) -> None:
        """SRV-SURVIVE: the answer as ever, `internal`, `spawn_failed` of a run, or, where there is no room for the request or the
        answer itself, nothing; in any case no half upload, and a ping as ever."""
        kinds = self.channel[KINDS]
        allowed = [right.shape]
        allowed += ["error internal"] if kinds & (ARENA | MEMORY) else []
        allowed += ["error spawn_failed"] if kinds & (MEMORY | PROCESS) and right.shape in ("exit", "timeout") else []
        allowed += ["closed"] if kinds & MEMORY and long else []
        self.outcomes[f"{self.channel.kinds()}: {'as ever' if told.shape == right.shape else told.shape}"] += 1
        if told.shape not in allowed:
            self.side.check_alive(DYING)  # the connection ends before the process does
        expect(told.shape in allowed, f"one of {', '.join(allowed)}", str(told))
        if told.shape == right.shape:
            expect(told.lines == right.lines, str(right), str(told))
        if told.shape != right.shape:
            expect(tree == self.side.pristine, "no file changed by what was refused", ", ".join(tree))

    def settled(self) -> None:
        """It holds no more than at first, and answers a ping. Raises Violation."""
        self.side.settled(4.0)

    # ---- its start and end

    def start_sweep(self) -> int:
        """Every allocation of its start: it serves, or it ends with one line. Return: how many there are. Raises Violation."""
        row = self.side.row
        for after in (False, True):
            at = 1
            while True:
                self.channel.plan(at, after)
                ended: Violation | None = None
                try:
                    agent = server.start(row.witness, self._agent, "unix", row.spec(), row.folder)
                    agent.stop()
                except Crash as error:
                    ended = error
                finally:
                    self.channel.lift()
                if not self.channel[FAILED]:
                    break
                self.failed += self.channel[FAILED]
                if ended is not None:
                    told = ended.actual
                    fine = re.fullmatch(r"it exited with status [12]; stderr: '[^\\]+\\n'", told)
                    expect(fine, f"one line and exit status 1 or 2, with allocation {at} of its start failing", told)
                at += 1
        return at - 1

    def stop(self) -> None:
        """SRV-STOP, and no word of a sanitizer: of leaks, too. Raises Violation."""
        agent = self.side.row.started
        if agent is None:
            return
        witness: Any = self.side.row.witness
        assert agent.pid is not None
        witness.signal(agent.pid, signal.SIGTERM)
        status = witness.wait(agent.pid, STOPS_WITHIN)
        stderr = witness.stderr(agent.pid)
        self.side.renew()
        found = SANITIZER.search(stderr)
        told = stderr[max(found.start() - 100, 0) :].decode(errors="replace")[:3000] if found else f"status {status}"
        expect(status == 0 and found is None, "exit status 0 after SIGTERM, and nothing lost", told)
