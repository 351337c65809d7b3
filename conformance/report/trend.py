"""Several reports, one after the other: how the outcomes went, and what the last one changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from guestwire.report import safe
from guestwire.report.document import Document, gated_breaks

COLOURS = {"PASS": "good", "NOT-APPLICABLE": "none", "COULD-NOT-RUN": "odd"}
LISTED = 200


def _colour(case: dict[str, Any], strict: bool) -> str:
    """good, none, odd or bad, as the page calls them."""
    if case.get("excused"):
        return "odd"
    if gated_breaks(case, strict):
        return "bad"
    return COLOURS.get(case["outcome"], "bad")


def history(reports: Sequence[Document]) -> list[dict[str, Any]]:
    """A line for each report."""
    lines = []
    for report in reports:
        counts = Counter(_colour(case, report["run"]["strict"]) for case in report["cases"])
        agents = ", ".join(f"{agent['label']} {agent['agent_version']}".strip() for agent in report["agents"])
        words = f"{counts['good']} passed, {counts['bad']} failed, {counts['odd'] + counts['none']} other; {agents}"
        lines.append(
            {
                "started": report["run"]["started"],
                "verdict": report["footer"]["verdict"],
                "counts": dict(counts),
                "words": safe.line(words),
            }
        )
    return lines


def changes(before: Document, after: Document) -> list[tuple[str, list[str]]]:
    """(what, cases): what fails that did not, what no longer does, what is new, what is gone."""
    old, new = (
        {f"{case['id']} [{case['agent']}]": _colour(case, report["run"]["strict"]) == "bad" for case in report["cases"]}
        for report in (before, after)
    )
    return [
        (title, [safe.line(name) for name in sorted(names)[:LISTED]])
        for title, names in (
            ("Fail since the last run", {name for name in new.keys() & old.keys() if new[name] and not old[name]}),
            ("No longer fail", {name for name in new.keys() & old.keys() if old[name] and not new[name]}),
            ("New cases", new.keys() - old.keys()),
            ("Cases that are gone", old.keys() - new.keys()),
        )
    ]
