"""What GitHub shows of a run: annotations, and the step's summary. Both only where it runs there."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from guestwire.judge.verdict import Exit, RunVerdict, with_known
from guestwire.report import document, safe

NAMES = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")  # of the environment
ANNOTATIONS = 10  # GitHub shows no more of one step
LISTED = 50
LONGEST = 1_000  # characters of a text that an agent chose


def here(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def _failures(verdict: RunVerdict) -> Iterator[tuple[str, str, str, str]]:
    """(title, agent, expected, actual) of all that failed."""
    for case in verdict.failures:
        yield f"{case.outcome} {case.id}", case.agent, case.expected, case.actual
    for case, name in verdict.broken:
        expected, actual = case.broken[name]
        yield f"BROKEN {name} (in {case.id})", case.agent, expected, actual


@contextlib.contextmanager
def no_commands(target: Console) -> Iterator[None]:
    """In between, the workflow takes no line for a command: an agent's texts may look like one."""
    token = secrets.token_hex(16)
    target.print(f"::stop-commands::{token}")
    try:
        yield
    finally:
        target.print(f"::{token}::")


def commands(verdict: RunVerdict) -> Iterator[str]:
    """Workflow commands."""
    for number, (title, agent, expected, actual) in enumerate(_failures(verdict)):
        if number < ANNOTATIONS:
            heading = safe.command_property(safe.line(f"{title} [{agent}]"))
            text = "\n".join(
                safe.cut(safe.line(said), LONGEST) for said in (f"expected: {expected}", f"actual: {actual}")
            )
            yield f"::error title={heading}::{safe.command_data(text)}"
    errors = [*verdict.errors, *verdict.settled.errors]
    others = verdict.reasons[len(errors) :] if verdict.exit in (Exit.PARTIAL, Exit.HARNESS_BUG) else []
    for kind, reasons in (("error", errors), ("warning", others)):
        for reason in reasons[:ANNOTATIONS]:
            yield f"::{kind} title=conform::{safe.command_data(safe.cut(safe.line(reason), LONGEST))}"


def summary(verdict: RunVerdict) -> str:
    """Markdown."""
    passed, failed, skipped = verdict.counts
    lines = [
        f"### guestwire conformance: {with_known(document.VERDICTS[verdict.exit], len(verdict.settled.expected))}",
        "",
        f"{passed} passed, {failed} failed, {skipped} skipped",
        "",
        "| agent | transport | cases | MUST passed | MUST failed | SHOULD passed | SHOULD failed |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for row in verdict.rows:
        numbers = [row.cases, *(len(f[level]) for level in ("MUST", "SHOULD") for f in (row.passed, row.failed))]
        cells = [safe.markdown_code(row.agent), safe.markdown_code(row.transport), *map(str, numbers)]
        lines.append(f"| {' | '.join(cells)} |")
    failures = list(_failures(verdict))
    if failures:
        lines += ["", "| failure | agent | expected | actual |", "| --- | --- | --- | --- |"]
        for found in failures[:LISTED]:
            lines.append(f"| {' | '.join(safe.markdown_code(safe.cut(text, 300)) for text in found)} |")
    if len(failures) > LISTED:
        lines += ["", f"and {len(failures) - LISTED} more"]
    lines += ["", *(f"- {safe.markdown_code(safe.cut(reason, LONGEST))}" for reason in verdict.reasons[:LISTED])]
    return "\n".join(lines) + "\n\n"


def write_summary(verdict: RunVerdict, environment: Mapping[str, str] = os.environ) -> None:
    """Append to the step's summary. Raises OSError."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(summary(verdict))


def tell_step(title: str, lines: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """An annotation for each failure among the lines, and a summary of all. Raises OSError."""
    for text in [text for text in lines if text.startswith(("UNSTEADY", "NEAR"))][:ANNOTATIONS]:
        print(f"::error title=conform::{safe.command_data(safe.cut(safe.line(text), LONGEST))}")
    path = environment.get("GITHUB_STEP_SUMMARY")
    if path:
        listed = [f"- {safe.markdown_code(safe.cut(text, LONGEST))}" for text in lines[-LISTED:]]
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("\n".join([f"### guestwire {title}", "", *listed]) + "\n\n")
