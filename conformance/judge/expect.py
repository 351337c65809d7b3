"""Known failures: a TOML file of entries, each with a reason and an end. It never hides more than it names.

[[expected]]
case = "RUN-EXIT/signal:SIGTERM@unix"    # id; * and ? match as in file names, 20 cases at most
agent = "my-agent"                       # label; may be left out: every agent of the run
outcome = "FAIL"                         # CRASH and TIMEOUT are never expected
message = "exit code of"                 # how the failure's `expected:` line begins
why = "our shell is not the contract's"
expires = 2027-01-31                     # the last day it holds
"""

from __future__ import annotations

import datetime
import fnmatch
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guestwire.drive.connectable import UsageError
from guestwire.judge.outcome import CaseResult, Outcome

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_MATCHES = 20
WRITTEN_FOR = datetime.timedelta(days=90)
_FIELDS = {"case": str, "agent": str, "outcome": str, "message": str, "why": str, "expires": datetime.date}


@dataclass(frozen=True)
class Expectation:
    """One entry. `agent` is "" for every agent."""

    case: str
    message: str
    why: str
    expires: datetime.date
    agent: str = ""
    outcome: str = Outcome.FAIL.value

    def names(self, result: CaseResult) -> bool:
        """Whether the result is of a case that this entry is about."""
        return self.agent in ("", result.agent) and fnmatch.fnmatchcase(result.id, self.case)


@dataclass
class Settled:
    """What the entries made of a run: the failures that were expected, and what is wrong with the entries."""

    expected: list[CaseResult] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def _entry(path: Path, number: int, fields: Any) -> Expectation:
    where = f"{path}: entry {number}"
    if not isinstance(fields, dict) or set(fields) - set(_FIELDS):
        raise UsageError(f"{where}: accepted are {', '.join(_FIELDS)}, found {', '.join(map(str, fields))}")
    for name, kind in _FIELDS.items():
        if name in fields and type(fields[name]) is not kind:
            raise UsageError(f"{where}: {name} must be a {'date' if kind is datetime.date else 'string'}")
    for name in ("case", "message", "why", "expires"):
        if not fields.get(name):
            raise UsageError(f"{where}: {name} is missing or empty")
    if fields.get("outcome", "FAIL") != Outcome.FAIL:
        raise UsageError(f"{where}: outcome {fields['outcome']} is never expected; accepted: FAIL")
    return Expectation(**fields)


def load(path: Path) -> list[Expectation]:
    """The entries of a file. Raises UsageError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--expect {path}: {error.strerror}") from None
    except ValueError as error:  # not TOML, not UTF-8
        raise UsageError(f"--expect {path}: {error}") from None
    except RecursionError:
        raise UsageError(f"--expect {path}: nested too deeply") from None
    entries = content.get("expected", [])
    if set(content) - {"expected"} or not isinstance(entries, list):
        raise UsageError(f"--expect {path}: accepted are [[expected]] tables only")
    return [_entry(path, number, fields) for number, fields in enumerate(entries, 1)]


def settle(entries: Iterable[Expectation], results: list[CaseResult], today: datetime.date) -> Settled:
    """Match the entries with a run's results. An entry that is past its day, matches too much or nothing, or meets a case that
    passed, did not run or failed in another way, is an error of the run."""
    settled = Settled()
    for entry in entries:
        found = [result for result in results if entry.names(result)]
        name = f"expectation {entry.case!r}" + (f" of {entry.agent}" if entry.agent else "")
        if entry.expires < today:
            settled.errors.append(f"{name} has expired on {entry.expires}: mend the agent, or renew it with a reason")
        elif not found:
            settled.errors.append(f"{name} matches no case that was run")
        elif len(found) > MOST_MATCHES:
            settled.errors.append(f"{name} matches {len(found)} cases, {MOST_MATCHES} at most: name them more closely")
        else:
            wrong = [problem for result in found if (problem := _problem(entry, result))]
            settled.errors += [f"{name}: {problem}" for problem in wrong]
            settled.expected += [result for result in found if not _problem(entry, result)]
    return settled


def _messages(result: CaseResult) -> list[str]:
    """The `expected:` lines of everything that the case found broken."""
    own = [result.expected] if result.outcome == Outcome.FAIL else []
    return own + [expected for expected, _ in result.broken.values()]


def _problem(entry: Expectation, result: CaseResult) -> str:
    if result.outcome not in (Outcome.PASS, Outcome.FAIL):
        return f"{result.id} [{result.agent}] came to {result.outcome}, not {entry.outcome}"
    messages = _messages(result)
    if not messages:
        return f"{result.id} [{result.agent}] passes: remove the entry"
    for message in messages:
        if not message.startswith(entry.message):
            return f"{result.id} [{result.agent}] fails in another way: {message[:80]!r}"
    return ""


def write(path: Path, results: Iterable[CaseResult], today: datetime.date) -> int:
    """Write an entry for each failure that may be expected. `why` is left to be filled in, and load() refuses the file until
    then. Return: how many."""
    lines = []
    count = 0
    for result in results:
        if result.outcome not in (Outcome.PASS, Outcome.FAIL) or not _messages(result):
            continue
        count += 1
        message = os.path.commonprefix([message[:60] for message in _messages(result)])  # noqa: RUF071 - texts
        fields = {"case": _literal(result.id), "agent": result.agent, "message": message, "why": ""}
        lines.append("[[expected]]")
        lines += [f"{name} = {_toml(value)}" for name, value in fields.items()]
        lines.append(f"expires = {today + WRITTEN_FOR}\n")
    path.write_text("\n".join(lines), encoding="utf-8")
    return count


def _literal(text: str) -> str:
    """An id as a pattern that matches nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _toml(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
