"""The report as one HTML file that needs nothing else: template/ inlined, the data as JSON in a script tag."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guestwire.judge.contract import Contract
from guestwire.judge.ledger import clauses
from guestwire.report import about, safe
from guestwire.report.document import Document, contract_of, told
from guestwire.report.timeline import Budget, conversations
from guestwire.report.trend import changes, history

TEMPLATE = Path(__file__).resolve().parent / "template"
LONGEST = 4_000  # characters of a text that an agent chose
SCRIPTS = ("model.js", "case.js", "page.js")


def render(report: Document, folder: Path | None = None, earlier: Sequence[Document] = ()) -> str:
    """The page. `folder` is the report's, where evidence lies; `earlier` are reports for the trend."""
    style = (TEMPLATE / "page.css").read_text(encoding="utf-8")
    script = "".join((TEMPLATE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    labels = ", ".join(agent["label"] for agent in report["agents"])
    footer = report["footer"]
    parts = {
        "policy": f"default-src 'none'; img-src data:; script-src {_source(script)}; style-src {_source(style)}",
        "title": html.escape(safe.cut(safe.line(f"{told(report)}: conformance of {labels}"), 200)),
        "summary": html.escape(f"Verdict: {told(report)}, {footer['cases']} cases"),
        "style": style,
        "script": script,
        "data": safe.script(_data(report, folder, earlier)),
    }
    text = (TEMPLATE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match.group(1)], text)


def _source(text: str) -> str:
    """What the content security policy calls an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(report: Document, folder: Path | None, earlier: Sequence[Document]) -> dict[str, Any]:
    past = [*sorted(earlier, key=lambda each: str(each["run"]["started"])), report] if earlier else []
    return {
        "verdict": report["footer"]["verdict"],
        "told": told(report),
        "reasons": [safe.cut(safe.line(reason), LONGEST) for reason in report["footer"].get("reasons", ())],
        "about": _about(report),
        "facts": _facts(report),
        "agents": [
            {"label": safe.printable(a["label"]), "connectable": safe.printable(a["connectable"])}
            for a in report["agents"]
        ],
        "history": history(past),
        "changes": changes(past[-2], report) if past else [],
        **_cases(report, folder),
    }


def _about(report: Document) -> str:
    versions = report["versions"]
    started = report["run"]["started"].replace("T", " ").rstrip("Z")
    return safe.line(f"{started} UTC, harness {versions['harness']}, protocol {versions['protocol']}")


def _facts(report: Document) -> list[tuple[str, str]]:
    run, versions = report["run"], report["versions"]
    facts = [
        ("Started", f"{run['started']}, took {run['seconds']:.0f} s"),
        ("Command", run["command"]),
        ("Versions", f"harness {versions['harness']}, protocol {versions['protocol']}, Python {versions['python']}"),
        ("Strict", "yes: SHOULD counts like MUST" if run["strict"] else "no: only MUST counts"),
        ("Filtered", "yes: some cases were left out" if run["filtered"] else "no"),
    ]
    if run["seed"] is not None:
        facts.append(("Seed", str(run["seed"])))
    for agent in report["agents"]:
        digest = f", SHA-256 {agent['sha256']}" if agent["sha256"] else ""
        facts.append((f"Agent {agent['label']}", f"version {agent['agent_version'] or 'not told'}{digest}"))
        if "guest" in agent:
            facts.append((f"Guest of {agent['label']}", about.guest(agent["guest"])))
    return [(safe.cut(safe.line(name), LONGEST), safe.cut(safe.line(value), LONGEST)) for name, value in facts]


class _Index(dict[Any, int]):
    """Values by the order of their first use."""

    def __missing__(self, key: Any) -> int:
        self[key] = len(self)
        return self[key]


def _cases(report: Document, folder: Path | None) -> dict[str, Any]:
    """The cases with everything that repeats written once: most of a report is cases that passed."""
    checks, names, rows, outcomes = (_Index() for _ in range(4))
    for row in report["rows"]:
        rows[tuple(row)]
    budget = Budget()
    details: list[dict[str, Any]] = []
    lines = []
    for case in report["cases"]:
        name = names[(safe.printable(case["case"]), tuple(checks[check] for check in case["checks"]))]
        row = rows[(case["agent"], case["transport"])]
        detail = _detail(case, checks, folder, budget)
        lines.append(
            (name, row, outcomes[case["outcome"]], round(case["seconds"] * 1000), len(details) if detail else -1)
        )
        details += [detail] if detail else []
    return {
        **_ledger(list(checks), contract_of(report)),
        "names": list(names),
        "rows": [[safe.printable(part) for part in row] for row in rows],
        "outcomes": list(outcomes),
        "cases": lines,
        "details": details,
    }


def _detail(case: dict[str, Any], checks: _Index, folder: Path | None, budget: Budget) -> dict[str, Any]:
    """What only cases that did not simply pass have."""
    broken = [(checks[name], _text(pair[0]), _text(pair[1])) for name, pair in case["broken"].items()]
    found: dict[str, Any] = {name: _text(case[name]) for name in ("expected", "actual") if case[name]}
    found |= {"broken": broken} if broken else {}
    found |= {"excused": True} if case.get("excused") else {}
    if case.get("evidence"):
        found["evidence"] = safe.printable(case["evidence"])
        talked = conversations(folder, case["evidence"], budget) if folder is not None else []
        found |= {"conversations": talked} if talked else {}
    return found


def _text(text: str) -> str:
    return safe.cut(safe.printable(text), LONGEST)


def _ledger(names: list[str], contract: Contract) -> dict[str, Any]:
    """Clauses in the contract's order, then those that only the report knows, and the checks that cases name."""
    known = {check.id: check for clause in clauses(contract).values() for check in clause.checks}
    order = [name for name, clause in clauses(contract).items() if not clause.excluded]
    order += sorted({name.partition("/")[0] for name in names} - set(order))
    entries = []
    for name in order:
        clause = clauses(contract).get(name)
        entries.append((name, clause.level, clause.text) if clause else (safe.printable(name), "MUST", ""))
    index = {name: number for number, name in enumerate(order)}
    told = []
    for name in names:
        check, clause_index = known.get(name), index[name.partition("/")[0]]
        told.append((safe.printable(name), clause_index, check.level if check else "MUST", check.text if check else ""))
    return {"clauses": entries, "checks": told}
