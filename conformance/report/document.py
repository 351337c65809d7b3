"""The report as a JSON document: composed at the end of a run, and read back with suspicion.

Its shape is published as spec/report.schema.json. The footer comes last: a document without it is that of a run that was
interrupted, or was cut short later.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from guestwire import __version__
from guestwire.drive.connectable import UsageError
from guestwire.judge.contract import AGENT, CONTRACTS, Contract
from guestwire.judge.ledger import checks, every_check
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit, with_known

FORMAT = "guestwire-report"
FORMAT_VERSION = 1
SCHEMA = Path(__file__).resolve().parent.parent / "spec/report.schema.json"
VERDICTS = {Exit.GREEN: "green", Exit.RED: "red", Exit.PARTIAL: "partial", Exit.HARNESS_BUG: "harness-bug"}

NEVER_EXPECTED = ("CRASH", "TIMEOUT")

Document = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """What a report says before its cases; the members are those of the schema."""

    versions: dict[str, Any]
    run: dict[str, Any]
    agents: list[dict[str, Any]]
    rows: list[tuple[str, str]]


def digest(cases: list[dict[str, Any]]) -> str:
    """SHA-256 over the cases, however they are laid out in the file."""
    return hashlib.sha256(json.dumps(cases, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def compose(
    head: Head,
    results: Iterable[CaseResult],
    status: Exit,
    excused: Iterable[CaseResult] = (),
    reasons: Iterable[str] = (),
) -> Document:
    """The document of a run that came to its end with this status. `excused` are the results that were expected to fail;
    `reasons` is what, beside cases that failed, kept the verdict from green."""
    known = {id(case) for case in excused}
    cases = [
        {"id": case.id, **case.to_json(), "seconds": round(case.seconds, 4)}
        | ({"excused": True} if id(case) in known else {})
        for case in results
    ]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "versions": head.versions,
        "run": head.run,
        "agents": head.agents,
        "rows": [list(row) for row in head.rows],
        "cases": cases,
        "footer": {
            "cases": len(cases),
            "outcomes": dict(sorted(Counter(case["outcome"] for case in cases).items())),
            "verdict": VERDICTS[status],
            "exit": int(status),
            "reasons": list(reasons),
            "digest": digest(cases),
        },
    }


def dump(document: Document) -> str:
    """As text: a line for each member, and one for each case, so that two reports can be compared line by line."""
    members = []
    for name, value in document.items():
        text = json.dumps(value)
        if name == "cases" and value:
            text = "[\n" + ",\n".join(json.dumps(case) for case in value) + "\n]"
        members.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(members) + "\n}\n"


def unfinished() -> str:
    """What stands in a report's place while its run is under way: a report without its footer."""
    return dump({"format": FORMAT, "format_version": FORMAT_VERSION})


@cache
def _schema() -> Callable[[Any], Any]:
    validate: Callable[[Any], Any] = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return validate


