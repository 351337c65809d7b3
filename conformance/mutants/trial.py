"""Mutants judged by the suite: each in a process of its own, forked from one that has collected the suite, several at once.

One process for each mutant and one worker in it, so that what one leaves behind is never blamed on another, and so that a
hundred of them cost little more than their cases.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from guestwire.drive import connectable
from guestwire.drive.connectable import Connectable
from guestwire.drive.conversation import CHUNKINGS
from guestwire.drive.process import kill_tree
from guestwire.drive.selection import RESULT, contract_of
from guestwire.drive.session import SESSION, Session
from guestwire.judge import ledger
from guestwire.judge.case import DEADLINE
from guestwire.judge.contract import AGENT, Contract
from guestwire.judge.outcome import CaseResult
from guestwire.mutants.load import Mutant, declared, is_pattern, unchunked

TRANSPORT = "unix"  # of an agent
NOWHERE = "-"  # of cases that judge no agent
ALWAYS = {"agent": "PING", "bridge": "BRIDGE-BYTES", "ready": "READY-SSH"}  # the clause that every mutant meets
ONE_IN = 8  # mutants, for each case of the sample that is about other clauses
OF_A_PATTERN = 3  # so many cases of a pattern that is to kill, unless all are run
DEAR = ("start", "destructive")  # needs of cases that are not in the sample
CROWDED = {  # nor are these, of some hundred conversations each
    "JSON-PROFILE/reject:starts-nothing",
    "JSON-PROFILE/accept:corpus",
    "JSON-PROFILE/reject:corpus",
    "ERR-CODE/known:corpus",
    "JSON-LIMITS/size:starts-nothing",
    "JSON-ORDER/size",
    "JSON-DUP/plain:thousands",
    "PUT-CLEAN/cut:put",
}
USUAL_DEADLINE = 15.0  # seconds, instead of a case's usual one: a broken agent is not worth waiting long
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


class _Loop:
    """A pytest plugin that hands the collected suite over instead of running it."""

    def __init__(self, work: Callable[[Suite], None]) -> None:
        self._work = work
        self.error: BaseException | None = None
        self.done = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.done = True
        try:
            self._work(Suite([item for item in session.items if isinstance(item, pytest.Function)], session.config))
        except BaseException as error:  # pytest would make an internal error of it
            self.error = error
        return True


@dataclass
class Suite:
    """The collected suite: every case there is for an agent, ready to run."""

    items: list[pytest.Function]
    config: pytest.Config

    def __post_init__(self) -> None:
        """Each case once, on the first transport that has it. An agent's are collected for one transport only."""
        first: dict[str, pytest.Function] = {}
        order = [TRANSPORT, *self.contract.transports]
        for item in sorted(self.items, key=lambda item: _place(order, item)):
            first.setdefault(item.stash[RESULT].case, item)
        self.items = [item for item in self.items if first[item.stash[RESULT].case] is item]

    @property
    def contract(self) -> Contract:
        """That it is about."""
        return contract_of(self.config)

    def cases(self) -> list[Known]:
        """Those that an agent can fail, in the suite's order."""
        found = []
        for item in self.items:
            result = item.stash[RESULT]
            if result.transport != NOWHERE:
                case = item.function.guestwire_case
                slow = case.long or case.deadline > DEADLINE
                found.append(Known(result.case, tuple(result.checks), case.needs, slow))
        return found


def _place(order: list[str], item: pytest.Function) -> int:
    transport = item.stash[RESULT].transport
    return order.index(transport) if transport in order else len(order)


def with_suite(options: Sequence[str], agent: str, work: Callable[[Suite], None], contract: Contract = AGENT) -> None:
    """Collect the suite once, for an agent that is sound, and call `work` with it. What it raises is raised here."""
    loop = _Loop(work)
    words = [*options, f"--contract={contract.name}", f"--agent={agent}", f"--usual-deadline={USUAL_DEADLINE}"]
    words += [f"--transport={TRANSPORT}"] if contract is AGENT else []
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        pytest.main(words, plugins=[loop])
    if loop.error is not None:
        raise loop.error
    if not loop.done:
        raise RuntimeError(f"the suite could not be collected: {' '.join(said.getvalue()[-400:].split())}")


def sample(cases: Iterable[Known], breaks: Iterable[str] = ()) -> list[str]:
    """The cases that a mutant meets anyway: for each clause the first one in the suite's order that is neither slow nor dear,
    and in the clauses that it breaks for each check."""
    near = {clause_of(check) for check in breaks}
    seen: set[str] = set()
    chosen = []
    for case in cases:
        if not case.first_chunking or case.slow or case.needs & set(DEAR) or case.case in CROWDED:
            continue
        proves = {check if clause_of(check) in near else clause_of(check) for check in case.checks}
        if not proves <= seen:
            seen |= proves
            chosen.append(case.case)
    return chosen


