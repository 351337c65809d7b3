"""`conform clauses`: verdicts come from a real run, never from the cases' source."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.judge import ledger
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit
from guestwire.report import document
from guestwire.tests.harness import CONFORM


def results() -> list[CaseResult]:
    """A passing case for each check that is not pending."""
    found = []
    for check in ledger.checks().values():
        where = ("host functions", "-") if check.clause.startswith("HOST-") else ("agent", "unix")
        if not check.pending:
            found.append(CaseResult(check.id, *where, [check.id]))
    return found


def told(tmp_path: Path, cases: list[CaseResult], capsys: pytest.CaptureFixture[str], **run: object) -> tuple[int, str]:
    """Exit status and output of `conform clauses` after a run with these results."""
    head = document.Head(
        versions={"harness": "0.1.0", "protocol": 1, "python": "3.11.0"},
        run={"started": "2026-01-01T00:00:00Z", "seconds": 1.0, "command": "conform", "strict": False,
             "filtered": False, "seed": None} | run,
        agents=[{"label": "agent", "connectable": "exec:agent", "sha256": "0" * 64, "agent_version": "0"}],
        rows=[("agent", "unix")],
    )  # fmt: skip
    path = tmp_path / "report.json"
    outcomes = {case.outcome for case in cases}
    verdict = Exit.RED if "FAIL" in outcomes else Exit.PARTIAL if "COULD-NOT-RUN" in outcomes else Exit.GREEN
    path.write_text(document.dump(document.compose(head, cases, verdict)))
    return cli.main(["clauses", "--report", str(path)]), capsys.readouterr().out


def test_a_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = told(tmp_path, results(), capsys)
    assert status == 0, out[-400:]
    assert "JSON-DUP/plain: equal names [agent: PASS, 1 cases]" in out
    assert "\nERROR " not in out


def test_a_check_that_nothing_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that could not run proves nothing."""
    cases = results()
    for case in cases:
        if case.case == "JSON-DUP/plain":
            case.outcome = "COULD-NOT-RUN"
    cases = [case for case in cases if case.case != "PING"]
    status, out = told(tmp_path, cases, capsys)
    assert status == 1
    assert "ERROR JSON-DUP/plain: proved by no case of the last run [agent]" in out
    assert "ERROR PING: proved by no case of the last run [agent]" in out
    status, out = told(tmp_path, cases, capsys, filtered=True)
    assert "PARTIAL: the run was filtered; 2 MUST checks are not proved" in out


def test_a_broken_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = results()
    cases[0].outcome = "FAIL"
    cases[1].broken = {"ERR-CODE/known": ["a", "b"]}
    out = told(tmp_path, cases, capsys)[1]
    assert f"{cases[0].case}: {ledger.check(cases[0].case).text} [agent: FAIL, 1 cases]" in out
    assert f"ERR-CODE/known: {ledger.check('ERR-CODE/known').text} [agent: FAIL, 2 cases]" in out


def test_an_unknown_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = results()
    cases[0].checks.append("PONG/loud")
    status, out = told(tmp_path, cases, capsys)
    assert status == 1
    assert "ERROR PONG/loud: a case names it, and the ledger does not" in out


def test_no_run_yet(tmp_path: Path) -> None:
    """Partial: there is nothing to be green about. A reader that leaves early is no error to be told."""
    command = " ".join(CONFORM)
    done = subprocess.run([*CONFORM, "clauses"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == Exit.PARTIAL
    assert "`conform run` writes it" in done.stdout.splitlines()[-1]
    piped = subprocess.run(
        ["bash", "-c", f"{command} clauses | head -1"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=60, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert piped.stderr == ""
