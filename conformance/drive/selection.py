"""Which agents on which transports, which of the collected cases run, in which order, and when no more do."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from pathlib import Path

import pytest

from guestwire.drive import connectable
from guestwire.drive.connectable import VIA, Connectable, UsageError
from guestwire.judge.case import Case
from guestwire.judge.contract import AGENT, Contract
from guestwire.judge.ledger import clauses
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.report import document

ROWS = pytest.StashKey[list[tuple[Connectable, str]]]()
RESULT = pytest.StashKey[CaseResult]()  # of an item
FAILED = pytest.StashKey[set[tuple[str, str]]]()  # (agent, id) that --only-failed names
_SHARD = pytest.StashKey[tuple[int, int]]()
FOLDER = pytest.StashKey[str]()  # of the run, shared by its workers
_END = pytest.StashKey[float]()  # of --max-time, by time.time()
NOT_RUN = "not run: "  # begins the reason of a case that the run ended before
STOP = "stop"  # a file of this name in the run's folder: --fail-fast has seen a failure


def rows_of(config: pytest.Config) -> list[tuple[Connectable, str]]:
    """Agents times transports, as asked for. Raises UsageError."""
    if ROWS not in config.stash:
        wanted = [name for text in config.getoption("transport") for name in text.split(",") if name]
        agents = connectable.parse_all(
            config.getoption("agent"), config.getoption("contract"), config.getoption("through")
        )
        for name in wanted if agents else ():
            if name not in (known := connectable.transports(agents[0])):
                raise UsageError(f"unknown transport {name!r}; accepted: {', '.join(known)}")
        rows = []
        for agent in agents:
            # unix-ns is dear: one row of it proves the witness; so are bridges, which one agent proves
            usual = [name for name in agent.transports if name not in ("unix-ns", *VIA) or agent is agents[0]]
            rows += [(agent, name) for name in agent.transports if name in (wanted or usual)]
        if agents and not rows:
            raise UsageError(f"no agent here has the transport {', '.join(wanted)}")
        config.stash[ROWS] = rows
    return config.stash[ROWS]


def contract_of(config: pytest.Config) -> Contract:
    """That this run judges by. Raises UsageError."""
    rows = rows_of(config)
    return rows[0][0].contract if rows else AGENT


def is_filtered(config: pytest.Config) -> bool:
    """Whether the run leaves out cases that exist."""
    return bool(config.getoption("shard")) or is_narrowed(config)


def is_narrowed(config: pytest.Config) -> bool:
    """The same, but for --shard: all shards together leave out nothing."""
    ours = ("case_ids", "clause", "transport", "only_failed", "selection")
    of_pytest = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob")
    return any(config.getoption(name) for name in (*ours, *of_pytest))


def check(config: pytest.Config) -> None:
    """Look at the options before anything is collected. Raises UsageError."""
    for name in config.getoption("clause"):
        if name not in clauses(contract_of(config)):
            raise UsageError(f"unknown clause {name!r}: `conform clauses` lists them")
    if config.getoption("shard"):
        config.stash[_SHARD] = parse_shard(config.getoption("shard"))
    if config.getoption("only_failed"):
        known = getattr(config, "workerinput", {}).get("guestwire_failed")  # the report may be replaced by then
        config.stash[FAILED] = set(known) if known else _failed(Path(config.getoption("only_failed")))
    seconds = config.getoption("max_time")
    if seconds is not None:
        if not 0 < seconds < float("inf"):
            raise UsageError(f"--max-time {seconds:g}: a number of seconds over 0 is accepted")
        started = getattr(config, "workerinput", {}).get("guestwire_started", time.time())
        config.stash[_END] = started + seconds


def parse_shard(text: str) -> tuple[int, int]:
    """Of --shard: (I, N). Raises UsageError."""
    index, slash, count = text.partition("/")
    if not (slash and index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
        raise UsageError(f"--shard {text}: I/N is accepted, 1/4 say")
    if max(len(index), len(count)) > 9 or not 1 <= int(index) <= int(count):
        raise UsageError(f"--shard {text}: I is one of 1 to N")
    return int(index), int(count)


def _failed(path: Path) -> set[tuple[str, str]]:
    try:
        results = document.results(document.load(path))
    except UsageError as error:
        raise UsageError(f"no last run to take the failures from: {error}") from None
    unrun = {id(case) for case in results if case.outcome == Outcome.COULD_NOT_RUN and case.actual.startswith(NOT_RUN)}
    failed = {(case.agent, case.id) for case in results if case.failed or id(case) in unrun}
    if not failed:
        raise UsageError(f"nothing failed in the last run ({path})")
    return failed


def in_shard(identity: str, index: int, count: int) -> bool:
    """Whether a case is in the `index`th (from 1) of `count` parts; always the same one for the same id. Ids are without
    transport: all rows of a case are compared with each other."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % count == index - 1


