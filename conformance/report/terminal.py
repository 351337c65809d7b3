"""The run as text: the matrix, what is pending, failures in two lines each with the command that runs one alone."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit, RunVerdict

SHOWN = 40  # failures printed in full; the rest is counted


def _matrix(verdict: RunVerdict) -> Iterator[str]:
    table = Table(box=SIMPLE, show_edge=False)
    for name in ("agent", "transport"):
        table.add_column(name)
    for name in ("cases", "MUST passed", "MUST failed", "SHOULD passed", "SHOULD failed"):
        table.add_column(name, justify="right")
    if verdict.not_applicable:
        table.add_column("NOT-APPLICABLE", justify="right")
    for row in verdict.rows:
        numbers = [len(found[level]) for level in ("MUST", "SHOULD") for found in (row.passed, row.failed)]
        numbers += [row.not_applicable] if verdict.not_applicable else []
        table.add_row(row.agent, row.transport, str(row.cases), *map(str, numbers))
    console = Console(width=120, no_color=True, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    yield from captured.get().rstrip().splitlines()


def _failure(case: CaseResult, title: str, expected: str, actual: str, texts: dict[str, str]) -> Iterator[str]:
    yield f"{title} [{case.agent}]"
    yield f"  expected: {' '.join(expected.split())}"
    yield f"    actual: {' '.join(actual.split())}"
    agent = texts.get(case.agent, next(iter(texts.values())))
    transport = "" if case.transport == "-" else f" --transport {case.transport}"
    yield f"    repeat: .venv/bin/conform run {shlex.quote(agent)}{transport} --case {shlex.quote(case.case)}"


def _not_applicable(verdict: RunVerdict) -> Iterator[str]:
    """One line for each agent and reason, with the number of cases of each check."""
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for case in verdict.not_applicable:
        lacking = case.actual.startswith("lacks ")
        key = (case.agent, "lacks what they judge" if lacking else case.actual)
        reasons.setdefault(key, Counter())[case.checks[0]] += 1
    for (agent, reason), counted in reasons.items():
        parts = ", ".join(f"{name} ({number})" for name, number in counted.items())
        yield f"NOT-APPLICABLE {counted.total()} cases [{agent}], {reason}: {parts}"


def lines(verdict: RunVerdict, texts: dict[str, str]) -> Iterator[str]:
    """The report but for its last line. `texts` maps an agent's label to its connectable."""
    shown = 0
    for case in verdict.failures:
        shown += 1
        if shown <= SHOWN:
            yield from _failure(case, f"{case.outcome} {case.id}", case.expected, case.actual, texts)
    for case, name in verdict.broken:
        shown += 1
        if shown <= SHOWN:
            expected, actual = case.broken[name]
            yield from _failure(case, f"BROKEN {name} (in {case.id})", expected, actual, texts)
    if shown > SHOWN:
        yield f"... and {shown - SHOWN} more failures"
    for error in verdict.errors:
        yield f"HARNESS BUG {error}"
    for error in verdict.settled.errors:
        yield f"EXPECTATION {error}"
    for case in verdict.could_not_run:
        yield f"COULD-NOT-RUN {case.id} [{case.agent}]: {case.actual}"
    yield from _not_applicable(verdict)
    yield ""
    yield from _matrix(verdict)
    yield "(fd-conn: cases that need several conversations with one process do not exist there; hybrid: those that half-close)"
    if verdict.pending:
        yield f"pending: {', '.join(f'{check.id} ({check.pending})' for check in verdict.pending)}"
    for agent, names in verdict.exempt.items():
        yield f"exempt under AddressSanitizer [{agent}]: {', '.join(names)}"
    if verdict.settled.expected:
        yield f"failed as expected: {len(verdict.settled.expected)} cases (--expect)"
    for agent, names in verdict.lacked.items():
        yield f"lacking by its descriptor [{agent}]: {', '.join(names)}"
    if not verdict.filtered:
        for agent, names in verdict.unproved.items():
            if names:
                yield f"NOT PROVED [{agent}]: {', '.join(names)}"
    yield {
        Exit.GREEN: "verdict: green" + (", but for expected failures" if verdict.settled.expected else ""),
        Exit.RED: "verdict: RED",
        Exit.PARTIAL: "verdict: PARTIAL" + (" (filtered run)" if verdict.filtered else ""),
        Exit.HARNESS_BUG: "verdict: NONE (the harness failed: it could not collect, lost cases, or ran none)",
    }[verdict.exit]


def total(verdict: RunVerdict) -> str:
    """The last line."""
    return "{} passed, {} failed, {} skipped".format(*verdict.counts)
