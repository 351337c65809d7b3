"""The pytest plugin: options, one item for each case and row, and each item's outcome.

`conform run` is the command; `pytest conformance/suite --agent=CONNECTABLE` does the same. Under pytest-xdist every worker runs
this, and the controller gathers the results (report/collector.py).
"""

from __future__ import annotations

import functools
import gc
import os
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from _pytest.outcomes import Exit as PytestExit
from _pytest.runner import runtestprotocol

from guestwire.drive import connectable, keeping, prefilter, selection
from guestwire.drive.connectable import TRANSPORTS, Connectable, Timers, UsageError
from guestwire.drive.conversation import CHUNKINGS
from guestwire.drive.host import Host
from guestwire.drive.selection import RESULT
from guestwire.drive.session import NothingToJudge, Session
from guestwire.drive.witness import NoWitness
from guestwire.judge import expect
from guestwire.judge.alike import Said
from guestwire.judge.case import DEADLINE, Case
from guestwire.judge.ledger import LedgerError, check
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
from guestwire.judge.verdict import Exit
from guestwire.report import carried

HOST_FUNCTIONS = "host functions"
MARGIN = 20.0  # seconds a case may use beyond its deadline to put things away, before it is cut off
SESSION = pytest.StashKey[Session]()
ROWS = pytest.StashKey[list[tuple[Connectable, str]]]()
HOST = pytest.StashKey[Host]()
_WRONG = "guestwire_wrong"  # of a worker's output: what is wrong with the command line


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guestwire", "conformance of guest agents")
    group.addoption(
        "--agent", action="append", default=[], metavar="CONNECTABLE", help=f"judge it: {connectable.FORMS}"
    )
    group.addoption("--transport", action="append", default=[], help=f"only these: {', '.join(TRANSPORTS)}")
    group.addoption("--clause", action="append", default=[], help="only this clause's cases")
    group.addoption("--case", action="append", default=[], dest="case_ids", metavar="ID", help="only this case")
    group.addoption("--gate-should", action="store_true", help="SHOULD counts like MUST")
    group.addoption("--destructive", action="store_true", help="allow fills, floods and signals on running agents")
    group.addoption("--only-failed", metavar="REPORT", help="only the cases that did not pass in this report")
    group.addoption("--shard", metavar="I/N", help="only the Ith of N parts of the cases")
    group.addoption("--shuffle", type=int, metavar="SEED", help="run the cases in an order that SEED gives")
    group.addoption("--restart", action="store_true", help="start a fresh agent for each case")
    group.addoption("--fail-fast", action="store_true", help="run nothing more once a case has failed")
    group.addoption("--max-time", type=float, metavar="SECONDS", help="run nothing more after that many seconds")
    group.addoption(
        "--selection", metavar="FILE", help="JSON: for each agent's label the ids, without transport, to run"
    )
    group.addoption("--usual-deadline", type=float, default=DEADLINE, metavar="S", help="of a case that declares none")
    group.addoption("--expect", metavar="FILE", help="failures that are known: see judge/expect.py")
    group.addoption("--expect-write", metavar="FILE", help="write this run's failures as such a file")
    group.addoption("--results", default=None, metavar="FILE", help="write the report as JSON, here too")
    group.addoption("--history", action="append", default=[], metavar="REPORT", help="an earlier report, for the trend")
    group.addoption("--report-dir", default=None, metavar="DIR", help="write the report in all its forms")
    group.addoption("--alike", action="store_true", help="all agents have to send the same: see judge/alike.py")
    group.addoption("--sweep", choices=("some", "full"), default="some", help="full: every cut on every transport")


def rows_of(config: pytest.Config) -> list[tuple[Connectable, str]]:
    """Agents times transports, as asked for. Raises UsageError."""
    if ROWS not in config.stash:
        wanted = [name for text in config.getoption("transport") for name in text.split(",") if name]
        for name in wanted:
            if name not in TRANSPORTS:
                raise UsageError(f"unknown transport {name!r}; accepted: {', '.join(TRANSPORTS)}")
        agents = [connectable.parse(text) for text in config.getoption("agent")]
        rows = [
            (agent, name)
            for agent in agents
            for name in agent.transports
            if (
                name in wanted if wanted else name != "unix-ns" or agent is agents[0]
            )  # dear; one row proves the witness
        ]
        if agents and not rows:
            raise UsageError(f"no agent here has the transport {', '.join(wanted)}")
        config.stash[ROWS] = rows
    return config.stash[ROWS]