def clause_of(check: str) -> str:
    return check.partition("/")[0]


def contract_of_check(check: str) -> str:
    """The name of the contract that a check is of."""
    return ledger.contract_of(clause_of(check)).name


def _falls_to(mutant: str, case: str) -> bool:
    """One in so many mutants meets a case of the sample that has nothing to do with what it breaks: always the same ones."""
    return zlib.crc32(f"{mutant} {case}".encode()) % ONE_IN == 0


def chosen(mutant: Mutant, cases: Sequence[Known], full: bool) -> list[str]:
    """The cases to run on a mutant: all, or its part of the sample and the declared ones."""
    if full:
        return [case.case for case in cases]
    near = {clause_of(check) for check in (*mutant.breaks, ALWAYS[contract_of_check(mutant.breaks[0])])}
    far = {case.case for case in cases if not near & {clause_of(check) for check in case.checks}}
    wanted = {case for case in sample(cases, mutant.breaks) if case not in far or _falls_to(mutant.id, case)}
    firsts = {case.case for case in cases if case.first_chunking}
    named = (*mutant.kills, *(name for name in mutant.also if not is_pattern(name)))
    for name, meant in declared(named, [case.case for case in cases]).items():
        first = [case for case in meant if case in firsts]
        wanted |= set(first[:OF_A_PATTERN] if is_pattern(name) else meant)
    return [case.case for case in cases if case.case in wanted]


class _Process:
    """A forked process that judges one mutant and writes its results to a file."""

    def __init__(self, trial: Trial, suite: Suite, agent: str, folder: Path, timeout: float) -> None:
        self.trial = trial
        self._started = time.monotonic()
        self._timeout = timeout
        self._results = folder / f"{trial.mutant.id}.json"
        self._log = folder / f"{trial.mutant.id}.log"
        self.pid = os.fork()
        if self.pid == 0:
            one = connectable.parse_all([agent], suite.contract.name)[0]
            _judge(suite, set(trial.cases), one, self._results, self._log)

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
            results = [CaseResult.from_json(fields) for fields in json.loads(self._results.read_text(encoding="utf-8"))]
            self.trial.results = {result.case: result for result in results}
        elif not self.trial.error:
            said = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
            self.trial.error = " ".join(said[-400:].split()) or "the run ended without results"


def _judge(suite: Suite, wanted: set[str], agent: Connectable, results: Path, log: Path) -> NoReturn:
    """In the forked process: run the wanted cases, on another agent than the one they were collected for."""
    try:
        number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(number, 1)
        os.dup2(number, 2)
        for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # what a caller ignores no agent is to inherit
            if signal.getsignal(signum) == signal.SIG_IGN:
                signal.signal(signum, signal.SIG_DFL)
        session = Session(Path(tempfile.mkdtemp(dir=results.parent)))
        session.folder.chmod(0o755)
        suite.config.stash[SESSION] = session
        items = [item for item in suite.items if item.stash[RESULT].case in wanted]
        for item in items:
            item.stash[RESULT].agent = agent.label
            item.callspec.params[suite.contract.fixture] = (agent, item.stash[RESULT].transport)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        session.close()
        written = results.with_suffix(".part")
        written.write_text(json.dumps([item.stash[RESULT].to_json() for item in items]))
        written.rename(results)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(0)


def run(
    trials: Sequence[Trial],
    suite: Suite,
    agents: dict[str, str],
    folder: Path,
    jobs: int,
    full: bool,
    done: Callable[[Trial], None],
) -> None:
    """Run all trials, `jobs` at a time; `agents` maps mutants to connectables. Each trial is told to `done` as it ends."""
    slow = {case.case for case in suite.cases() if case.slow}
    waiting = sorted(trials, key=lambda trial: (-len(slow.intersection(trial.cases)), -len(trial.cases)))
    timeout = FULL_TRIAL_TIMEOUT if full else TRIAL_TIMEOUT
    running: list[_Process] = []
    gc.freeze()  # what is there already is shared by all processes
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                trial = waiting.pop(0)
                running.append(_Process(trial, suite, agents[trial.mutant.id], folder, timeout))
            for process in [process for process in running if process.ended()]:
                running.remove(process)
                done(process.trial)
            time.sleep(0.02)
    finally:
        for process in running:
            process.kill()
