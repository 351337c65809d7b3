"""`conform verify`: what it holds against a case, and a run of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire import cli
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


def test_a_run_on_github(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One summary for all rounds; what an agent says is never taken for a command."""
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = run(folder, *CONFORM, "verify", f"exec:{TINY}", "--case=PING", "--transport=unix", "--seed=7")
    assert path.read_text().startswith("### guestwire verify: ")
    assert path.read_text().count("###") == 1
    assert "round 4: loaded CPU" in path.read_text()
    assert done.stdout.startswith("::stop-commands::")
    assert done.stdout.count("::stop-commands::") == 1
    assert done.stdout.splitlines()[-1].startswith("::")


def test_names_that_are_escaped() -> None:
    title = next(iter(unsteady([("1", result(agent="a\x1b[2J\nb")), ("2", result("FAIL", agent="a\x1b[2J\nb"))])))
    assert title.isprintable()


@pytest.mark.parametrize("options", [("--loops=0",), ("--loops=-1",), ("--jobs=0",), ("--jobs=-3",)])
def test_nothing_to_run(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """No rounds are no verdict."""
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", f"exec:{TINY}", *options])
    assert end.value.code == 2
    assert "1 or more" in capsys.readouterr().err


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
