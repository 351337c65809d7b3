"""The report as JUnit XML: a suite for each agent and transport, its cases by clause."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from guestwire.judge.outcome import Outcome
from guestwire.report import safe
from guestwire.report.document import Document, gated_breaks, told

SKIPPED = ("COULD-NOT-RUN", "NOT-APPLICABLE")
LONGEST = 10_000  # characters of a text that an agent chose
COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}  # attribute of a suite: child of its cases


def xml(report: Document) -> str:
    """The whole document."""
    root = ElementTree.Element("testsuites", name="guestwire conformance")
    cases: dict[tuple[str, str], list[dict[str, Any]]] = {(row[0], row[1]): [] for row in report["rows"]}
    for case in report["cases"]:
        cases.setdefault((case["agent"], case["transport"]), []).append(case)
    suites = [_suite(report, row, found) for row, found in cases.items()]
    suites += _verdict(report, any(suite.get("failures") != "0" for suite in suites))
    _count(root, suites)
    root.extend(suites)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _count(root: ElementTree.Element, suites: list[ElementTree.Element]) -> None:
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in suites):.3f}")


def _verdict(report: Document, failed: bool) -> list[ElementTree.Element]:
    """Readers of JUnit XML see cases only: what they would take for green and is not gets a case of its own."""
    footer = report["footer"]
    told = {"red": "" if failed else "failure", "partial": "skipped", "harness-bug": "error"}.get(footer["verdict"], "")
    if not told:
        return []
    suite = ElementTree.Element("testsuite", name="verdict", tests="1", time="0.000")
    for name, tag in COUNTED.items():
        suite.set(name, str(int(tag == told)))
    suite.set("timestamp", report["run"]["started"].rstrip("Z"))
    case = ElementTree.SubElement(suite, "testcase", name="verdict", classname="verdict", time="0.000")
    reasons = "; ".join(footer.get("reasons", ()))
    element = _add(case, told, f"{footer['verdict']}: {reasons}")
    if told != "skipped":
        element.set("type", footer["verdict"])
        element.text = safe.printable(reasons)
    return [suite]


def _suite(report: Document, row: tuple[str, str], cases: list[dict[str, Any]]) -> ElementTree.Element:
    agent, transport = row
    suite = ElementTree.Element("testsuite", name=safe.line(f"{agent}@{transport}"))
    made = [_case(case, report["run"]["strict"]) for case in cases]
    suite.set("tests", str(len(made)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in made)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in made)))
    suite.set("time", f"{sum(case['seconds'] for case in cases):.3f}")
    suite.set("timestamp", report["run"]["started"].rstrip("Z"))
    properties = ElementTree.SubElement(suite, "properties")
    facts = {
        "harness": report["versions"]["harness"],
        "protocol": report["versions"]["protocol"],
        "python": report["versions"]["python"],
        "command": report["run"]["command"],
        "verdict": told(report),
    }
    facts |= next((entry for entry in report["agents"] if entry["label"] == agent), {})
    facts |= {f"guest_{name}": value for name, value in facts.pop("guest", {}).items()}
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=safe.line(str(value)))
    suite.extend(made)
    return suite


def _case(case: dict[str, Any], strict: bool) -> ElementTree.Element:
    clause = case["checks"][0].partition("/")[0]
    element = ElementTree.Element(
        "testcase", name=safe.line(case["id"]), classname=clause, time=f"{case['seconds']:.3f}"
    )
    outcome = case["outcome"]
    if case.get("excused"):
        _add(element, "skipped", f"expected to fail: {case['actual'] or ', '.join(case['broken'])}")
    elif outcome in SKIPPED:
        _add(element, "skipped", f"{outcome}: {case['actual']}")
    elif outcome != Outcome.PASS:
        _fail(element, outcome, case["expected"], case["actual"])
    else:
        for name in gated_breaks(case, strict)[:1]:  # the schema wants one at most
            _fail(element, "BROKEN", f"{name}: {case['broken'][name][0]}", case["broken"][name][1])
    if case.get("evidence"):
        ElementTree.SubElement(element, "system-out").text = safe.printable(f"evidence: {case['evidence']}")
    return element


def _add(parent: ElementTree.Element, tag: str, message: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, message=safe.cut(safe.line(message), 1000))


def _fail(parent: ElementTree.Element, kind: str, expected: str, actual: str) -> None:
    element = _add(parent, "failure", f"expected {expected}, actual {actual}")
    element.set("type", kind)
    element.text = "\n".join(
        safe.cut(safe.printable(text), LONGEST) for text in (f"expected: {expected}", f"  actual: {actual}")
    )
