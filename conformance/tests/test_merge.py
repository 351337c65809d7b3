"""`conform merge`: all shards of a run together get the verdict of the whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.judge import ledger
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit
from guestwire.report import document
from guestwire.report import folder as reports
from guestwire.tests.harness import MINI, TINY, run, temporary
from guestwire.tests.reports import GUEST


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def shards(folder: Path, count: int, change: Callable[[int, dict[str, Any]], object] = lambda *_: None) -> list[str]:
    """The reports of a run that proves every check, as `count` shards."""
    cases = [
        CaseResult(
            check.id, *(("host functions", "-") if check.clause.startswith("HOST-") else ("agent", "unix")), [check.id]
        )
        for check in ledger.checks().values()
        if not check.pending
    ]
    paths = []
    for index in range(count):
        report = document.compose(
            document.Head(
                {"harness": "0.1.0", "protocol": 1, "python": "3.11.0"},
                {"started": "2026-01-01T00:00:00Z", "seconds": 1.0, "command": "conform", "strict": True, "filtered": True,
                 "narrowed": False, "shard": f"{index + 1}/{count}", "seed": None},
                [{"label": "agent", "connectable": "exec:agent", "sha256": "", "agent_version": "0", "sanitized": False,
                  "lacks": []}],
                [("agent", "unix")],
            ),
            cases[index::count],
            Exit.PARTIAL,
        )  # fmt: skip
        change(index, report)
        report["footer"]["digest"] = document.digest(report["cases"])
        paths.append(folder / f"{index}.json")
        paths[-1].write_text(document.dump(report))
    return [str(path) for path in paths]


def merge(tmp_path: Path, paths: list[str]) -> int:
    return cli.main(["merge", *paths, "--report-dir", str(tmp_path / "whole")])


def test_all_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each alone is partial; together they are green, and their report says so."""
    assert merge(tmp_path, shards(tmp_path, 3)) == Exit.GREEN
    checks = sum(not check.pending for check in ledger.checks().values())
    assert capsys.readouterr().out.splitlines()[-1] == f"{checks} passed, 0 failed, 0 skipped"
    assert document.load(tmp_path / "whole/report.json")["footer"]["verdict"] == "green"


def test_each_shard_has_a_guest_of_its_own(tmp_path: Path) -> None:
    def boot(index: int, report: dict[str, Any]) -> None:
        report["agents"][0]["guest"] = GUEST | {"boot_seconds": 3.5 + index}

    assert merge(tmp_path, shards(tmp_path, 2, boot)) == Exit.GREEN
    assert document.load(tmp_path / "whole/report.json")["agents"][0]["guest"]["boot_seconds"] == 3.5


def test_into_the_folder_of_a_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its report and evidence would be gone."""
    paths = shards(tmp_path, 2)
    before = [Path(path).read_text() for path in paths]
    assert cli.main(["merge", *paths, "--report-dir", str(Path(paths[0]).parent)]) == Exit.USAGE
    assert "holds one of these reports" in capsys.readouterr().err
    assert [Path(path).read_text() for path in paths] == before


def test_a_failure_in_one_shard(tmp_path: Path) -> None:
    def fail(index: int, report: dict[str, Any]) -> None:
        if index == 1:
            report["cases"][0]["outcome"] = "FAIL"
            report["footer"] |= {"outcomes": {"FAIL": 1, "PASS": len(report["cases"]) - 1}, "verdict": "red", "exit": 1}

    assert merge(tmp_path, shards(tmp_path, 3, fail)) == Exit.RED


def test_a_check_in_no_shard(tmp_path: Path) -> None:
    """A case less: partial."""

    def lose(index: int, report: dict[str, Any]) -> None:
        if index == 2:
            report["cases"].pop()
            report["footer"]["cases"] = report["footer"]["outcomes"]["PASS"] = len(report["cases"])

    assert merge(tmp_path, shards(tmp_path, 3, lose)) == Exit.PARTIAL


@pytest.mark.parametrize("given", [[0, 1], [0, 0, 1], [0, 1, 2, 2]])
def test_not_every_shard_once(given: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = shards(tmp_path, 3)
    assert merge(tmp_path, [paths[index] for index in given]) == Exit.USAGE
    assert "wanted are the shards 1/3, 2/3, 3/3, each once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("part", "member", "value"),
    [
        ("run", "strict", False),
        ("run", "narrowed", True),
        ("versions", "harness", "0.2.0"),
        ("rows", 0, ["agent", "tcp"]),
        ("agents", 0, {"label": "agent", "connectable": "exec:agent", "sha256": "", "agent_version": "1"}),
    ],
)
def test_another_run(part: str, member: Any, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def differ(index: int, report: dict[str, Any]) -> None:
        if index == 1:
            report[part][member] = value

    assert merge(tmp_path, shards(tmp_path, 2, differ)) == Exit.USAGE
    assert "are not of one run: other" in capsys.readouterr().err


def test_check_of_another_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = shards(tmp_path, 2, lambda _, report: report["cases"][0].update(checks=["PING/no-longer"]))
    assert merge(tmp_path, paths) == Exit.USAGE
    assert "its ledger has a check PING/no-longer" in capsys.readouterr().err


def test_no_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = shards(tmp_path, 1, lambda _, report: report["run"].update(shard=None))
    assert merge(tmp_path, paths) == Exit.USAGE
    assert "is not the report of a --shard" in capsys.readouterr().err


def test_real_shards(folder: Path, tmp_path: Path) -> None:
    """Of a filtered run: still partial, and red where a case fails."""
    paths = []
    for index in (1, 2):
        paths.append(tmp_path / f"{index}.json")
        options = ("--transport=unix", "-k=not slow", f"--shard={index}/2", f"--results={paths[-1]}")
        run(folder, *MINI, "--agent", f"exec:{TINY}", *options)
    assert merge(tmp_path, [str(path) for path in paths]) == Exit.RED
    whole = json.loads((tmp_path / "whole/report.json").read_text())
    assert whole["footer"]["outcomes"] == {"FAIL": 1, "PASS": 3}


def test_evidence_comes_along(tmp_path: Path) -> None:
    def fail(index: int, report: dict[str, Any]) -> None:
        case = report["cases"][0]
        case |= {"outcome": "FAIL", "evidence": f"evidence/agent/{index}"}
        outcomes = {"FAIL": 1, "PASS": len(report["cases"]) - 1}
        report["footer"] |= {"outcomes": outcomes, "verdict": "red", "exit": 1}
        (tmp_path / case["evidence"]).mkdir(parents=True)
        (tmp_path / case["evidence"] / "case.json").write_text(str(index))

    assert merge(tmp_path, shards(tmp_path, 2, fail)) == Exit.RED
    for index in range(2):
        copied = tmp_path / f"whole/evidence/agent/{index}"
        assert (copied / "case.json").read_text() == str(index)
        assert copied.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["../outside", "/tmp", "evidence/../.."])
def test_evidence_from_elsewhere_is_left_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "in/evidence").mkdir(parents=True)
    reports.gather(tmp_path / "in", [name], tmp_path / "out")
    assert not (tmp_path / "out").exists()
