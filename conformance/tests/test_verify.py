"""`conform verify`: what it holds against a case, and a run of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.commands.verify import unsteady
from guestwire.judge.outcome import CaseResult
from guestwire.tests.harness import CONFORM, TINY, run, temporary


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def result(outcome: str = "PASS", seconds: float = 1.0, **fields: object) -> CaseResult:
    made = CaseResult("PING", "agent", "unix", ["PING"], outcome, seconds=seconds, deadline=10)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_steady() -> None:
    same = [("round 1", result()), ("round 2", result(seconds=8.0)), ("round 3", result())]
    assert unsteady(same) == {}
    assert unsteady([("round 1", result("FAIL")), ("round 2", result("FAIL"))]) == {}


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (result("FAIL"), "UNSTEADY PING@unix [agent]: PASS (round 1), FAIL (round 2)"),
        (result("TIMEOUT", 10.0), "UNSTEADY PING@unix [agent]: PASS (round 1), TIMEOUT (round 2)"),
        (result(broken={"ERR-CODE/known": ["a", "b"]}), "PASS (round 1), PASS and ERR-CODE/known broken (round 2)"),
        (result(seconds=8.1), "NEAR ITS DEADLINE PING@unix [agent]: 8.1 of 10 s (round 2)"),
    ],
)
def test_unsteady(other: CaseResult, says: str) -> None:
    found = unsteady([("round 1", result()), ("round 2", other)])
    assert list(found) == ["PING@unix [agent]"]
    assert says in found["PING@unix [agent]"][0]


def test_a_run(folder: Path) -> None:
    """Four rounds of the same cases; an agent that fails in all of them is steady, and red."""
    known = run(folder, *CONFORM, "verify", f"exec:{TINY}", "--transport=unix", "--case=JSON-DUP/nothing")
    assert known.status == 2
    done = run(folder, *CONFORM, "verify", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1", "--seed=7")
    assert done.stdout.count("\nround ") == 4 + 4  # as each begins, and at the end
    assert "seed: 7" in done.stdout
    assert "loaded CPU, shuffled (--shuffle=7)" in done.stdout
    assert done.status == (1 if "FAIL" in done.stdout else 3), done.stdout
    assert "UNSTEADY" not in done.stdout
