"""What CI systems read: JUnit XML, GitHub's annotations and step summary."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest

from guestwire import cli
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit, RunVerdict, judge
from guestwire.report import document, github, junit
from guestwire.tests.harness import CONFORM, TINY, run, temporary
from guestwire.tests.reports import GUEST, NASTY, cases, head, in_guest, report

# element: attributes that must be there, attributes that may, children in their order (* many)
SCHEMA = {
    "testsuites": ({"name"}, {"tests", "failures", "errors", "time", "disabled"}, ["testsuite*"]),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "timestamp"},
        {"skipped", "disabled", "hostname", "id", "package"},
        ["properties", "testcase*", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property*"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": (
        {"name", "classname", "time"},
        {"assertions", "status"},
        ["skipped", "error*", "failure*", "system-out*", "system-err*"],
    ),
    "skipped": (set(), {"message", "type"}, []),
    "failure": ({"type"}, {"message"}, []),
    "error": ({"type"}, {"message"}, []),
    "system-out": (set(), set(), []),
}


def conforms(element: ElementTree.Element) -> None:
    """By the schema that Jenkins, and with it everybody else, reads JUnit XML by."""
    must, may, order = SCHEMA[element.tag]
    assert must <= set(element.keys()) <= must | may, element.attrib
    places = [[name.rstrip("*") for name in order].index(child.tag) for child in element]
    assert places == sorted(places)
    for name in {child.tag for child in element}:
        assert f"{name}*" in order or len(element.findall(name)) == 1
    for child in element:
        conforms(child)


def test_the_guest_among_a_suites_properties() -> None:
    root = ElementTree.fromstring(junit.xml(in_guest()))
    conforms(root)
    for suite in root.findall("testsuite"):
        found = {one.get("name"): one.get("value") for one in suite.iter("property")}
        own = {name: value for name, value in found.items() if name is not None and name.startswith("guest")}
        wanted = {f"guest_{name}": str(value) for name, value in GUEST.items()}
        assert own == (wanted if found["label"] == "agent" else {})


def test_schema(tmp_path: Path) -> None:
    text = junit.xml(report())
    conforms(ElementTree.fromstring(text))
    path = tmp_path / "junit.xml"
    path.write_text(text, encoding="utf-8")
    suites = {suite.name: suite for suite in junitparser.JUnitXml.fromfile(str(path))}
    assert list(suites) == ["agent@unix", "agent@fd-listen", "oracle@unix", "oracle@fd-listen"]
    assert [(suite.tests, suite.failures, suite.skipped) for suite in suites.values()] == [
        (2, 0, 0), (2, 0, 0), (2, 1, 0), (2, 0, 1),
    ]  # fmt: skip


def test_failure_and_skip() -> None:
    """With everything an agent may say, in characters that XML allows."""
    root = ElementTree.fromstring(junit.xml(report()))
    [failure] = root.iter("failure")
    assert failure.get("type") == "FAIL"
    assert failure.text is not None
    assert failure.text.startswith("expected: a pong\n  actual: </script>")
    assert "\\x1b[31m \\x00 \\ufffe \\ud800" in failure.text
    [skipped] = root.iter("skipped")
    assert skipped.get("message") == "COULD-NOT-RUN: needs root: run it as root"
    case = next(case for case in root.iter("testcase") if case.find("failure") is not None)
    assert case.get("name", "").startswith(case.get("classname", "?"))
    properties = {entry.get("name"): entry.get("value") for entry in next(root.iter("properties"))}
    assert (properties["harness"], properties["protocol"], properties["agent_version"]) == ("0.1.0", "1", "0.1.0")


@pytest.mark.parametrize(("strict", "failures", "status"), [(True, 1, Exit.RED), (False, 0, Exit.GREEN)])
def test_broken_should(strict: bool, failures: int, status: Exit) -> None:
    """A check that a passing case found broken is a failure where the verdict counts it."""
    made = CaseResult("PING", "agent", "unix", ["PING"], broken={"ERR-CODE/known": ["a code", "none"]})
    root = ElementTree.fromstring(junit.xml(document.compose(head(strict=strict), [made], status)))
    conforms(root)
    assert len(list(root.iter("failure"))) == failures == int(root.get("failures", "-1"))


def test_expected_failure_is_no_failure() -> None:
    made = cases(4)
    root = ElementTree.fromstring(junit.xml(document.compose(head(), made, Exit.PARTIAL, made[2:3], ["why"])))
    conforms(root)
    assert not list(root.iter("failure"))
    assert [skip.get("message", "")[:18] for skip in root.iter("skipped")] == [
        "expected to fail: ",
        "COULD-NOT-RUN: nee",
        "partial: why",
    ]


@pytest.mark.parametrize(
    ("status", "counts"),
    [(Exit.GREEN, None), (Exit.RED, (1, 0, 0)), (Exit.PARTIAL, (0, 0, 1)), (Exit.HARNESS_BUG, (0, 1, 0))],
)
def test_verdict_that_the_cases_do_not_tell(status: Exit, counts: tuple[int, int, int] | None, tmp_path: Path) -> None:
    """Where every case passed and the run is not green, JUnit XML has one more that did not."""
    made = [CaseResult("PING", "agent", "unix", ["PING"])]
    path = tmp_path / "junit.xml"
    path.write_text(junit.xml(document.compose(head(), made, status, reasons=["\x1b why"])))
    conforms(ElementTree.parse(path).getroot())
    suites = [suite for suite in junitparser.JUnitXml.fromfile(str(path)) if suite.name == "verdict"]
    assert [(suite.failures, suite.errors, suite.skipped) for suite in suites] == ([counts] if counts else [])
    root = junitparser.JUnitXml.fromfile(str(path))
    assert (root.tests, root.failures, root.errors) == (1 + bool(counts), *(counts or (0, 0))[:2])


def test_what_an_agent_may_say_at_length() -> None:
    """A mebibyte of anything: the files of CI systems stay small."""
    made = cases(4)
    made[2].actual = made[3].actual = (NASTY + "x" * 100) * 8_000
    written = document.compose(head(), made, Exit.RED)
    text = junit.xml(written)
    conforms(ElementTree.fromstring(text))
    assert len(text) < 50_000
    long = judge(
        made, [("agent", "unix"), ("oracle", "unix")], set(), filtered=False, strict=True, expected=4, errors=[]
    )
    assert len("".join(github.commands(long))) < 20_000
    assert len(github.summary(long)) < 20_000


# ---- GitHub


def verdict(count: int = 8) -> RunVerdict:
    made = cases(count)
    rows = [("agent", "unix"), ("oracle", "unix")]
    return judge(made, rows, set(), filtered=False, strict=True, expected=count, errors=[])


def test_annotations() -> None:
    """One command, whatever the agent says: it can neither end the line nor begin another."""
    [told] = list(github.commands(verdict()))
    assert told.startswith("::error title=FAIL FRAME")
    title, _, message = told.removeprefix("::error title=").partition("::")
    assert "[oracle]" in title
    assert not set(title) & set(":,\r\n")
    assert message.startswith("expected: a pong%0Aactual: </script>")
    assert "%250A::warning::" in message
    assert told.isprintable()


def test_annotation_of_a_partial_run() -> None:
    """Its step fails: the annotation says why."""
    made = [CaseResult("PING", "agent", "unix", ["PING"])]
    partial = judge(made, [("agent", "unix")], set(), filtered=True, strict=False, expected=1, errors=[])
    assert list(github.commands(partial)) == ["::warning title=conform::filtered: cases were left out by request"]
    lost = judge(made, [("agent", "unix")], set(), filtered=False, strict=False, expected=1, errors=["a\n::error::b"])
    assert next(iter(github.commands(lost))) == "::error title=conform::a ::error::b"


def test_summary(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    github.write_summary(verdict(), {"GITHUB_STEP_SUMMARY": str(path)})
    text = path.read_text()
    assert text.startswith("before\n### guestwire conformance: red\n")
    assert "6 passed, 1 failed, 1 skipped" in text
    [failure] = [line for line in text.splitlines() if line.startswith("| <code>FAIL ")]
    assert failure.count("|") == 5
    assert "<b>" not in failure
    assert "</script>" not in failure
    table = [line for line in text.splitlines() if line.startswith("| <code>agent</code>")]
    assert table[0].startswith("| <code>agent</code> | <code>unix</code> | 2 |")


def test_only_where_it_runs_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = (*CONFORM, "run", f"exec:{TINY} --bare", "--clause=PING", "--transport=unix", "--jobs=1")
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    for value, there in (("false", False), ("true", True)):
        monkeypatch.setenv("GITHUB_ACTIONS", value)
        with temporary() as folder:
            done = run(folder, *words)
        assert ("\n::error title=FAIL PING@unix [tiny.py]::" in done.stdout) == there == path.exists()
        stopped = re.search(r"^::stop-commands::(\w{32})\n(.*)^::\1::\n::error ", done.stdout, re.MULTILINE | re.DOTALL)
        assert bool(stopped) == there
        assert not stopped or "FAIL PING@unix" in stopped[2]
        assert done.stdout.endswith("0 passed, 1 failed, 0 skipped\n")


# ---- conform report


def test_report_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "report.json", tmp_path / "out/junit.xml"
    path.write_text(document.dump(report()))
    assert cli.main(["report", str(path), "--junit", str(out)]) == 1
    assert out.read_text() == junit.xml(report())
    assert capsys.readouterr().out == f"{path}: red, 8 cases (1 COULD-NOT-RUN, 1 FAIL, 6 PASS)\n"


def test_report_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "report.json", tmp_path / "junit.xml"
    path.write_text(document.dump(report())[:-20])
    assert cli.main(["report", str(path), "--junit", str(out)]) == 2
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert "footer" in told.err
    assert not out.exists()
    path.write_text(document.dump(report()))
    assert cli.main(["report", str(path), "--junit", str(path / "below")]) == 2
