"""Runs of a part of the cases, and runs that end early: never green."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.drive.connectable import UsageError
from guestwire.drive.selection import in_shard, parse_shard
from guestwire.tests.harness import CONFORM, MINI, TINY, Done, run, temporary


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def mini(folder: Path, *options: str) -> Done:
    """A tiny agent that fails one of the four short cases."""
    return run(folder, *MINI, "--agent", f"exec:{TINY}", "--transport=unix", "-k=not slow", *options)


def test_every_case_is_in_one_shard() -> None:
    ids = [f"CASE:{number}" for number in range(500)]
    for identity in ids:
        assert sum(in_shard(identity, index, 4) for index in range(1, 5)) == 1
    sizes = [sum(in_shard(identity, index, 4) for identity in ids) for index in range(1, 5)]
    assert min(sizes) > 80, sizes


def test_shards_of_a_run(folder: Path) -> None:
    """Together they run every case once."""
    found = [list(mini(folder, f"--shard={index}/2").cases) for index in (1, 2)]
    assert sorted(itertools.chain(*found)) == sorted([f"PING:{n}@unix" for n in (1, 2, 3)] + ["JSON-DUP/plain@unix"])
    assert all(found)


def test_all_rows_of_a_case_are_in_one_shard(folder: Path) -> None:
    """They are compared with each other."""
    cases = mini(folder, "--shard=2/2", "--transport=fd-listen").cases
    assert set(cases) == {"PING:2@unix", "PING:2@fd-listen"}


def test_an_empty_shard(folder: Path) -> None:
    """Of PING's few cases none falls into this one."""
    done = run(
        folder, *CONFORM, "run", f"exec:{TINY}", "--case=PING", "--transport=unix", "--jobs=1", "--shard=999/1000"
    )
    assert done.status == 2
    assert "no case falls into the shard 999/1000: choose fewer shards" in done.stderr


@pytest.mark.parametrize("text", ["1/9999999999", "0/2", "3/2", "1", "1/0", "a/b", "/", "-1/2", "1/2/3"])
def test_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match=f"--shard {re.escape(text)}: "):
        parse_shard(text)


def test_no_shard_is_told(folder: Path) -> None:
    done = run(folder, *MINI, "--agent", f"exec:{TINY}", "--shard=3/2")
    assert done.status == 4
    assert "--shard 3/2" in done.stderr


def test_only_failed(folder: Path) -> None:
    mini(folder)
    report = folder.with_suffix(".report") / "report.json"
    last = folder.parent / "last.json"
    last.write_text(report.read_text())
    assert set(mini(folder, f"--only-failed={last}").cases) == {"JSON-DUP/plain@unix"}
    mini(folder, "-k=ping")
    assert "nothing failed in the last run" in mini(folder, f"--only-failed={report}").stderr
    last.write_text("{")
    assert "no last run to take the failures from" in mini(folder, f"--only-failed={last}").stderr


def test_last_failed_of_the_folder_that_is_replaced(folder: Path) -> None:
    """Also where pytest-xdist's workers start after the last report was replaced."""
    options = ("--agent", f"exec:{TINY}", "--transport=unix", "-k=not slow")
    place = folder.with_suffix(".report")
    run(folder, *MINI, *options)
    done = run(folder, *MINI, *options, f"--only-failed={place}/report.json", "-n2")
    assert {identity: case[0] for identity, case in done.cases.items()} == {"JSON-DUP/plain@unix": "FAIL"}


def test_fail_fast(folder: Path) -> None:
    """What did not run is counted as such."""
    done = run(folder, *MINI, "--agent", f"exec:{TINY} --die 6", "--transport=unix", "-k=not slow", "--fail-fast")
    assert done.status == 1
    assert {identity: case[0] for identity, case in done.cases.items()} == {
        "PING:1@unix": "PASS",
        "PING:2@unix": "CRASH",
        "PING:3@unix": "COULD-NOT-RUN",
        "JSON-DUP/plain@unix": "COULD-NOT-RUN",
    }
    last = folder.parent / "last.json"
    last.write_text((folder.with_suffix(".report") / "report.json").read_text())
    again = run(folder, *MINI, "--agent", f"exec:{TINY}", "--transport=unix", f"--only-failed={last}")
    assert set(again.cases) == {"PING:2@unix", "PING:3@unix", "JSON-DUP/plain@unix"}


def test_max_time(folder: Path) -> None:
    """The slow cases would take 25 s each: one has begun, the others have not. That is partial, not green."""
    done = run(
        folder, *MINI, "--agent", f"exec:{TINY}", "--transport=unix", "-k=ping or (slow and 0)", "--max-time=0.001"
    )
    assert done.status != 0
    assert {outcome for outcome, _, _ in done.cases.values()} == {"COULD-NOT-RUN"}
    assert "not run: --max-time 0.001 is over" in done.stdout
    assert "over 0 is accepted" in mini(folder, "--max-time=-1").stderr
