"""The transcripts of one case are the same over all transports, and with --alike of all agents."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.judge import alike
from guestwire.judge.alike import Said
from guestwire.judge.outcome import CaseResult
from guestwire.tests.harness import MINI, TINY, Done, run, temporary

ROWS = [("a", "unix"), ("a", "fd-listen"), ("b", "unix"), ("b", "fd-listen")]
BOTH = "--transport=unix,fd-listen"
LINES = ["conversation 1", "JSON {}", "end of stream"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def mini(folder: Path, *options: str) -> Done:
    return run(folder, *MINI, "-k=test_ping and 1", *options)


# ---- a run


def test_an_agent_that_is_the_same_everywhere(folder: Path) -> None:
    done = mini(folder, f"--agent=exec:{TINY}", BOTH)
    assert {outcome for outcome, _, _ in done.cases.values()} == {"PASS"}
    assert set(done.cases) == {"PING:1@unix", "PING:1@fd-listen"}


def test_an_agent_that_differs_on_one_transport(folder: Path) -> None:
    done = mini(folder, f"--agent=exec:{TINY} --fickle fd", BOTH)
    assert done.status == 1
    assert done.cases["PING:1@unix"][0] == "PASS"
    outcome, expected, actual = done.cases["PING:1@fd-listen"]
    assert outcome == "FAIL"
    assert expected.startswith("what tiny.py sent over unix: 'JSON {")
    assert '"mood": 1' in actual
    assert "mood" not in expected
    assert "FAIL PING:1@fd-listen [tiny.py]" in done.stdout


def test_what_such_a_failure_leaves(folder: Path) -> None:
    """What both sent, and a script that runs the case over both transports again."""
    mini(folder, f"--agent=exec:{TINY} --fickle fd", BOTH)
    [place] = folder.with_suffix(".report").glob("evidence/*/*")
    assert place.name == "PING+1@fd-listen"
    lines = (place / "alike.txt").read_text().splitlines()
    assert [line[:8] for line in lines if line.startswith(("- JSON", "+ JSON"))] == ["- JSON {", "+ JSON {"]
    assert "mood" in next(line for line in lines if line.startswith("+ JSON"))
    again = subprocess.run(["sh", place / "replay.sh"], capture_output=True, text=True, timeout=100)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "FAIL PING:1@fd-listen [tiny.py]" in again.stdout
    report = json.loads((folder.with_suffix(".report") / "report.json").read_text())
    assert [case["evidence"] for case in report["cases"] if case["outcome"] == "FAIL"] == [
        f"evidence/tiny.py/{place.name}"
    ]


@pytest.mark.parametrize(("options", "status"), [((), 3), (("--alike",), 1)])
def test_two_agents(folder: Path, tmp_path: Path, options: tuple[str, ...], status: int) -> None:
    """That two agents say the same is judged only where it is asked for."""
    other = tmp_path / "other.py"
    other.symlink_to(TINY)
    agents = (f"--agent=exec:{TINY}", f"--agent=exec:{other} --fickle unix")
    assert mini(folder, *agents, "--transport=unix", *options).status == status


# ---- the comparison


def results(*outcomes: str) -> list[CaseResult]:
    return [
        CaseResult("PING", agent, transport, ["PING"], outcome=outcome)
        for (agent, transport), outcome in zip(ROWS, outcomes, strict=True)
    ]


def judged(
    said: list[Said | None], agents: bool = False, outcomes: tuple[str, ...] = ("PASS",) * 4
) -> list[CaseResult]:
    cases = results(*outcomes)
    known = {(case.agent, case.id): each for case, each in zip(cases, said, strict=True) if each is not None}
    alike.judge(reversed(cases), known, ROWS, agents)  # in whatever order they came
    return cases


SAME, OTHER = Said.of(LINES), Said.of([*LINES[:2], "reset"])


@pytest.mark.parametrize(
    ("said", "agents", "failed"),
    [
        ([SAME, SAME, SAME, SAME], True, []),
        ([SAME, OTHER, SAME, SAME], False, [1]),
        ([SAME, SAME, OTHER, OTHER], False, []),
        ([SAME, SAME, OTHER, OTHER], True, [2, 3]),
        ([OTHER, SAME, SAME, SAME], True, [1, 2, 3]),
        ([None, SAME, SAME, OTHER], False, [3]),
        ([None, None, None, None], True, []),
    ],
)
def test_which_row_fails(said: list[Said | None], agents: bool, failed: list[int]) -> None:
    cases = judged(said, agents)
    assert [number for number, case in enumerate(cases) if case.outcome == "FAIL"] == failed


def test_what_failed_is_no_reference() -> None:
    cases = judged([OTHER, SAME, SAME, SAME], outcomes=("FAIL", "PASS", "TIMEOUT", "PASS"))
    assert [case.outcome for case in cases] == ["FAIL", "PASS", "TIMEOUT", "PASS"]


def test_the_first_difference_is_told() -> None:
    case = judged([SAME, OTHER, SAME, SAME])[1]
    assert case.expected == "what a sent over unix: 'end of stream'"
    assert case.actual == "'reset'"


def test_one_that_sends_more() -> None:
    case = judged([SAME, Said.of([*LINES, "conversation 2"]), SAME, SAME])[1]
    assert (case.expected, case.actual) == ("what a sent over unix: 'nothing more'", "'conversation 2'")


def test_a_difference_far_behind() -> None:
    """Beyond what a worker sends in full it still counts."""
    long = [*LINES, *map(str, range(alike.KEPT))]
    case = judged([Said.of(long), Said.of([*long[:-1], "x"]), SAME, SAME])[1]
    assert case.outcome == "FAIL"
    assert "digest" in case.expected


def test_it_survives_the_way_to_the_controller() -> None:
    assert Said.from_json(SAME.to_json()) == SAME
