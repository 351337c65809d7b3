"""Fail every allocation of an agent, one after the other, in the conformance cases that are data.

    python fuzz/oom/cases.py [--seconds N] AGENT...

AGENT is linked with fail.c. Each input is sent with its N-th allocation failing, N = 1, 2, ... until one passes untouched, alone
and with all after it. Last line: N passed, N failed, N skipped. Exit status: 0, 1 where an agent does what it must not or no
allocation of an input failed, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from victim import Victim

from guestwire.blackbox.inputs import Frame, Input
from guestwire.blackbox.seeds import PLAIN, UPLOAD, control, seeds
from guestwire.drive.session import Session
from guestwire.judge.outcome import Violation

ENOUGH = 5  # failures of one agent, after which there is no point in going on
IDLE = 0.8  # seconds; by then an agent has let its idle threads go, and has to make one anew
LOOK_EVERY = 50
SIZES = (3000, 70_000, (1 << 20) - 1)  # bytes of a request that does not fit where short ones are kept


def inputs() -> list[Input]:
    """Requests that are long or whose answer is, then all cases: the short ones first, for there may be no time for all."""
    cases = seeds()
    served, cases = cases[: len(PLAIN) + 1], sorted(cases[len(PLAIN) + 1 :], key=lambda each: len(each.stream()))
    found: list[Input] = []
    upload = (control(UPLOAD), Frame(4, b"abcdef"), Frame(5, b""))
    for frames in (*((control(fields),) for fields in PLAIN), upload):
        for size in SIZES:
            padded = frames[0].payload + b" " * (size - len(frames[0].payload))
            found.append(Input((replace(frames[0], payload=padded), *frames[1:]), origin=f"{size} bytes"))
    slow = b'{"op":"run","shell":"raw","cmd":"sleep 9","timeout":0.05' + b"0" * 70_000 + b"}"
    return [*served, *found, Input((Frame(1, slow),), origin="a timeout of 70,000 digits"), *cases]


COLD = Input((control(PLAIN[1]),), origin="a run, with a new thread")


class Sweep:
    """All inputs on one agent."""

    def __init__(self, program: Path, session: Session, seconds: float) -> None:
        """`seconds`: for the inputs, 0 for as long as they take; its start comes before, and is not counted."""
        self.name = f"{program.parent.name}/{program.name}"
        self._session, self._seconds = session, seconds
        self._end: float | None = None
        self._victim = Victim(program, session, session.folder)
        self.swept = self.failures = self.made = 0

    def run(self, warm: list[Input]) -> None:
        """Play and tell."""
        self._try("its start", self._victim.start_sweep)
        self._victim.idle = IDLE
        self._try(COLD.origin, functools.partial(self._victim.sweep, COLD))
        self._victim.idle = 0.0
        self._end = time.monotonic() + self._seconds if self._seconds else None
        before = self._victim.failed
        for number, drawn in enumerate(warm, 1):
            if self.over:
                break
            self._try(drawn.origin, functools.partial(self._victim.sweep, drawn))
            if number % LOOK_EVERY == 0:
                self._look()
        self._look()
        self._try("", self._victim.stop)
        if not self.failures and self._victim.failed == before:
            self.failures += 1
            print(f"FAIL {self.name}: no allocation failed in any input; was it linked with fail.c?", flush=True)

    @property
    def over(self) -> bool:
        return self.failures >= ENOUGH or (self._end is not None and time.monotonic() > self._end)

    def _look(self) -> None:
        self._try("", self._victim.settled)

    def _try(self, origin: str, action: Callable[[], int | None]) -> None:
        try:
            self.made += action() or 0
            self.swept += bool(origin)
        except (Violation, OSError) as error:
            self.failures += 1
            print(f"FAIL {self.name}: {origin or 'after a while'}\n  {error}", flush=True)
            self._victim.side.renew()
            self._victim.side.tidy(self._victim.side.tree())

    @property
    def told(self) -> str:
        outcomes = "; ".join(f"{what} {count}" for what, count in self._victim.outcomes.most_common())
        return f"{self._victim.failed} allocations failed, {self.made} of them different ones ({outcomes})"


def main() -> int:
    parser = argparse.ArgumentParser(description="Fail every allocation of an agent in the conformance cases.")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so many (default: at the end)")
    parser.add_argument("--inputs", type=int, metavar="N", help="only the first N")
    parser.add_argument("agents", nargs="+", type=Path, metavar="AGENT")
    options = parser.parse_args()
    missing = [str(path) for path in options.agents if not path.is_file()]
    if missing:
        parser.error(f"no such file: {', '.join(missing)}")
    warm = inputs()[: options.inputs]
    folder = Path(tempfile.mkdtemp(prefix="guestwire-"))
    folder.chmod(0o755)
    session = Session(folder)
    swept = failures = 0
    try:
        for program in options.agents:
            sweep = Sweep(program.absolute(), session, options.seconds / len(options.agents))
            sweep.run(warm)
            total = len(warm) + 2
            print(f"{sweep.name}: {sweep.swept} of {total} inputs swept, {sweep.told}", flush=True)
            swept, failures = swept + sweep.swept, failures + sweep.failures
    finally:
        session.close()
    print(f"{swept} passed, {failures} failed, 0 skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
