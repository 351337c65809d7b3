"""Gathers every case's result in the controlling process, sums up, and prints."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from guestwire.drive import keeping, selection
from guestwire.drive.connectable import Connectable
from guestwire.drive.process import children, kill_tree
from guestwire.judge import alike, expect
from guestwire.judge.alike import Said
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import RunVerdict, judge
from guestwire.report import about, carried, document, folder, github, live, safe, terminal

if TYPE_CHECKING:
    from guestwire.drive.booting import Guests


class Collector:
    """A plugin of the controller only. `folder` holds every socket and file of the run and goes with it."""

    def __init__(
        self,
        config: pytest.Config,
        rows: list[tuple[Connectable, str]],
        scratch: str,
        expectations: list[expect.Expectation],
    ) -> None:
        self.folder = scratch
        self.started = time.time()
        self._expectations = expectations
        self.agent_versions: dict[str, str] = {}
        self.seed: int | None = None  # of whatever the run chooses at random
        self.verdict: RunVerdict | None = None
        self.guests: Guests | None = None  # that the run has booted
        self._config = config
        self._rows = rows
        self._results: list[CaseResult] = []
        self._said: dict[tuple[str, str], Said] = {}
        self._modules: dict[tuple[str, str], Path] = {}
        self._expected = 0
        self._errors: dict[str, str] = {}
        self._earlier: list[document.Document] = []
        self._report_dir = Path(config.getoption("report_dir")) if config.getoption("report_dir") else None
        self._reserved: int | None = None  # a descriptor that keeps other runs out of the report's folder
        self._claimed = False
        self._programs: dict[str, str] = {}  # label: SHA-256 before anything was judged

    def prepare(self) -> None:
        """Before anything is collected: what is to be written can be. Raises UsageError."""
        self._programs = {agent.label: about.sha256(agent) for agent, _ in self._rows}
        self._earlier = [document.load(Path(name)) for name in self._config.getoption("history")]
        for name in filter(None, map(self._config.getoption, ("results", "expect_write"))):
            folder.check(Path(name))
        if self._report_dir is not None:
            self._reserved = folder.reserve(self._report_dir)

    def claim(self) -> None:
        """Once it is known that there are cases to run: the earlier report goes, it would pass for this run's."""
        if self._report_dir is not None and not self._claimed:
            self._claimed = True
            folder.claim(self._report_dir)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without pytest-xdist the items are here."""
        self._expected = max(self._expected, len(session.items))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Without pytest-xdist the command line is known to be right now."""
        if session.items:
            self.claim()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:  # noqa: ARG002
        """With pytest-xdist every worker reports the same list."""
        self._expected = max(self._expected, len(ids))
        if ids:
            self.claim()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be collected or skips itself is a bug of the harness; under pytest-xdist each worker tells."""
        if not report.passed:
            self._errors[report.nodeid] = f"{report.nodeid}: {str(report.longrepr).strip().rpartition(chr(10))[2]}"

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._errors["internal"] = live.internal(excinfo)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        fields = carried.unload(report)
        if fields is not None:
            result = CaseResult.from_json(fields)
            self._results.append(result)
            if fields.get("said"):
                self._said[(result.agent, result.id)] = Said.from_json(fields["said"])
                self._modules[(result.agent, result.id)] = self._config.rootpath / report.nodeid.partition("::")[0]

    @pytest.hookimpl(trylast=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Workers are told too: a signal may have come to this process alone, and pytest-xdist lets them finish their cases."""
        for child in children(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGINT)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.USAGE_ERROR or session.config.option.collectonly:
            return
        self.claim()
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        option = self._config.getoption
        for found in alike.judge(self._results, self._said, self._rows_by_label(), option("alike")):
            labels = (found.reference.agent, found.result.agent)
            agents = [agent for agent in about.unique(self._rows) if agent.label in labels]
            keeping.leave_difference(self._config, found, agents, self._modules[found.result.agent, found.result.id])
        self.verdict = judge(
            self._results,
            self._rows_by_label(),
            {agent.label for agent, _ in self._rows if agent.sanitized},
            filtered=selection.is_filtered(self._config),
            strict=option("gate_should"),
            expected=self._expected,
            errors=[*self._errors.values(), *self._replaced(), *(self.guests.faults() if self.guests else ())],
            expectations=self._expectations,
            lacked={agent.label: agent.lacks for agent, _ in self._rows},
            contract=selection.contract_of(self._config),
        )
        self._write(self.verdict)
        session.exitstatus = self.verdict.exit

    def _replaced(self) -> list[str]:
        """Agents that are no longer the program they were when the run began: which of both was judged cannot be told."""
        now = {agent.label: about.sha256(agent) for agent, _ in self._rows}
        return [
            f"{label} was replaced while it was judged: its SHA-256 was {before[:16]}..., is {now[label][:16] or 'gone'}"
            for label, before in self._programs.items()
            if now[label] != before
        ]

    def _write(self, verdict: RunVerdict) -> None:
        """The report in all its forms. What cannot be written is a failure of the harness, and told as one."""
        order = {row: number for number, row in enumerate(self._rows_by_label())}
        cases = sorted(self._results, key=lambda case: (order.get((case.agent, case.transport), len(order)), case.id))
        contract = selection.contract_of(self._config).name
        facts = {"contract": contract, "strict": verdict.strict, "filtered": verdict.filtered, "seed": self.seed,
                 "narrowed": selection.is_narrowed(self._config), "shard": self._config.getoption("shard")}  # fmt: skip
        guests = self.guests.facts if self.guests else {}
        head = about.head(self._rows, self.agent_versions, self.started, guests, **facts)
        report = document.compose(head, cases, verdict.exit, verdict.settled.expected, verdict.reasons)
        wrong = document.fault(report)
        if wrong:
            verdict.errors.append(f"the report {wrong}")
            return
        try:
            if self._report_dir is not None:
                folder.fill(self._report_dir, report, self._earlier)
            if self._config.getoption("results"):
                folder.put(Path(self._config.getoption("results")), document.dump(report))
            if self._config.getoption("expect_write"):
                expect.write(Path(self._config.getoption("expect_write")), self._results, datetime.date.today())
            if github.here():
                github.write_summary(verdict)
        except OSError as error:
            verdict.errors.append(f"the report cannot be written: {error}")
            if self._report_dir is not None:  # no report holds another verdict than the run's
                with contextlib.suppress(OSError):
                    folder.write(self._report_dir / folder.REPORT, document.unfinished())

    def _rows_by_label(self) -> list[tuple[str, str]]:
        return [(agent.label, transport) for agent, transport in self._rows]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Where pytest itself was started. `conform run` calls tell() once pytest has ended."""
        if self.verdict is not None and not self._live():
            target = live.console()
            with target.capture() as captured:
                self.tell(target)
            terminalreporter.write(captured.get())

    def _live(self) -> bool:
        return any(isinstance(plugin, live.Live) for plugin in self._config.pluginmanager.get_plugins())

    def tell(self, target: Console) -> None:
        """Everything but the last line."""
        assert self.verdict is not None
        with github.no_commands(target) if github.here() else contextlib.nullcontext():
            for text, facts in self.guests.facts.items() if self.guests else ():
                line = safe.line(f"{about.guest(facts)} [{text}]")
                target.print(line, highlight=False, markup=False, soft_wrap=True)
            texts = {agent.label: agent.text for agent, _ in self._rows}
            option = self._config.getoption
            terminal.show(self.verdict, texts, target, option("report_dir") or "", option("through"))
        for line in github.commands(self.verdict) if github.here() else ():
            target.print(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The guests, and whatever a worker could not put away: it was killed, say."""
        if self.guests is not None:
            self.guests.stop()
        for pid in children(os.getpid()):
            kill_tree(pid)
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._reserved is not None:
            os.close(self._reserved)
            self._reserved = None
