"""Agents that misbehave as a whole: what the harness makes of them, and that it comes to an end with each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.drive.connectable import UsageError
from guestwire.report import document
from guestwire.tests.harness import CONFORM, HERE, MINI, TINY, Done, run, temporary

NARROW = ("--case=PING", "--case=CONV-OP/unknown:null:whole", "--case=CONV-OP/unknown:number:whole", "--jobs=1")
OWN = (*MINI[:-1], str(HERE / "mini_own.py"))
UNKNOWN = "CONV-OP/unknown:number:whole@unix"


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def judged(folder: Path, options: str, transport: str = "unix") -> Done:
    """Three cases of the suite, on a tiny agent with these options."""
    return run(folder, *CONFORM, "run", f"exec:{TINY} {options}", f"--transport={transport}", *NARROW)


def mini(folder: Path, options: str) -> Done:
    """The short cases of mini_suite.py: ping three times, then a duplicate."""
    return run(folder, *MINI, "--agent", f"exec:{TINY} {options}", "--transport=unix", "-k=not slow")


@pytest.mark.parametrize(
    ("options", "transport", "says"),
    [
        ("--ok", "unix", "refused (sanity bracket), got {'ok': True}"),
        ("--ok", "fd-listen", "refused (sanity bracket), got {'ok': True}"),
        ("--ok", "fd-conn", "refused (sanity bracket), got {'ok': True}"),
        ("--refuse", "unix", "expected a ping served before anything is judged (sanity bracket), got {'ok': False"),
        ("--close 1", "unix", "got end of stream"),
        ("--die 1", "unix", "got end of stream"),
    ],
    ids=["ok", "ok-fd-listen", "ok-fd-conn", "refuses", "closes", "dies"],
)
def test_nothing_counts(folder: Path, transport: str, options: str, says: str) -> None:
    """An agent that does not tell a ping from an operation that nobody knows is red before any case, in one line."""
    done = judged(folder, options, transport)
    assert (done.status, done.cases, done.stdout) == (1, {}, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"nothing judged: 'exec:{TINY} {options}' over {transport}" in done.stderr
    assert says in done.stderr


def test_agent_that_never_answers(folder: Path) -> None:
    """It is waited for once, not once for each case."""
    started = time.monotonic()
    done = judged(folder, "--hang 1")
    assert (done.status, done.cases) == (1, {})
    assert "within 5 s (sanity bracket), got nothing came" in done.stderr
    assert time.monotonic() - started < 60


def test_one_bad_agent_of_two(folder: Path) -> None:
    """Nothing counts for the good one either: what was asked for is red."""
    meek = folder.parent / "meek.py"
    meek.symlink_to(TINY)
    done = run(folder, *CONFORM, "run", f"exec:{TINY}", f"exec:{meek} --refuse", "--transport=unix", *NARROW)
    assert (done.status, done.cases) == (1, {})
    assert "meek.py --refuse' over unix" in done.stderr


def test_no_earlier_report_stays(folder: Path) -> None:
    """A run that judged nothing leaves no verdict of a run before it."""
    report = folder.with_suffix(".report") / "report.json"
    assert judged(folder, "").status == 3
    assert document.load(report)["footer"]["verdict"] == "partial"
    assert judged(folder, "--ok").status == 1
    with pytest.raises(UsageError, match="footer"):
        document.load(report)


def test_garbage_on_stderr(folder: Path) -> None:
    """It fails nothing, fills no pipe that somebody waits for, and is shown to no terminal."""
    done = judged(folder, "--noise")
    assert done.status == 3
    assert {outcome for outcome, _, _ in done.cases.values()} == {"PASS"}
    assert len(done.cases) == 3
    assert "\x1b" not in done.stdout + done.stderr


def test_garbage_on_stderr_of_one_that_dies(folder: Path) -> None:
    """What is quoted of it can be printed."""
    done = mini(folder, "--noise --die 6")
    outcome, _, actual = done.cases["PING:2@unix"]
    assert (done.status, outcome) == (1, "CRASH")
    assert "ended by signal 11" in actual
    assert actual.replace("\n", "").isprintable()
    assert "\x1b" not in done.stdout + done.stderr


def test_agent_that_closes_at_once_later(folder: Path) -> None:
    """A conversation that ends without a word is a failure of what should have been answered, and of what should have been
    refused with an error; each time a fresh agent has its turn next."""
    done = mini(folder, "--close 6")
    assert done.status == 1
    assert [done.cases[f"PING:{number}@unix"][0] for number in (1, 2, 3)] == ["PASS", "FAIL", "PASS"]
    assert done.cases["JSON-DUP/plain@unix"][0] == "FAIL"
    assert "without a frame" in done.cases["JSON-DUP/plain@unix"][2]


@pytest.mark.parametrize(("options", "transport", "outcome"), [
    ("", "unix", "PASS"), ("--frail", "unix", "CRASH"), ("", "fd-conn", "PASS"), ("--frail", "fd-conn", "CRASH"),
])  # fmt: skip
def test_agent_of_the_cases_own_that_dies_of_a_refusal(
    folder: Path, options: str, transport: str, outcome: str
) -> None:
    """The bracket is around every process that refused something, not around the shared one alone."""
    done = run(folder, *OWN, "--agent", f"exec:{TINY} {options}", f"--transport={transport}")
    found, _, actual = done.cases[f"CONV-OP/unknown@{transport}"]
    assert found == outcome
    assert ("exited with status 3" in actual) == bool(options)


def test_agent_that_is_another_after_a_refusal(folder: Path) -> None:
    """Somebody restarted it: what it refused it did not survive."""
    done = judged(folder, "--restart 3")
    outcomes = {case: outcome for case, (outcome, _, _) in done.cases.items()}
    assert (done.status, outcomes["PING@unix"], outcomes[UNKNOWN]) == (1, "PASS", "CRASH")
    assert "it was restarted" in done.cases[UNKNOWN][2]
