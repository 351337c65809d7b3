"""Each item run: the host that its case is given, its outcome, and one report of it."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from guestwire.drive import keeping, selection
from guestwire.drive.connectable import Connectable
from guestwire.drive.host import Host
from guestwire.drive.items import in_the_way
from guestwire.drive.program import Program
from guestwire.drive.selection import RESULT, rows_of
from guestwire.drive.session import SESSION
from guestwire.drive.witness import NoWitness
from guestwire.judge.alike import Said
from guestwire.judge.case import DEADLINE, Case
from guestwire.judge.outcome import (
    CaseResult,
    CouldNotRun,
    Crash,
    DeadlineExceeded,
    NotApplicable,
    Outcome,
    Violation,
    short,
)
from guestwire.judge.outline import of_case
from guestwire.report import carried

HOST = pytest.StashKey[Host | Program]()  # what the case was given


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """One report for each case instead of three, with the case's result. Between processes each costs a millisecond."""
    result = item.stash.get(RESULT, None)
    if result is None:
        return None
    started = time.time()
    reason = selection.stopped(item.config)
    if reason:
        result.outcome, result.expected, result.actual = Outcome.COULD_NOT_RUN.value, "the case to run", reason
        report = pytest.TestReport(item.nodeid, item.location, {}, "skipped", ("", 0, reason), "call")
        carried.load(report, result.to_json() | {"started": started})
        item.ihook.pytest_runtest_logreport(report=report)
        return True
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if HOST in item.stash:
        made = item.stash[HOST]
        lacked = made.connectable.lacks
        result.broken.update({name: list(pair) for name, pair in made.soft.items() if name not in lacked})
    selection.note(item.config, result)
    keeping.leave(item, result, item.stash.get(HOST, None), rows_of(item.config)[0][0])
    said = _said(item, result)
    if HOST in item.stash:
        del item.stash[HOST]  # with its transcript: items live as long as the session
    report = next((report for report in reports if not report.passed), reports[min(1, len(reports) - 1)])
    carried.load(report, result.to_json() | {"started": started, "said": said})
    item.ihook.pytest_runtest_logreport(report=report)
    return True


def _said(item: pytest.Item, result: CaseResult) -> dict[str, Any] | None:
    """For judge/alike.py, None for a case that is not compared."""
    host = item.stash.get(HOST, None)
    if not isinstance(host, Host) or result.outcome != Outcome.PASS or not item.function.guestwire_case.alike:  # type: ignore[attr-defined]
        return None
    return Said.of(of_case(host.transcript.recordings)).to_json()


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The host's view of this row's agent."""
    case: Case = request.function.guestwire_case
    agent, transport = request.param
    _check_possible(case, agent)
    if agent.runs_already:
        _check_running(case, request.config)
    row = request.config.stash[SESSION].row(agent, transport)
    if "witness" in case.needs and isinstance(row.witness, NoWitness):
        raise CouldNotRun(row.witness.why)
    made = Host(row, _usual(request.node.stash[RESULT].deadline, request.config))
    made.clause = case.checks[0].partition("/")[0]
    made.refused = bool(case.twin)
    made.full_sweep = request.config.getoption("sweep") == "full"
    request.node.stash[HOST] = made
    yield made
    keeping.look(request.node, request.node.stash[RESULT], made)
    made.release()
    if request.node.stash[RESULT].outcome != Outcome.PASS or request.config.getoption("restart"):
        row.discard()
        row.witness.strays()  # what a failed case left behind is not the next one's


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    """This row's bridge or gate, not started yet."""
    connectable, transport = request.param
    _check_possible(request.function.guestwire_case, connectable)
    deadline = _usual(request.node.stash[RESULT].deadline, request.config)
    made = request.config.stash[SESSION].program(connectable, transport, deadline)
    request.node.stash[HOST] = made
    yield made
    keeping.look(request.node, request.node.stash[RESULT], made)
    made.release()
    made.witness.strays()


def _check_possible(case: Case, agent: Connectable) -> None:
    if lacked := in_the_way(case, agent):
        raise NotApplicable(f"lacks {', '.join(lacked)} by its descriptor")
    if "root" in case.needs and not agent.in_guest and os.geteuid() != 0:
        raise CouldNotRun("needs root (mounts, devices, other users): run it as root")


def _usual(seconds: float, config: pytest.Config) -> float:
    usual: float = config.getoption("usual_deadline")
    return usual if seconds == DEADLINE else seconds


def _check_running(case: Case, config: pytest.Config) -> None:
    missing = case.needs & {"start"}
    if missing:
        raise CouldNotRun(f"needs {', '.join(sorted(missing))}: give the agent as exec:PATH")
    if "destructive" in case.needs and not config.getoption("destructive"):
        raise CouldNotRun("destructive: run with --destructive")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """After the case: what must hold after every case. After a failure: did the agent crash?"""
    try:
        outcome = yield
        if HOST in pyfuncitem.stash:
            pyfuncitem.stash[HOST].finish()
        return outcome
    except (Violation, OSError) as error:
        if HOST in pyfuncitem.stash and not isinstance(error, Crash):
            pyfuncitem.stash[HOST].blame(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    result = item.stash.get(RESULT, None)
    if result is None:
        return report
    result.seconds += call.duration
    if call.excinfo is not None and result.outcome == Outcome.PASS:
        _judge(result, call.excinfo.value)
    return report


def _judge(result: CaseResult, error: BaseException) -> None:
    if isinstance(error, (CouldNotRun, NotApplicable)):
        kind = Outcome.COULD_NOT_RUN if isinstance(error, CouldNotRun) else Outcome.NOT_APPLICABLE
        result.outcome, result.expected, result.actual = kind.value, "the case to run", str(error)
        return
    timeout = isinstance(error, DeadlineExceeded) or "from pytest-timeout" in str(error)
    kind = Outcome.CRASH if isinstance(error, Crash) else Outcome.TIMEOUT if timeout else Outcome.FAIL
    result.outcome = kind.value
    if isinstance(error, Violation):
        result.expected, result.actual = error.expected, error.actual
    else:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        line = f" ({Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno})" if where is not None else ""
        result.expected, result.actual = "the case to come to its end", f"{short(error)}{line}"
