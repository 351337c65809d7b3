"""The run as text: the matrix, what is pending, failures in two lines each with the command that runs one alone.

What an agent said is shown on one line each, its control characters as escapes, and no more of it than fits there.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit, RunVerdict, with_known
from guestwire.report import about, safe

NARROW = 90  # columns of a terminal from which on the matrix has its full width
SHOWN = 40  # failures printed in full; the rest is counted
FEW = 10  # cases of one agent that could not run for one reason; more are counted
LONGEST = 1_000  # characters of what was expected or came
BAD, ODD, GOOD, DIM = "bold red", "yellow", "bold green", "dim"

ABSENCES = "(fd-conn: cases that need several conversations with one process do not exist there; hybrid: those that half-close)"

Line = tuple[str, str]  # text, style


def _matrix(verdict: RunVerdict, narrow: bool) -> Table:
    table = Table(box=SIMPLE, show_edge=False)
    table.add_column("agent", overflow="fold")
    for name in () if narrow else ("transport",):
        table.add_column(name)
    numbers = ("MUST", "SHOULD") if narrow else ("MUST passed", "MUST failed", "SHOULD passed", "SHOULD failed")
    for name in ("cases", *numbers, *(("NOT-APPLICABLE",) if verdict.not_applicable else ())):
        table.add_column(name, justify="right", overflow="fold")
    for row in verdict.rows:
        levels = [[str(len(found[level])) for found in (row.passed, row.failed)] for level in ("MUST", "SHOULD")]
        place = [f"{row.agent}@{row.transport}"] if narrow else [row.agent, row.transport]
        counted = ["+{} -{}".format(*level) for level in levels] if narrow else [*levels[0], *levels[1]]
        counted += [str(row.not_applicable)] if verdict.not_applicable else []
        style = BAD if row.failed["MUST"] or (verdict.strict and row.failed["SHOULD"]) else ""
        table.add_row(*(Text(safe.line(cell)) for cell in (*place, str(row.cases), *counted)), style=style)
    return table


def _failure(
    case: CaseResult, title: str, expected: str, actual: str, texts: dict[str, str], report_dir: str, options: str
) -> Iterator[Line]:
    yield f"{title} [{case.agent}]", BAD
    yield f"  expected: {safe.cut(safe.line(expected), LONGEST)}", ""
    yield f"    actual: {safe.cut(safe.line(actual), LONGEST)}", ""
    agent = texts.get(case.agent, next(iter(texts.values())))
    transport = "" if case.transport == "-" else f" --transport {case.transport}"
    yield (
        f"    repeat: {about.program()} run {shlex.quote(agent)}{options}{transport} --case {shlex.quote(case.case)}",
        DIM,
    )
    if case.evidence:
        yield f"  evidence: {shlex.quote(os.path.join(report_dir, case.evidence))}", DIM


def _not_applicable(verdict: RunVerdict) -> Iterator[Line]:
    """One line for each agent and reason, with the number of cases of each check."""
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for case in verdict.not_applicable:
        lacking = case.actual.startswith("lacks ")
        key = (case.agent, "lacks what they judge" if lacking else case.actual)
        reasons.setdefault(key, Counter())[case.checks[0]] += 1
    for (agent, reason), counted in reasons.items():
        parts = ", ".join(f"{name} ({number})" for name, number in counted.items())
        yield f"NOT-APPLICABLE {counted.total()} cases [{agent}], {reason}: {parts}", ODD


def _failures(verdict: RunVerdict, texts: dict[str, str], report_dir: str, options: str) -> Iterator[Line]:
    shown = 0
    for case in verdict.failures:
        shown += 1
        if shown <= SHOWN:
            yield from _failure(
                case, f"{case.outcome} {case.id}", case.expected, case.actual, texts, report_dir, options
            )
    for case, name in verdict.broken:
        shown += 1
        if shown <= SHOWN:
            expected, actual = case.broken[name]
            yield from _failure(case, f"BROKEN {name} (in {case.id})", expected, actual, texts, report_dir, options)
    if shown > SHOWN:
        yield f"... and {shown - SHOWN} more failures", BAD
    for error in filter(None, [*verdict.errors, verdict.lost]):
        yield f"HARNESS BUG {error}", BAD
    for error in verdict.settled.errors:
        yield f"EXPECTATION {error}", BAD
    yield from _could_not_run(verdict)
    yield from _not_applicable(verdict)


def _could_not_run(verdict: RunVerdict) -> Iterator[Line]:
    """One line each, or for each agent and reason where there are many: --max-time leaves hundreds."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for case in verdict.could_not_run:
        reasons.setdefault((case.agent, case.actual), []).append(case.id)
    for (agent, reason), found in reasons.items():
        if len(found) > FEW:
            yield f"COULD-NOT-RUN {len(found)} cases [{agent}]: {reason}: {', '.join(found[:3])}, ...", ODD
        else:
            yield from ((f"COULD-NOT-RUN {name} [{agent}]: {reason}", ODD) for name in found)


