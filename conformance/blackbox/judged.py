"""Cases of a file on one agent, as `conform run` would play them, and the evidence of one that fails."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from guestwire.cases import CaseFileError, DataCase
from guestwire.cases.load import parse
from guestwire.drive.connectable import UsageError
from guestwire.drive.host import Host
from guestwire.drive.row import Row
from guestwire.drive.script import perform
from guestwire.judge import evidence
from guestwire.judge.outcome import CaseResult, Crash, DeadlineExceeded, Outcome, Violation
from guestwire.report import safe


@dataclass
class Judged:
    """What a case came to, with the host that still knows everything about it."""

    result: CaseResult
    host: Host
    capture: evidence.Capture


def load(path: Path) -> dict[str, DataCase]:
    """The cases of a file. Raises UsageError."""
    try:
        cases = parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (CaseFileError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a file of cases: {' '.join(str(error).split())}") from None
    if not cases:
        raise UsageError(f"{path} holds no case")
    return cases


def judge(row: Row, case: DataCase) -> Judged:
    """Play a case on the row's agent."""
    host = Host(row, case.deadline)
    result = CaseResult(case.id, row.connectable.label, row.transport, list(case.checks), deadline=case.deadline)
    try:
        try:
            perform(host, case)
            host.finish()
        except (Violation, OSError) as error:
            if not isinstance(error, Crash):
                host.blame(error)
            raise
    except Violation as error:
        kinds = {Crash: Outcome.CRASH, DeadlineExceeded: Outcome.TIMEOUT}
        result.outcome = kinds.get(type(error), Outcome.FAIL).value
        result.expected, result.actual = error.expected, error.actual
    except OSError as error:
        result.outcome, result.expected, result.actual = Outcome.FAIL.value, "the agent is there", str(error)
    result.broken = {check: list(pair) for check, pair in host.soft.items()}
    capture = evidence.capture(host, hung=result.outcome == Outcome.TIMEOUT) if result.failed else evidence.Capture()
    host.release()
    if result.failed:
        row.discard()
    return Judged(result, host, capture)


def leave(judged: Judged, folder: Path, case_file: Path) -> str:
    """Write the evidence below a folder. Return: its path relative to that. Raises OSError."""
    agent = judged.host.row.connectable.text
    words = [sys.executable, "-m", "guestwire.cli", "fuzz", agent, "--replay", str(case_file.resolve())]
    words += ["--transport", judged.result.transport]
    lines = [
        "#!/bin/sh",
        f"# {judged.result.outcome} {judged.result.id}: this case alone. Exit status: that of the replay.",
        f"cd -- {shlex.quote(str(Path.cwd()))} || exit 2",
        f'exec {shlex.join(words)} "$@"',
    ]
    return evidence.write(folder, judged.result, judged.host, judged.capture, "\n".join(lines) + "\n")


def told(judged: Judged) -> str:
    """A failure in lines for a person."""
    result = judged.result
    lines = [f"{result.outcome} {result.id} [{result.agent}]"]
    if result.expected:
        lines += [f"  expected: {safe.line(result.expected)}", f"    actual: {safe.line(result.actual)}"]
    for check, (expected, actual) in result.broken.items():
        lines += [f"  {check}", f"  expected: {safe.line(expected)}", f"    actual: {safe.line(actual)}"]
    return "\n".join(lines)
