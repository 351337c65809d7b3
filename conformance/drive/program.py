"""A bridge or a gate under test, for one case: started on demand, watched, and judged for what it leaves once the case is over.

A case takes the fixture `program`, mostly through the bench of its suite. At the end of every case that did not fail

- a program that serves (see Running.serves) is still there, and holds no descriptor, thread or process more than it held then;
- SIGTERM ends what still runs, and no process is left behind;
- in `folder`, where the program is told to make its sockets and files, nothing is left that the case did not keep().

The first is the contract's `leaks`, the last its `files`; a program that ended by itself, or by a signal that the case did not
send, is a CRASH.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from guestwire.drive import guest, template
from guestwire.drive.connectable import Connectable
from guestwire.drive.process import StartSpec
from guestwire.drive.server import ENVIRONMENT, describe_exit
from guestwire.judge.outcome import CouldNotRun, Crash, bounded, short

SETTLE_TIMEOUT = 4.0  # seconds to give back what a case used
STOP_TIMEOUT = 3.0  # seconds from SIGTERM to the end; whoever takes longer is not judged by its files


class Running:
    """One start of the program, or of a helper of the case's own (then nothing is judged)."""

    def __init__(self, witness: Any, spec: StartSpec, judged: bool) -> None:
        self.spec = spec
        self.judged = judged
        self._witness = witness
        self._baseline: tuple[int, int, int] | None = None
        self._sent: set[int] = set()
        self._may_end = False
        self.pid: int = witness.start(spec)

    def pids(self) -> list[int]:
        """For evidence."""
        return [self.pid]

    def serves(self) -> None:
        """It has come up and nobody uses it: what it holds now is what it may hold at the case's end, which it has to live to."""
        self._baseline = self._witness.counts(self.pid)

    def may_end(self) -> None:
        """From now on its end is no crash: the case is about it."""
        self._may_end = True

    def poll(self) -> int | None:
        """Exit status (negative: signal), None while it lives."""
        status: int | None = self._witness.poll(self.pid)
        return status

    def wait(self, timeout: float) -> int | None:
        """The same after waiting at most `timeout` seconds."""
        status: int | None = self._witness.wait(self.pid, timeout)
        return status

    def signal(self, number: int) -> None:
        """Send it a signal, which may end it."""
        self._sent.add(number)
        if self.poll() is None:
            self._witness.signal(self.pid, number)

    def stderr(self) -> str:
        """What it has written to stderr so far, and to stdout unless that has a file of its own."""
        text: bytes = self._witness.stderr(self.pid)
        return text.decode(errors="backslashreplace")

    def stdout(self) -> str:
        """What it has written to stdout so far; started with stdout="file"."""
        text: bytes = self._witness.stdout(self.pid)
        return text.decode(errors="backslashreplace")

    def check(self) -> None:
        """Raise Crash if it ended by itself though it serves, or by a signal that the case did not send."""
        status = self.poll()
        if status is None or not self.judged:
            return
        by_itself = self._baseline is not None and not self._may_end and not self._sent
        if by_itself or (status < 0 and -status not in self._sent):
            raise Crash("the program lives", f"it {describe_exit(status)}; stderr: {self.stderr()[-400:]!r}")

    def held(self, within: float = SETTLE_TIMEOUT) -> str:
        """What it holds beyond what it held when it came up, "" for nothing. Waits for that at most `within` seconds."""
        end, pause = time.monotonic() + within, 0.002
        while self._baseline is not None and self.judged:
            now = self._witness.counts(self.pid)
            if now is None:
                return ""
            named = zip(("descriptors", "threads", "children"), now, self._baseline, strict=True)
            told = ", ".join(f"{has} {name} ({had} when it had come up)" for name, has, had in named if has > had)
            if not told or time.monotonic() > end:
                return told
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        return ""

    def orderly(self) -> bool:
        """End it by SIGTERM. Return: whether it exited, now or before: one that was killed puts nothing away."""
        if self.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait(STOP_TIMEOUT)
        return status is not None and status >= 0