def _unfounded(verdict: RunVerdict) -> Iterator[Line]:
    """One line for each agent: cases that passed and do not count."""
    for agent in dict.fromkeys(case.agent for case in verdict.unfounded):
        found = [case for case in verdict.unfounded if case.agent == agent]
        some = ", ".join(f"{case.id} (twin {case.twin})" for case in found[:3]) + (", ..." if len(found) > 3 else "")
        yield f"NOT COUNTED [{agent}]: {len(found)} refusals whose twins did not run or did not pass: {some}", ODD


def _notes(verdict: RunVerdict) -> Iterator[Line]:
    if verdict.contract is AGENT:
        yield ABSENCES, DIM
    if verdict.pending:
        yield f"pending: {', '.join(f'{check.id} ({check.pending})' for check in verdict.pending)}", DIM
    for agent, names in verdict.exempt.items():
        yield f"exempt under AddressSanitizer [{agent}]: {', '.join(names)}", DIM
    if verdict.settled.expected:
        known = [f"{case.id} [{case.agent}]" for case in verdict.settled.expected]
        yield f"known failures (--expect): {', '.join(known)}", ODD
    for agent, names in verdict.lacked.items():
        yield f"lacking by its descriptor [{agent}]: {', '.join(names)}", ODD
    yield from _unfounded(verdict)
    if not verdict.filtered:
        for agent, names in verdict.unproved.items():
            if names:
                yield f"NOT PROVED [{agent}]: {', '.join(names)}", ODD


def _verdict(verdict: RunVerdict) -> Line:
    known = len(verdict.settled.expected)
    return {
        Exit.GREEN: (with_known("verdict: green", known), ODD if known else GOOD),
        Exit.RED: (with_known("verdict: RED", known), BAD),
        Exit.PARTIAL: (with_known("verdict: PARTIAL" + (" (filtered run)" if verdict.filtered else ""), known), ODD),
        Exit.HARNESS_BUG: ("verdict: NONE (the harness failed: it could not collect, lost cases, or ran none)", BAD),
    }[verdict.exit]


def show(verdict: RunVerdict, texts: dict[str, str], console: Console, report_dir: str = "", through: str = "") -> None:
    """The report but for its last line. `texts` maps an agent's label to its connectable; evidence stands below `report_dir`;
    `through` is the run's bridge."""
    options = "" if verdict.contract is AGENT else f" --contract {verdict.contract.name}"
    options += f" --through {shlex.quote(through)}" if through else ""

    def told(lines: Iterable[Line]) -> None:
        for text, style in lines:
            console.print(Text(safe.cut(safe.line(text, indented=True), 8 * LONGEST), style=style))

    failures = list(_failures(verdict, texts, report_dir, options))
    told([*failures, ("", "")] if failures else [])
    with console.capture() as captured:
        console.print(_matrix(verdict, console.width < NARROW), soft_wrap=False)
    console.out(captured.get().rstrip(), highlight=False)
    told(_notes(verdict))
    told([_verdict(verdict)])


def total(verdict: RunVerdict) -> str:
    """The last line."""
    known = with_known("", len(verdict.settled.expected)).removeprefix(", ")
    return "{} passed, {} failed, {} skipped".format(*verdict.counts) + (f" ({known})" if known else "")
