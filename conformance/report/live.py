"""What `conform run` shows while it runs: one line that changes on a terminal, a line now and then elsewhere.

Of pytest's own output nothing is shown; it is kept for the case that the harness fails.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from guestwire.judge.outcome import CaseResult
from guestwire.report import bug, carried

PLAIN_EVERY = 15.0  # seconds between lines where nothing can be overwritten
PLAIN_WIDTH = 120
REDRAW = 0.1  # seconds


def console() -> Console:
    """Of stdout: in colour, and as wide as it is, on a terminal; NO_COLOR and TERM=dumb are respected. FORCE_COLOR does not make
    a terminal of a file."""
    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout, width=None if terminal else PLAIN_WIDTH, force_terminal=None if terminal else False,
        highlight=False, markup=False, emoji=False, soft_wrap=True,
    )  # fmt: skip


def internal(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """What pytest_internalerror is called with, in one line. Of a worker's exception pytest-xdist only has the text."""
    lines = str(excinfo.value).strip().splitlines()
    if len(lines) > 1 and os.fspath(excinfo.traceback[-1].path).endswith("xdist/dsession.py"):
        return " ".join(lines[-1].split())[:500]
    return bug.line(excinfo.value)


class Live:
    """A plugin of the controlling process."""

    def __init__(self, target: Console) -> None:
        self.console = target
        self.failure = ""  # the harness's own, in one line
        self._said = io.StringIO()
        self._total = self._done = self._failed = 0
        self._told = self._drawn = time.monotonic()
        moving = target.is_terminal and not target.is_dumb_terminal
        one_line = Column(no_wrap=True, overflow="ellipsis")
        self._bar = Progress(
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}, {task.fields[failed]} failed", table_column=one_line),
            BarColumn(bar_width=None),
            TimeElapsedColumn(),
            console=target, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False, disable=not moving,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=0, failed=0)

    @contextlib.contextmanager
    def instead_of_pytest(self) -> Iterator[None]:
        """Around the pytest run."""
        try:
            with contextlib.redirect_stdout(self._said):
                yield
        finally:
            self._bar.stop()

    def what_pytest_said(self) -> str:
        return self._said.getvalue()

    def _collected(self, count: int) -> None:
        self._total = max(self._total, count)
        self._draw()
        self._bar.start()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._collected(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:  # noqa: ARG002
        self._collected(len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        fields = carried.unload(report)
        if fields is None:
            return
        self._done += 1
        self._failed += CaseResult.from_json(fields).failed
        now = time.monotonic()
        if not self._bar.disable:
            if now - self._drawn >= REDRAW:
                self._draw()
        elif now - self._told >= PLAIN_EVERY:
            self._told = now
            self.console.print(f"{self._done:,} of {self._total:,} cases, {self._failed:,} failed")
            self.console.file.flush()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._bar.update(self._task, total=self._total, completed=self._done, failed=f"{self._failed:,}")
        self._bar.refresh()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._draw()
        self._bar.stop()

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        """True: pytest need not print it."""
        self.failure = internal(excinfo)
        return True