class Program:
    """Given to a case as `program`."""

    def __init__(self, connectable: Connectable, transport: str, witness: Any, deadline: float) -> None:
        self.connectable = connectable
        self.contract = connectable.contract
        self.argv = guest.command(connectable) if connectable.in_guest else connectable.argv
        self.transport = transport
        self.witness = witness
        self.end = time.monotonic() + deadline
        self.soft: dict[str, tuple[str, str]] = {}  # checks other than the case's own, found broken on the way
        self.folder: str = witness.scratch()  # the program's; also its HOME and TMPDIR
        self.scratch: str = witness.scratch()  # the case's own
        self._kept: set[str] = set()
        self._started: list[Running] = []
        self._at_end: list[Callable[[], object]] = []

    def left(self) -> float:
        """Seconds until the case's deadline."""
        return self.end - time.monotonic()

    # ---- starting

    def bridge(self, listen: str, connect: str) -> tuple[str, ...]:
        """The command line of a bridge from one address to another one, by the connectable's template; options come after it."""
        return template.bridge(self.argv, listen, connect)

    def gate(self, kind: str, target: str, timeout: float) -> tuple[str, ...]:
        """The same of a gate with one probe."""
        return template.gate(self.argv, kind, target, timeout)

    @property
    def environment(self) -> dict[str, str | bytes]:
        """What it is started with, so that the harness's own shows in no verdict."""
        own: dict[str, str | bytes] = {"HOME": self.folder, "TMPDIR": self.folder}
        return ENVIRONMENT | own | self.connectable.environment

    def start(self, argv: Iterable[str], **conditions: Any) -> Running:
        """The program with this command line (its argv is the beginning; a wrapper before it is allowed), under the
        conditions that StartSpec names. It does not wait for anything. Ended with the case."""
        conditions["env"] = self.environment | (conditions.get("env") or {})
        return self._start(StartSpec(argv=tuple(argv), **conditions), judged=True)

    def helper(self, argv: Iterable[str], **conditions: Any) -> Running:
        """Something else that the case needs: an sshd, say. Killed with the case, and not judged."""
        return self._start(StartSpec(argv=tuple(argv), **conditions), judged=False)

    def _start(self, spec: StartSpec, judged: bool) -> Running:
        try:
            running = Running(self.witness, spec, judged)
        except OSError as error:
            raise CouldNotRun(f"{spec.argv[0]} cannot be started: {error}") from None
        self._started.append(running)
        return running

    # ---- on the way

    def keep(self, path: str | Path) -> None:
        """A path in `folder` that may stand there at the end: the case put it there, or the contract leaves it."""
        self._kept.add(os.path.basename(path))

    def at_end(self, call: Callable[[], object]) -> None:
        """To be called when the case is over, whatever came of it, before the program is judged for what it holds: close what the
        case has opened. The last one is called first."""
        self._at_end.append(call)

    def should(self, check: str, condition: object, expected: str, actual: object) -> None:
        """Record a check that is not the case's own as broken, without ending the case."""
        if not condition:
            told = bounded(actual) if isinstance(actual, str) else short(actual)
            self.soft.setdefault(check, (bounded(expected), told))

    def agents(self) -> list[Running]:
        """Every start, for evidence."""
        return list(self._started)

    # ---- the end

    def finish(self) -> None:
        """What must hold after every case; see above. Raises Crash."""
        self._put_away()
        judged = [running for running in self._started if running.judged]
        for running in judged:
            running.check()
        for running in judged:
            held = running.held()
            self.should(self.contract.leaks, not held, "no more held than when it had come up", held)
            running.check()
        orderly = [running.orderly() for running in judged]
        for running in judged:
            running.check()
        for running in (running for running in self._started if not running.judged):
            self.witness.stop(running.pid)
        strays = self.witness.strays()
        self.should(self.contract.leaks, not strays, "no process left behind", strays)
        left = sorted(set(self.witness.names(self.folder)) - self._kept) if all(orderly) else []
        self.should(self.contract.files, not left, "nothing left of what it made", left)

    def blame(self, error: Exception) -> None:
        """After a failure: raise Crash if the program has died, which explains it better."""
        for running in self._started:
            running.wait(0.2)
            try:
                running.check()
            except Crash as crash:
                raise Crash(crash.expected, f"{crash.actual} ({error})") from error

    def _put_away(self) -> None:
        while self._at_end:
            self._at_end.pop()()

    def release(self) -> None:
        """Close and kill what the case used, whatever happened."""
        with contextlib.suppress(OSError):
            self._put_away()
        for running in self._started:
            self.witness.stop(running.pid)
        for folder in (self.folder, self.scratch):
            self.witness.drop(folder)
