"""Gathers every case's result in the controlling process, sums up, and prints."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from guestwire import __version__
from guestwire.drive import selection
from guestwire.drive.connectable import Connectable
from guestwire.drive.process import children, kill_tree
from guestwire.judge import expect
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import RunVerdict, judge
from guestwire.report import terminal


class Collector:
    """A plugin of the controller only. `folder` holds every socket and file of the run and goes with it."""

    def __init__(
        self,
        config: pytest.Config,
        rows: list[tuple[Connectable, str]],
        folder: str,
        expectations: list[expect.Expectation],
    ) -> None:
        self.folder = folder
        self.started = time.time()
        self._expectations = expectations
        self.verdict: RunVerdict | None = None
        self._config = config
        self._rows = rows
        self._results: list[CaseResult] = []
        self._expected = 0
        self._errors: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without pytest-xdist the items are here."""
        self._expected = max(self._expected, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:  # noqa: ARG002
        """With pytest-xdist every worker reports the same list."""
        self._expected = max(self._expected, len(ids))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be collected is a bug of the harness; under pytest-xdist each worker reports it."""
        if report.failed:
            self._errors[report.nodeid] = f"{report.nodeid}: {str(report.longrepr).strip().rpartition(chr(10))[2]}"

    def pytest_internalerror(self, excrepr: object) -> None:
        self._errors["internal"] = str(excrepr).strip().rpartition("\n")[2]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        fields = getattr(report, "guestwire", None)
        if fields is not None:
            self._results.append(CaseResult(**{k: v for k, v in fields.items() if k != "started"}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if (
            exitstatus in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
            or session.config.option.collectonly
        ):
            return
        option = self._config.getoption
        self.verdict = judge(
            self._results,
            [(agent.label, transport) for agent, transport in self._rows],
            {agent.label for agent, _ in self._rows if agent.sanitized},
            filtered=selection.is_filtered(self._config),
            strict=option("gate_should"),
            expected=self._expected,
            errors=list(self._errors.values()),
            expectations=self._expectations,
        )
        session.exitstatus = self.verdict.exit
        if option("expect_write"):
            expect.write(Path(option("expect_write")), self._results, datetime.date.today())
        if option("results"):
            self._write(Path(option("results")), int(session.exitstatus))

    def _write(self, path: Path, status: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        report = {"harness": __version__, "cases": [case.to_json() for case in self._results], "exit": status}
        path.write_text(json.dumps(report, indent=1))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.verdict is not None:
            by_label = {agent.label: agent.text for agent, _ in self._rows}
            terminalreporter.write_line("")
            for line in terminal.lines(self.verdict, by_label):
                terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Whatever a worker could not put away: it was killed, say."""
        for pid in children(os.getpid()):
            kill_tree(pid)
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)
        shutil.rmtree(self.folder, ignore_errors=True)
