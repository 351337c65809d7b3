"""One item for each case and row: which there are, their ids, their checks and their time."""

from __future__ import annotations

import functools
import gc
from collections.abc import Generator
from dataclasses import astuple
from typing import Any

import pytest

from guestwire.drive import selection
from guestwire.drive.connectable import Connectable, Timers
from guestwire.drive.conversation import CHUNKINGS
from guestwire.drive.selection import RESULT, contract_of, rows_of
from guestwire.judge.case import ABSENT, Case
from guestwire.judge.contract import AGENT, VHOST_USER
from guestwire.judge.ledger import LedgerError, check, checks
from guestwire.judge.outcome import CaseResult

HOST_FUNCTIONS = "host functions"
MARGIN = 20.0  # seconds a case may use beyond its deadline to put things away, before it is cut off
_WRONG = "guestwire_wrong"  # of a worker's output: what is wrong with the command line


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
    if case is None:
        return
    fixture = contract_of(metafunc.config).fixture
    if fixture not in metafunc.fixturenames:
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
    names = [fixture, "chunking"] if "chunking" in metafunc.fixturenames else [fixture]
    metafunc.parametrize(names, values, indirect=[fixture])


def _chunkings(case: Case, transport: str, full: bool) -> tuple[str, ...]:
    """Under which of CHUNKINGS a case goes: on `unix` all; elsewhere the first if wide, else all but the slow one."""
    if transport == "unix" or full:
        return CHUNKINGS
    return CHUNKINGS[:1] if case.wide else tuple(name for name in CHUNKINGS if name != "drip")


def _absent(case: Case, agent: Connectable, transport: str) -> bool:
    """Whether the case does not exist in this row: the transport cannot have it, or the sanitizer's memory would be judged, or it
    is no matter of a guest's."""
    if case.transports and transport not in case.transports and not agent.runs_already:
        return True
    if ("running" in case.needs and not agent.runs_already) or (
        "other-times" in case.needs and agent.times == Timers()
    ):
        return True
    if agent.in_guest and not (agent.contract.whole_in_guest or case.needs & {"guest", "backend"}):
        return True
    if ("guest" in case.needs and not agent.in_guest) or ("backend" in case.needs and transport != VHOST_USER):
        return True
    return bool(case.needs & ABSENT.get(transport, frozenset())) or (case.native_memory and agent.sanitized)


def _identify(item: pytest.Function, case: Case, fixture: str) -> CaseResult:
    """`fixture` is what makes an item of a row."""
    agent, transport, parts, checks = HOST_FUNCTIONS, "-", [case.variant], list(case.checks)
    deadline = case.deadline
    if hasattr(item, "callspec"):
        identity = item.callspec.id
        params: dict[str, Any] = item.callspec.params
        if fixture in params:
            agent, transport = params[fixture][0].label, params[fixture][1]
            checks, deadline = _judged(case, params[fixture][0]), _deadline(case, params[fixture][0])
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
    return [name for name in case.checks if name not in agent.lacks or name in in_the_way(case, agent)]


def in_the_way(case: Case, agent: Connectable) -> list[str]:
    """What the agent lacks of the case, and makes it not applicable."""
    lacked = [name for name in case.checks if name in agent.lacks]
    return [name for name in lacked if name == case.checks[0] or check(name).level == "MUST"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("agent"):
        return
    contract = contract_of(config)
    fixture, ours = contract.fixture, checks(contract)
    seen: set[tuple[str, str]] = set()
    kept: list[pytest.Item] = []
    for item in items:
        case = getattr(getattr(item, "function", None), "guestwire_case", None)
        if not isinstance(case, Case) or not isinstance(item, pytest.Function):
            raise LedgerError(f"{item.nodeid} is no case: it has no @case")
        if hasattr(item, "callspec") and not isinstance(item.callspec.params.get(fixture, ()), tuple):
            continue  # not made for any row: what pytest leaves of a case that exists on no transport asked for
        foreign = [name for name in case.checks if name not in ours]
        if foreign:
            raise LedgerError(f"{item.nodeid}: {foreign[0]} is a check of another contract")
        if contract is not AGENT and contract.fixture not in item.fixturenames:
            raise LedgerError(f"{item.nodeid} judges nothing: it takes no {contract.fixture}")
        result = _identify(item, case, fixture)
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


def _deadline(case: Case, agent: Connectable) -> float:
    """Seconds. Where a case waits out an agent's own times, they tell."""
    return 30 + 1.5 * max(astuple(agent.times)) if "other-times" in case.needs else case.deadline


@functools.cache
def _limit(deadline: float) -> pytest.Mark:
    return pytest.mark.timeout(deadline + MARGIN, method="signal").mark