class Red(PytestExit):
    """Ends the run before any case; pytest prints it as `Red: ` and the reason."""


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("agent"):
        return
    try:
        rows = rows_of(config)
        selection.check(config)
        known = expect.load(Path(config.getoption("expect"))) if config.getoption("expect") else []
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if hasattr(config, "workerinput"):
        folder = config.workerinput["guestwire_folder"]
    else:
        from guestwire.report.collector import Collector  # a tenth of a worker's start, and no worker's matter

        folder = tempfile.mkdtemp(prefix="guestwire-")
        os.chmod(folder, 0o755)
        collector = Collector(config, rows, folder, known)
        config.pluginmanager.register(collector, "guestwire-collector")
    config.pluginmanager.register(prefilter, "guestwire-prefilter")
    config.stash[selection.FOLDER] = folder
    config.stash[SESSION] = Session(Path(tempfile.mkdtemp(dir=folder)))
    config.stash[SESSION].folder.chmod(0o755)
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        nothing = ""
        try:
            for agent, transport in rows:
                collector.agent_versions[agent.label] = config.stash[SESSION].check(agent, transport)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        except NothingToJudge as error:
            nothing = str(error)
        try:
            collector.prepare()
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        if nothing:
            collector.claim()
            raise Red(nothing, returncode=Exit.RED)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The controller tells each pytest-xdist worker where to put its sockets and files."""
    collector = node.config.pluginmanager.getplugin("guestwire-collector")
    if collector is not None:
        node.workerinput["guestwire_folder"] = collector.folder
        node.workerinput["guestwire_started"] = collector.started
        node.workerinput["guestwire_failed"] = sorted(node.config.stash.get(selection.FAILED, ()))


def pytest_unconfigure(config: pytest.Config) -> None:
    if SESSION in config.stash:
        config.stash[SESSION].close()


# ---- items


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Ten thousand items stay for good: looking for garbage among them costs each worker a fifth of its start."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    case: Case | None = getattr(metafunc.function, "guestwire_case", None)
    if case is None or "host" not in metafunc.fixturenames:
        return
    values: list[Any] = []
    for agent, transport in rows_of(metafunc.config):
        if _absent(case, agent, transport):
            continue
        row_id = f"{agent.label}@{transport}"
        if "chunking" in metafunc.fixturenames:
            some = _chunkings(case, transport, metafunc.config.getoption("sweep") == "full")
            values += [pytest.param((agent, transport), chunking, id=f"{row_id}={chunking}") for chunking in some]
        else:
            values.append(pytest.param((agent, transport), id=row_id))
    names = ["host", "chunking"] if "chunking" in metafunc.fixturenames else ["host"]
    metafunc.parametrize(names, values, indirect=["host"])


def _chunkings(case: Case, transport: str, full: bool) -> tuple[str, ...]:
    """Under which of CHUNKINGS a case goes: on `unix` all; elsewhere the first if wide, else all but the slow one."""
    if transport == "unix" or full:
        return CHUNKINGS
    return CHUNKINGS[:1] if case.wide else tuple(name for name in CHUNKINGS if name != "drip")


def _absent(case: Case, agent: Connectable, transport: str) -> bool:
    """Whether the case does not exist in this row: the transport cannot have it, or the sanitizer's memory would be judged."""
    if case.transports and transport not in case.transports and agent.kind == "exec":
        return True
    if ("running" in case.needs and agent.kind == "exec") or ("other-times" in case.needs and agent.times == Timers()):
        return True
    cannot = ("server" in case.needs and transport == "fd-conn") or (
        "half-close" in case.needs and transport == "hybrid"
    )
    return cannot or (case.native_memory and agent.sanitized)