def fault(document: object) -> str:
    """What is wrong with a document, "" for nothing."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return "is no guestwire report"
    if document.get("format_version") != FORMAT_VERSION:
        return f"has the format version {document.get('format_version')!r}; this conform reads {FORMAT_VERSION}"
    if "footer" not in document:
        return "has no footer: its run was interrupted, is still under way, or the file was cut short"
    try:
        _schema()(document)
    except fastjsonschema.JsonSchemaValueException as error:
        return f"is no valid report: {error.message.replace('data.', '', 1)}"
    return _contradiction(document["cases"], document["footer"]) or _too_good(document)


def _contradiction(cases: list[dict[str, Any]], footer: dict[str, Any]) -> str:
    """Where the footer does not fit the cases."""
    if footer["cases"] != len(cases):
        return f"has {len(cases)} cases, and a footer that counts {footer['cases']}"
    outcomes = dict(Counter(case["outcome"] for case in cases))
    if footer["outcomes"] != outcomes:
        return f"has the outcomes {outcomes}, and a footer that counts {footer['outcomes']}"
    if footer["digest"] != digest(cases):
        return "was altered: its footer's digest is not that of its cases"
    if VERDICTS.get(footer["exit"]) != footer["verdict"]:
        return f"has the verdict {footer['verdict']!r} with the exit status {footer['exit']}"
    repeated = [key for key, n in Counter((case["agent"], case["id"]) for case in cases).items() if n > 1]
    if repeated:
        return f"has the case {repeated[0][1]} of {repeated[0][0]} more than once"
    return ""


def _too_good(document: Document) -> str:
    """Where the verdict is better than what the cases came to."""
    verdict, strict = document["footer"]["verdict"], document["run"]["strict"]
    if verdict not in ("green", "partial"):
        return ""
    for case in document["cases"]:
        failed = case["outcome"] == "FAIL" and any(_gated(name, strict) for name in case["checks"])
        excused = case.get("excused") and case["outcome"] not in NEVER_EXPECTED
        if not excused and (case["outcome"] in NEVER_EXPECTED or failed or gated_breaks(case, strict)):
            return f"has the verdict {verdict!r}, and the failed case {case['id']} of {case['agent']}"
    if verdict == "green" and (document["run"]["filtered"] or "COULD-NOT-RUN" in document["footer"]["outcomes"]):
        return "has the verdict 'green', and cases that did not run"
    unproved = _unproved(document) if verdict == "green" else ""
    return f"has the verdict 'green', and no case that proves {unproved}" if unproved else ""


def _unproved(document: Document) -> str:
    """A check that a green run would have proved, "" for none. Of a report of another harness it can only be said that it has
    cases."""
    if document["versions"]["harness"] != __version__:
        return "" if document["cases"] else "anything"
    touched: dict[str, set[str]] = {}
    for case in document["cases"]:
        touched.setdefault(case["agent"], set()).update(case["checks"], case["broken"])
    anywhere = set().union(*touched.values())
    for check in checks(contract_of(document)).values():
        if check.pending or not _gated(check.id, document["run"]["strict"]):
            continue
        if check.clause.startswith("HOST-"):
            if check.id not in anywhere:
                return check.id
            continue
        for agent in document["agents"]:
            exempt = agent.get("sanitized") and "native-memory" in check.tags
            exempt = exempt or not check.is_asked_on(transports_of(document, agent["label"]))
            if not exempt and check.id not in touched.get(agent["label"], ()):
                return f"{check.id} of {agent['label']}"
    return ""


def _no_number(name: str) -> None:
    """Infinity and NaN are no JSON. Raises ValueError."""
    raise ValueError(name)


def load(path: Path) -> Document:
    """The report at `path`. Raises UsageError for whatever is no whole, valid report."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise UsageError(f"{path} cannot be read: {reason}") from None
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        begun = text.lstrip()[:80].replace(" ", "").replace("\n", "").startswith(f'{{"format":"{FORMAT}"')
        what = "ends before its footer: the file was cut short or damaged" if begun else "is no guestwire report"
        raise UsageError(f"{path} {what}") from None
    wrong = fault(document)
    if wrong:
        raise UsageError(f"{path} {wrong}")
    found: Document = document
    return found


def gated_breaks(case: dict[str, Any], strict: bool) -> list[str]:
    """The checks other than its own that a case found broken, as far as the verdict counts them."""
    return [name for name in case["broken"] if _gated(name, strict)]


def _gated(name: str, strict: bool) -> bool:
    """Whether the verdict counts a check; one that the ledger no longer has was a MUST."""
    known = every_check()
    return strict or name not in known or known[name].level == "MUST"


def transports_of(document: Document, label: str) -> set[str]:
    """That an agent was judged on."""
    return {transport for agent, transport in document["rows"] if agent == label}


def contract_of(document: Document) -> Contract:
    """That its programs were judged by."""
    return CONTRACTS[document["run"].get("contract", AGENT.name)]


def told(document: Document) -> str:
    """The verdict in words: a green with known failures says so."""
    return with_known(document["footer"]["verdict"], sum(bool(case.get("excused")) for case in document["cases"]))


def results(document: Document) -> list[CaseResult]:
    """A document's cases, without members that this version does not know."""
    return [CaseResult.from_json(case) for case in document["cases"]]
