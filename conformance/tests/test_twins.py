"""Twins: every refusal of the suite has one, on every row, and counts only with it."""

from __future__ import annotations

import contextlib
import inspect
import io
from functools import cache, partial

import pytest

from guestwire.commands.run import base_options
from guestwire.drive.selection import RESULT
from guestwire.judge.case import Case
from guestwire.judge.ledger import checks
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.twins import unfounded
from guestwire.judge.verdict import Exit, judge
from guestwire.tests.harness import CONFORM, TINY, run, temporary

REFUSES = (
    ".error(",
    "errno_error(",
    " refused(host",
    " refuse(host",
    "closed_silently(",
)  # how a case sees that it is refused
ENDED = (  # by whom is no matter of what was sent: the agent is told to stop, or the answer is whole
    "SRV-STOP/", "PUT-CLEAN/stop", "GET-WAIT/hangup", "GET-LARGE/over-4g", "PUT-OK/content",
)  # fmt: skip

OF_THE_PLACE = frozenset({"start", "witness", "root", "destructive"})  # needs that are not there for every agent


class _Collected:
    def __init__(self) -> None:
        self.cases: list[tuple[CaseResult, str, frozenset[str]]] = []  # with the function's source and needs

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            function = item.function  # type: ignore[attr-defined]
            self.cases.append((item.stash[RESULT], _source(function), function.guestwire_case.needs))


@cache
def _source(function: object) -> str:
    case: Case = function.guestwire_case  # type: ignore[attr-defined]
    return f"{case.checks[0]}: {inspect.getsource(function)}"  # type: ignore[arg-type]


@cache
def suite() -> list[tuple[CaseResult, str, frozenset[str]]]:
    """Every case of the suite, over every transport that the harness starts agents on."""
    collected = _Collected()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = pytest.main([*base_options(), f"--agent=exec:{TINY}", "--collect-only"], plugins=[collected])
    assert status == pytest.ExitCode.OK
    return collected.cases


def test_every_refusal_names_a_twin() -> None:
    """A case that sees an error, or is closed without a word, and would see the same from an agent that refuses everything."""
    refused = [(case, source) for case, source, _ in suite() if any(word in source for word in REFUSES)]
    assert len(refused) > 500
    assert {
        source.partition(":")[0] for case, source in refused if not case.twin and not source.startswith(ENDED)
    } == set()


def test_every_twin_exists_wherever_the_refusal_does() -> None:
    cases = [case for case, _, _ in suite()]
    assert sum(bool(case.twin) for case in cases) > 500
    assert {f"{case.id}: {case.twin}" for case in unfounded(cases)} == set()


def test_no_twin_needs_what_the_refusal_does_not() -> None:
    """Or the refusal would not count on an agent that runs where the harness cannot see it, or not as root."""
    needs = {case.case: needs for case, _, needs in suite()}
    named: dict[str, set[frozenset[str]]] = {}  # by a case's whole name, and by what comes before each of its colons
    for name, some in needs.items():
        parts = name.split(":")
        for end in range(1, len(parts) + 1):
            named.setdefault(":".join(parts[:end]), set()).add(some)
    lacking = set()
    for case in {case.case: case.twin for case, _, _ in suite() if case.twin}.items():
        own = needs[case[0]] | (
            {"witness"} if "start" in needs[case[0]] else set()
        )  # what the harness starts it can see
        if not any(some & OF_THE_PLACE <= own for some in named.get(case[1], ())):
            lacking.add(case)
    assert lacking == set()


# ---- what counts


def result(
    case: str, outcome: Outcome = Outcome.PASS, transport: str = "unix", twin: str = "", check: str = ""
) -> CaseResult:
    return CaseResult(case, "a", transport, [check or case.partition(":")[0]], outcome.value, twin=twin)


def refusal(transport: str = "unix") -> CaseResult:
    return result("CONV-OP/unknown:null:whole", transport=transport, twin="CONV-ONE/single:ping")


def test_refusal_counts_with_its_twin() -> None:
    whole = result("CONV-ONE/single:ping:whole")
    assert unfounded([refusal(), whole, result("CONV-ONE/single:ping:bytewise")]) == []
    assert unfounded([refusal(), whole, result("CONV-ONE/single:ping:start", Outcome.COULD_NOT_RUN)]) == []


@pytest.mark.parametrize(
    "others",
    [
        [],
        [result("CONV-ONE/single:run")],
        [result("CONV-ONE/single:pingpong")],
        [result("CONV-ONE/single:ping", transport="fd-conn")],
        [result("CONV-ONE/single:ping", Outcome.FAIL)],
        [result("CONV-ONE/single:ping", Outcome.COULD_NOT_RUN)],
        [result("CONV-ONE/single:ping", Outcome.NOT_APPLICABLE)],
        [result("CONV-ONE/single:ping:whole"), result("CONV-ONE/single:ping:bytewise", Outcome.TIMEOUT)],
        [result("CONV-ONE/single:ping:bytewise", Outcome.CRASH), result("CONV-ONE/single:ping:whole")],
    ],
    ids=[
        "alone",
        "another",
        "alike",
        "another-row",
        "failed",
        "could-not-run",
        "not-applicable",
        "one-of-two",
        "first-of-two",
    ],
)
def test_refusal_does_not_count_without_its_twin(others: list[CaseResult]) -> None:
    refused = refusal()
    assert unfounded([refused, *others]) == [refused]
    verdict = judge(
        [refused, *others], [("a", "unix")], set(), filtered=False, strict=False, expected=1 + len(others), errors=[]
    )
    assert "CONV-OP/unknown" in verdict.unproved["a"]
    assert "CONV-OP/unknown" not in verdict.rows[0].passed["MUST"]
    assert verdict.exit in (Exit.RED, Exit.PARTIAL)


def test_no_green_without_a_twin() -> None:
    """Everything proved by some other case, and still a refusal that proves nothing."""
    whole = [result(name) for name in checks() if not checks()[name].pending]
    judged = partial(judge, rows=[("a", "unix")], sanitized=set(), filtered=False, strict=True, errors=[])
    hosted = [
        CaseResult(c.case, "host functions" if c.case.startswith("HOST-") else "a", c.transport, c.checks)
        for c in whole
    ]
    assert judged(hosted, expected=len(hosted)).exit == Exit.GREEN
    lonely = result("PING:refused", twin="GET-OK/nothing")
    assert judged([*hosted, lonely], expected=len(hosted) + 1).exit == Exit.PARTIAL


def test_it_is_told() -> None:
    with temporary() as folder:
        done = run(folder, *CONFORM, "run", f"exec:{TINY}", "--transport=unix", "--case=CONV-OP/unknown:null:whole")
    assert done.status == 3
    assert "NOT COUNTED [tiny.py]: 1 refusals" in done.stdout
    assert "CONV-OP/unknown:null:whole@unix (twin CONV-ONE/single:ping)" in done.stdout
