"""What a run's cases come to: only a run that proved everything is green, in every form of its report."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from guestwire.judge import ledger
from guestwire.judge.expect import Expectation
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.verdict import Exit, RunVerdict, judge
from guestwire.report import document, github, junit, page, terminal
from guestwire.tests.reports import head

MUST, SHOULD = "RUN-EXIT/status", "ERR-CODE/known"
EXPECTED = Expectation(f"{MUST}@unix", "a status", "known", datetime.date.max)


def proved() -> list[CaseResult]:
    """A case for each check, all passed."""
    checks = [check for check in ledger.checks().values() if not check.pending]
    where = {True: ("host functions", "-"), False: ("agent", "unix")}
    return [CaseResult(check.id, *where[check.clause.startswith("HOST-")], [check.id]) for check in checks]


def of(name: str, made: list[CaseResult]) -> CaseResult:
    return next(case for case in made if case.case == name)


def judged(made: list[CaseResult], **facts: Any) -> RunVerdict:
    usual: dict[str, Any] = {"filtered": False, "strict": False, "expected": len(made), "errors": []}
    return judge(made, [("agent", "unix")], set(), **usual | facts)


def without(name: str) -> list[CaseResult]:
    return [case for case in proved() if case.case != name]


def with_outcome(name: str, outcome: Outcome) -> list[CaseResult]:
    made = proved()
    of(name, made).outcome = outcome.value
    of(name, made).expected = "a status"
    return made


def with_broken(name: str) -> list[CaseResult]:
    made = proved()
    of("PING", made).broken = {name: ["this", "that"]}
    return made


def twinless(twin: str, outcome: Outcome = Outcome.PASS) -> list[CaseResult]:
    """A check of JSON-DUP proved by two cases, one of them a refusal that has this twin."""
    made = with_outcome(SHOULD, outcome)
    return [*made, CaseResult("JSON-DUP/plain:again", "agent", "unix", ["JSON-DUP/plain"], twin=twin)]


def only(outcome: Outcome, name: str = MUST) -> list[CaseResult]:
    return [CaseResult(name, "agent", "unix", [name], outcome.value, "a status", "another")]


RUNS: dict[str, tuple[Callable[[], RunVerdict], Exit]] = {
    "all": (lambda: judged(proved()), Exit.GREEN),
    "all, strict": (lambda: judged(proved(), strict=True), Exit.GREEN),
    "a SHOULD without a case": (lambda: judged(without(SHOULD)), Exit.GREEN),
    "a SHOULD without a case, strict": (lambda: judged(without(SHOULD), strict=True), Exit.PARTIAL),
    "a SHOULD fails": (lambda: judged(with_outcome(SHOULD, Outcome.FAIL)), Exit.GREEN),
    "a SHOULD fails, strict": (lambda: judged(with_outcome(SHOULD, Outcome.FAIL), strict=True), Exit.RED),
    "a SHOULD broken on the way": (lambda: judged(with_broken(SHOULD)), Exit.GREEN),
    "a SHOULD broken on the way, strict": (lambda: judged(with_broken(SHOULD), strict=True), Exit.RED),
    "a MUST without a case": (lambda: judged(without(MUST)), Exit.PARTIAL),
    "a MUST not applicable": (lambda: judged(with_outcome(MUST, Outcome.NOT_APPLICABLE)), Exit.PARTIAL),
    "a MUST could not run": (lambda: judged(with_outcome(MUST, Outcome.COULD_NOT_RUN)), Exit.PARTIAL),
    "a SHOULD could not run": (lambda: judged(with_outcome(SHOULD, Outcome.COULD_NOT_RUN)), Exit.PARTIAL),
    "a MUST lacked": (lambda: judged(without(MUST), lacked={"agent": frozenset([MUST])}), Exit.PARTIAL),
    "filtered": (lambda: judged(proved(), filtered=True), Exit.PARTIAL),
    "a refusal whose twin could not run": (lambda: judged(twinless(SHOULD, Outcome.COULD_NOT_RUN)), Exit.PARTIAL),
    "a refusal whose twin is not there": (lambda: judged(twinless("no-such-case")), Exit.PARTIAL),
    "a refusal whose twin passes": (lambda: judged(twinless("PING")), Exit.GREEN),
    "a MUST fails": (lambda: judged(with_outcome(MUST, Outcome.FAIL)), Exit.RED),
    "a MUST fails, filtered": (lambda: judged(with_outcome(MUST, Outcome.FAIL), filtered=True), Exit.RED),
    "a MUST broken on the way": (lambda: judged(with_broken(MUST)), Exit.RED),
    "a SHOULD crashes": (lambda: judged(with_outcome(SHOULD, Outcome.CRASH)), Exit.RED),
    "a SHOULD hangs": (lambda: judged(with_outcome(SHOULD, Outcome.TIMEOUT)), Exit.RED),
    "a MUST fails as expected": (
        lambda: judged(with_outcome(MUST, Outcome.FAIL), expectations=[EXPECTED]),
        Exit.GREEN,
    ),
    "an expected failure passes": (lambda: judged(proved(), expectations=[EXPECTED]), Exit.RED),
    "a crash expected to fail": (
        lambda: judged(with_outcome(MUST, Outcome.CRASH), expectations=[EXPECTED]),
        Exit.RED,
    ),
    "a case lost": (lambda: judged(proved(), expected=len(proved()) + 1), Exit.HARNESS_BUG),
    "no case": (lambda: judged([]), Exit.HARNESS_BUG),
    "no case, filtered": (lambda: judged([], filtered=True), Exit.HARNESS_BUG),
    "an error": (lambda: judged(proved(), errors=["the sky has fallen"]), Exit.HARNESS_BUG),
    "an error and a failure": (
        lambda: judged(with_outcome(MUST, Outcome.FAIL), errors=["the sky has fallen"]),
        Exit.HARNESS_BUG,
    ),
    "one, could not run": (lambda: judged(only(Outcome.COULD_NOT_RUN), filtered=True), Exit.PARTIAL),
    "one, not applicable": (lambda: judged(only(Outcome.NOT_APPLICABLE), filtered=True), Exit.PARTIAL),
    "one, a SHOULD fails": (lambda: judged(only(Outcome.FAIL, SHOULD), filtered=True), Exit.PARTIAL),
    "one, fails as expected": (
        lambda: judged(only(Outcome.FAIL), filtered=True, expectations=[EXPECTED]),
        Exit.PARTIAL,
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_verdict(name: str) -> None:
    make, status = RUNS[name]
    verdict = make()
    assert verdict.exit == status
    if status in (Exit.PARTIAL, Exit.HARNESS_BUG):
        assert verdict.reasons


@pytest.mark.parametrize("name", [name for name, (_, status) in RUNS.items() if status != Exit.GREEN])
def test_nothing_else_looks_green(name: str) -> None:
    """On the terminal, in the step summary, as JUnit XML, as a page; and the document knows why."""
    make, status = RUNS[name]
    verdict = make()
    target = Console(file=io.StringIO(), width=120, soft_wrap=True)
    terminal.show(verdict, {"agent": "exec:agent"}, target)
    assert isinstance(target.file, io.StringIO)
    assert "green" not in target.file.getvalue()
    assert target.file.getvalue().splitlines()[-1].startswith(("verdict: RED", "verdict: PARTIAL", "verdict: NONE"))
    heading = github.summary(verdict).partition("\n")[0].removesuffix(", with 1 known failure")
    assert heading == f"### guestwire conformance: {document.VERDICTS[status]}"
    every = [*verdict.failures, *verdict.could_not_run, *verdict.not_applicable, *verdict.settled.expected]
    made = document.compose(
        head(("agent",), strict=verdict.strict), every, status, verdict.settled.expected, verdict.reasons
    )
    assert document.fault(made) == ""
    assert verdict.failures or verdict.broken or made["footer"]["reasons"]
    root = ElementTree.fromstring(junit.xml(made))
    wanted = {Exit.RED: ["failure"], Exit.HARNESS_BUG: ["error"], Exit.PARTIAL: ["skipped"]}[status]
    assert any(list(root.iter(tag)) for tag in wanted)
    assert f'"verdict":"{document.VERDICTS[status]}"' in page.render(made)


def test_reasons() -> None:
    made = judged(with_outcome(MUST, Outcome.COULD_NOT_RUN), strict=True).reasons
    assert made == ["1 cases could not run", f"not proved [agent]: {MUST}"]
    assert judged(without(SHOULD)).reasons == []
    assert judged([], expected=3).reasons[0] == "of 3 cases 3 came to no outcome"
    assert judged([], expected=3).counts == (0, 3, 0)
    assert judged([], expected=0).reasons[0] == "there was no case to run"
