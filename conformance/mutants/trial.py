"""Mutants judged by the suite: each in a process of its own, forked from one that has loaded everything, several at once.

One process for each mutant and one worker in it, so that what one leaves behind is never blamed on another, and so that a
hundred of them cost little more than their cases.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guestwire.drive import connectable
from guestwire.drive.conversation import CHUNKINGS
from guestwire.drive.process import kill_tree
from guestwire.drive.selection import RESULT
from guestwire.judge.case import DEADLINE
from guestwire.judge.outcome import CaseResult
from guestwire.mutants.load import Mutant, declared, is_pattern, unchunked
from guestwire.report import document

TRANSPORT = "unix"
OF_A_PATTERN = 3  # so many cases of a declared pattern, unless all are run
DEAR = ("start", "destructive")  # needs of cases that are not in the sample
USUAL_DEADLINE = 8.0  # seconds, instead of a case's usual one: a broken agent is not worth waiting long
TRIAL_TIMEOUT = 400.0  # seconds for one mutant
FULL_TRIAL_TIMEOUT = 3000.0


@dataclass(frozen=True)
class Known:
    """A case of the suite that an agent can fail."""

    case: str
    checks: tuple[str, ...]
    needs: frozenset[str]
    slow: bool  # it waits much, or has been given more than the usual deadline

    @property
    def first_chunking(self) -> bool:
        """Whether it is no other chunking of a case that is there as `whole`."""
        return unchunked(self.case) == self.case or self.case.endswith(f":{CHUNKINGS[0]}")


@dataclass
class Trial:
    """What came out for one mutant; `error` says why there is nothing."""

    mutant: Mutant
    cases: list[str]  # that were to run
    results: dict[str, CaseResult]
    error: str = ""
    seconds: float = 0.0


class _Collected:
    """Takes down the cases that pytest has collected."""

    def __init__(self) -> None:
        self.cases: list[Known] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            result = item.stash[RESULT]
            if result.transport == TRANSPORT:
                case = item.function.guestwire_case  # type: ignore[attr-defined]
                slow = case.long or case.deadline > DEADLINE
                self.cases.append(Known(result.case, tuple(result.checks), case.needs, slow))


def collect(options: Sequence[str], agent: str) -> list[Known]:
    """Every case there is for an agent, in the suite's order. The suite's modules stay loaded, for the processes to come."""
    collected = _Collected()
    words = [*options, f"--agent={agent}", f"--transport={TRANSPORT}", "--collect-only"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main(words, plugins=[collected])
    if status != pytest.ExitCode.OK or not collected.cases:
        raise RuntimeError(f"the suite could not be collected: {' '.join(said.getvalue()[-400:].split())}")
    return collected.cases


def sample(cases: Iterable[Known]) -> list[str]:
    """The cases that every mutant meets: for each check the first one in the suite's order that is neither slow nor dear."""
    seen: set[str] = set()
    chosen = []
    for case in cases:
        if case.first_chunking and not case.slow and not case.needs & set(DEAR) and not set(case.checks) <= seen:
            seen |= set(case.checks)
            chosen.append(case.case)
    return chosen


def chosen(mutant: Mutant, cases: Sequence[Known], full: bool) -> list[str]:
    """The cases to run on a mutant: all, or the sample and the declared ones."""
    if full:
        return [case.case for case in cases]
    wanted = set(sample(cases))
    for name, meant in declared((*mutant.kills, *mutant.also), [case.case for case in cases]).items():
        first = [case for case in meant if case in {c.case for c in cases if c.first_chunking}]
        wanted |= set(first[:OF_A_PATTERN] if is_pattern(name) else meant)
    return [case.case for case in cases if case.case in wanted]


class _Process:
    """A forked process that judges one mutant and writes its results to a file."""

    def __init__(self, trial: Trial, options: Sequence[str], agent: str, folder: Path, timeout: float) -> None:
        self.trial = trial
        self._started = time.monotonic()
        self._timeout = timeout
        self._results = folder / f"{trial.mutant.id}.json"
        self._log = folder / f"{trial.mutant.id}.log"
        selection = folder / f"{trial.mutant.id}.selection"
        selection.write_text(json.dumps({connectable.parse(agent).label: trial.cases}))
        words = [
            *options, f"--agent={agent}", f"--transport={TRANSPORT}", f"--selection={selection}",
            f"--results={self._results}", f"--usual-deadline={USUAL_DEADLINE}",
        ]  # fmt: skip
        self.pid = os.fork()
        if self.pid == 0:
            _judge(words, folder, self._log)

    def ended(self) -> bool:
        """Whether it has ended, by itself or because its time was over; then the trial holds what came out."""
        late = time.monotonic() - self._started > self._timeout
        if late:
            self.kill()
            self.trial.error = f"not done within {self._timeout:g} s"
        elif os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self.trial.seconds = time.monotonic() - self._started
        self._read()
        return True

    def kill(self) -> None:
        kill_tree(self.pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _read(self) -> None:
        if not self.trial.error and self._results.exists():
            self.trial.results = {r.case: r for r in document.results(document.load(self._results))}
        elif not self.trial.error:
            said = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
            self.trial.error = " ".join(said[-400:].split()) or "the run ended without results"


def _judge(words: list[str], folder: Path, log: Path) -> Any:
    """In the forked process: a pytest run."""
    try:
        os.environ["TMPDIR"] = str(folder)
        number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(number, 1)
        os.dup2(number, 2)
        pytest.main(words)
    finally:
        os._exit(0)


def run(
    trials: Sequence[Trial],
    options: Sequence[str],
    agents: dict[str, str],
    folder: Path,
    jobs: int,
    full: bool,
    done: Callable[[Trial], None],
) -> None:
    """Run all trials, `jobs` at a time; `agents` maps mutants to connectables. Each trial is told to `done` as it ends."""
    waiting = sorted((t for t in trials if not t.error), key=lambda t: -len(t.cases))
    running: list[_Process] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                trial = waiting.pop(0)
                timeout = FULL_TRIAL_TIMEOUT if full else TRIAL_TIMEOUT
                running.append(_Process(trial, options, agents[trial.mutant.id], folder, timeout))
            for process in [process for process in running if process.ended()]:
                running.remove(process)
                done(process.trial)
            time.sleep(0.02)
    finally:
        for process in running:
            process.kill()