def _identify(item: pytest.Function, case: Case) -> CaseResult:
    agent, transport, parts, checks = HOST_FUNCTIONS, "-", [case.variant], list(case.checks)
    deadline = case.deadline
    if hasattr(item, "callspec"):
        identity = item.callspec.id
        if "host" in item.callspec.params:
            params: dict[str, Any] = item.callspec.params
            agent, transport = params["host"][0].label, params["host"][1]
            checks, deadline = _judged(case, params["host"][0]), _deadline(case, params["host"][0])
            chunking = params.get("chunking", "")
            row_id = f"{agent}@{transport}" + (f"={chunking}" if chunking else "")
            escaped = row_id.encode("unicode_escape").decode("ascii")  # as pytest has it in an item's id
            identity = identity.replace(row_id, "").replace(escaped, "").strip("-")
            parts += [identity, chunking]
        else:
            parts.append(identity)
    name = ":".join([case.checks[0], *filter(None, parts)])
    return CaseResult(name, agent, transport, checks, deadline=deadline, twin=case.twin)


def _judged(case: Case, agent: Connectable) -> list[str]:
    """The case's checks but for those SHOULDs that the agent lacks. A case that is about nothing else keeps them, and so does one
    that would fail for a MUST that the agent lacks: neither applies to it."""
    return [name for name in case.checks if name not in agent.lacks or name in _in_the_way(case, agent)]


def _in_the_way(case: Case, agent: Connectable) -> list[str]:
    """What the agent lacks of the case, and makes it not applicable."""
    lacked = [name for name in case.checks if name in agent.lacks]
    return [name for name in lacked if name == case.checks[0] or check(name).level == "MUST"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("agent"):
        return
    seen: set[tuple[str, str]] = set()
    kept: list[pytest.Item] = []
    for item in items:
        case = getattr(getattr(item, "function", None), "guestwire_case", None)
        if not isinstance(case, Case) or not isinstance(item, pytest.Function):
            raise LedgerError(f"{item.nodeid} is no case: it has no @case")
        if hasattr(item, "callspec") and not isinstance(item.callspec.params.get("host", ()), tuple):
            continue  # not made for any row: what pytest leaves of a case that exists on no transport asked for
        result = _identify(item, case)
        if (result.agent, result.id) in seen:
            raise LedgerError(f"two cases have the id {result.id}; see {item.nodeid}")
        seen.add((result.agent, result.id))
        item.stash[RESULT] = result
        item.own_markers.append(_limit(result.deadline))
        kept.append(item)
    try:
        items[:] = selection.spread(config, selection.select(config, kept))
    except pytest.UsageError as error:
        getattr(config, "workeroutput", {})[_WRONG] = str(error)
        items.clear()  # pytest-xdist tells the controller of them all the same
        raise


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001
    """A pytest-xdist worker that finds the command line wrong does not say so itself."""
    wrong = getattr(node, "workeroutput", {}).get(_WRONG)
    if wrong:
        raise pytest.UsageError(wrong)


@functools.cache
def _limit(deadline: float) -> pytest.Mark:
    return pytest.mark.timeout(deadline + MARGIN, method="signal").mark


# ---- running


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
        lacked = made.row.connectable.lacks
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
    host: Host | None = item.stash.get(HOST, None)
    if host is None or result.outcome != Outcome.PASS or not item.function.guestwire_case.alike:  # type: ignore[attr-defined]
        return None
    return Said.of(of_case(host.transcript.recordings)).to_json()


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The host's view of this row's agent."""
    case: Case = request.function.guestwire_case
    agent, transport = request.param
    if lacked := _in_the_way(case, agent):
        raise NotApplicable(f"lacks {', '.join(lacked)} by its descriptor")
    if agent.kind != "exec":
        _check_running(case, request.config)
    if "root" in case.needs and os.geteuid() != 0:
        raise CouldNotRun("needs root (mounts, devices, other users): run it as root")
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


def _usual(seconds: float, config: pytest.Config) -> float:
    usual: float = config.getoption("usual_deadline")
    return usual if seconds == DEADLINE else seconds


def _check_running(case: Case, config: pytest.Config) -> None:
    missing = case.needs & {"start"}
    if missing:
        raise CouldNotRun(f"needs {', '.join(sorted(missing))}: give the agent as exec:PATH")
    if "destructive" in case.needs and not config.getoption("destructive"):
        raise CouldNotRun("destructive: run with --destructive")


def _deadline(case: Case, agent: Connectable) -> float:
    """Seconds. Where a case waits out an agent's own times, they tell."""
    return 30 + 1.5 * max(astuple(agent.times)) if "other-times" in case.needs else case.deadline


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
