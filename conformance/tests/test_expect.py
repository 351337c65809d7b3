"""Known failures (--expect): what they excuse, and what they never do."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.drive.connectable import UsageError
from guestwire.judge import expect, ledger
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.verdict import Exit, judge
from guestwire.report import document, github, junit, live, page, terminal
from guestwire.tests.harness import MINI, TINY, Done, run, temporary
from guestwire.tests.reports import head

TODAY = datetime.date(2026, 6, 1)
LATER = datetime.date(2099, 1, 1)
ENTRY = 'case = "JSON-DUP/plain@unix"\nmessage = "an error (malformed)"\nwhy = "not yet"\nexpires = 2099-01-01\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def failing(**fields: object) -> CaseResult:
    result = CaseResult("JSON-DUP/plain", "tiny", "unix", ["JSON-DUP/plain"], Outcome.FAIL.value, "an error", "a pong")
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def entry(**fields: object) -> expect.Expectation:
    values: dict[str, object] = {
        "case": "JSON-DUP/*", "message": "an error", "why": "not yet", "expires": LATER,
    }  # fmt: skip
    return expect.Expectation(**(values | fields))  # type: ignore[arg-type]


def test_an_expected_failure() -> None:
    result = failing()
    settled = expect.settle([entry()], [result], TODAY)
    assert settled.expected == [result]
    assert settled.errors == []


@pytest.mark.parametrize(
    ("changed", "result", "says"),
    [
        ({"expires": datetime.date(2026, 5, 31)}, {}, "has expired on 2026-05-31"),
        ({"case": "JSON-NUL*"}, {}, "matches no case"),
        ({"agent": "other"}, {}, "matches no case"),
        ({"message": "a pong"}, {}, "fails in another way: 'an error'"),
        ({}, {"outcome": "PASS"}, "passes: remove the entry"),
        ({}, {"outcome": "CRASH"}, "came to CRASH"),
        ({}, {"outcome": "TIMEOUT"}, "came to TIMEOUT"),
        ({}, {"outcome": "COULD-NOT-RUN"}, "came to COULD-NOT-RUN"),
        ({}, {"broken": {"SRV-SURVIVE/leaks": ["no file left", "one"]}}, "fails in another way: 'no file left'"),
    ],
)
def test_an_entry_that_does_not_fit(changed: dict[str, object], result: dict[str, object], says: str) -> None:
    """The run fails, and nothing is excused."""
    settled = expect.settle([entry(**changed)], [failing(**result)], TODAY)
    assert settled.expected == []
    assert len(settled.errors) == 1
    assert says in settled.errors[0]


def test_a_pattern_over_20_cases() -> None:
    results = [failing(case=f"JSON-DUP/{number}") for number in range(21)]
    assert "matches 21 cases" in expect.settle([entry()], results, TODAY).errors[0]
    assert len(expect.settle([entry()], results[:20], TODAY).expected) == 20


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[expected]]\n" + ENTRY.replace("case", "kase"), "accepted are case,"),
        ("[[expected]]\n" + ENTRY.replace('"not yet"', '""'), "why is missing or empty"),
        ("[[expected]]\n" + ENTRY.replace("2099-01-01", '"soon"'), "expires must be a date"),
        ("[[expected]]\n" + ENTRY.replace("2099-01-01", "2099-01-01T00:00:00"), "expires must be a date"),
        ("[[expected]]\n" + ENTRY + 'outcome = "CRASH"\n', "CRASH is never expected"),
        ("[[known]]\n" + ENTRY, "[[expected]] tables only"),
        ("expected = 1\n", "[[expected]] tables only"),
        ("[[expected]\n", "--expect"),
    ],
)
def test_a_bad_file(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "expect.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r".") as caught:
        expect.load(file)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_written_and_read_again(tmp_path: Path) -> None:
    """What is written excuses the same run once every entry has its reason, and is refused until then."""
    odd = failing(case="JSON-DUP/a[1]*", expected='text with "quotes", \x7f, \n and é' * 3)
    file = tmp_path / "expect.toml"
    assert expect.write(file, [failing(), odd, failing(outcome="CRASH"), failing(outcome="PASS")], TODAY) == 2
    with pytest.raises(UsageError, match="why is missing"):
        expect.load(file)
    file.write_text(file.read_text().replace('why = ""', 'why = "because"'))
    entries = expect.load(file)
    assert [e.expires for e in entries] == [datetime.date(2026, 8, 30)] * 2
    assert len(expect.settle(entries, [failing(), odd], TODAY).expected) == 2


def test_green_says_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everywhere that the verdict is told."""
    results = [CaseResult(check.id, "tiny", "unix", [check.id]) for check in ledger.checks().values()]
    broken = next(result for result in results if result.case == "JSON-DUP/plain")
    broken.outcome, broken.expected, broken.actual = Outcome.FAIL.value, "an error", "a pong"
    green = judge(results, [("tiny", "unix")], set(), filtered=False, strict=False, expected=len(results), errors=[],
                  expectations=[entry(case="JSON-DUP/plain@*")])  # fmt: skip
    assert green.exit == Exit.GREEN
    terminal.show(green, {"tiny": "exec:tiny"}, live.console())
    assert "\nverdict: green, with 1 known failure\n" in capsys.readouterr().out
    assert terminal.total(green).endswith(", 0 failed, 0 skipped (with 1 known failure)")
    assert github.summary(green).startswith("### guestwire conformance: green, with 1 known failure\n")
    made = document.compose(head(("tiny",), strict=False), results, green.exit, green.settled.expected, green.reasons)
    (tmp_path / "report.json").write_text(document.dump(made))
    assert cli.main(["report", str(tmp_path / "report.json")]) == 0
    assert "green, with 1 known failure, " in capsys.readouterr().out
    assert "<title>green, with 1 known failure: " in page.render(made)
    assert 'value="green, with 1 known failure"' in junit.xml(made)


def mini(folder: Path, *options: str) -> Done:
    """A tiny agent that fails one of the four short cases."""
    return run(folder, *MINI, "--agent", f"exec:{TINY}", "--transport=unix", "-k=not slow", *options)


def test_a_run(folder: Path) -> None:
    """Partial because of its filter; with the entry nothing has failed, with a stale one all has."""
    known = folder.parent / "expect.toml"
    known.write_text("[[expected]]\n" + ENTRY)
    done = mini(folder, f"--expect={known}")
    assert done.status == 3, done.stdout
    assert "known failures (--expect): JSON-DUP/plain@unix [tiny.py]" in done.stdout
    assert "\nverdict: PARTIAL (filtered run), with 1 known failure\n" in done.stdout
    known.write_text("[[expected]]\n" + ENTRY + "[[expected]]\n" + ENTRY.replace("JSON-DUP/plain", "PING:1"))
    done = mini(folder, f"--expect={known}")
    assert done.status == 1
    assert "PING:1@unix [tiny.py] passes: remove the entry" in done.stdout
    missing = mini(folder, "--expect=nowhere.toml")
    assert missing.status == 4 or "nowhere.toml" in missing.stderr