def select(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """Only what the options ask for. Raises pytest.UsageError."""
    kept = _wanted(config, items)
    if _SHARD in config.stash:
        kept = [item for item in kept if in_shard(item.stash[RESULT].case, *config.stash[_SHARD])]
        if not kept:
            raise pytest.UsageError(f"no case falls into the shard {config.getoption('shard')}: choose fewer shards")
    return kept


def _wanted(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    if config.getoption("selection"):
        named = {
            label: set(ids)
            for label, ids in json.loads(Path(config.getoption("selection")).read_text(encoding="utf-8")).items()
        }
        results = ((item, item.stash[RESULT]) for item in items)
        items = [item for item, result in results if result.case in named.get(result.agent, ())]
    if FAILED in config.stash:
        failed = config.stash[FAILED]
        items = [item for item in items if (item.stash[RESULT].agent, item.stash[RESULT].id) in failed]
        if not items:
            raise pytest.UsageError("no case that failed in the last run exists in this one")
    wanted_clauses, wanted = config.getoption("clause"), config.getoption("case_ids")
    if not wanted_clauses and not wanted:
        return items
    names = {item: _names(item.stash[RESULT]) for item in items}
    for identity in wanted:
        if not any(identity in found for found in names.values()):
            raise pytest.UsageError(
                f"unknown case {identity!r}: `conform clauses` lists checks, each a case's first name"
            )
    clause_of = {item: {c.partition("/")[0] for c in item.stash[RESULT].checks} for item in items}
    kept = [item for item in items if names[item] & set(wanted) or clause_of[item] & set(wanted_clauses)]
    if not kept:
        raise pytest.UsageError(
            f"no case of {', '.join([*wanted_clauses, *wanted])} exists on the transports asked for"
        )
    return kept


def _names(result: CaseResult) -> set[str]:
    """What --case may call it: its id, the id without transport, its first check."""
    return {result.id, result.case, result.checks[0], f"{result.checks[0]}@{result.transport}"}


def spread(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """Long waits first, evenly over the list: pytest-xdist's worksteal gives each worker a contiguous part to begin with. What
    boots a machine of its own is the first worker's, whom the other long ones are spared."""
    seed = config.getoption("shuffle")
    if seed is not None:
        random.Random(seed).shuffle(items)
    machines = [item for item in items if "machine" in _case(item).needs]
    long = [item for item in items if _case(item).long and item not in machines]
    order = machines + [item for item in items if not _case(item).long]
    workers = max(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), 1)
    step = len(items) // workers + 1
    heads = [max(worker * step, len(machines)) for worker in range(workers)]
    heads = heads[1:] if machines and workers > 1 else heads
    for index, item in enumerate(long):
        order.insert(min(heads[index % len(heads)], len(order)), item)
    return order


def _case(item: pytest.Item) -> Case:
    case: Case = item.function.guestwire_case  # type: ignore[attr-defined]
    return case


def stopped(config: pytest.Config) -> str:
    """Why no more cases run, "" while they do."""
    if _END in config.stash and time.time() > config.stash[_END]:
        return f"{NOT_RUN}--max-time {config.getoption('max_time'):g} is over"
    if config.getoption("fail_fast") and _stop_file(config).exists():
        return f"{NOT_RUN}--fail-fast, and a case has failed"
    return ""


def note(config: pytest.Config, result: CaseResult) -> None:
    """A case has ended: tell the other workers to stop if it failed and --fail-fast was given."""
    if result.failed and config.getoption("fail_fast"):
        _stop_file(config).touch()


def _stop_file(config: pytest.Config) -> Path:
    return Path(config.stash[FOLDER]) / STOP
