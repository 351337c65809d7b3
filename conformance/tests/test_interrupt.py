"""Ctrl-C at any moment leaves no process, socket or temporary file."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.tests.harness import CONFORM, MINI, ORACLE, TINY, left_behind, start, temporary

WAITING = ("--agent", f"exec:{TINY}", "-k=slow")


def interrupt(
    folder: Path, number: signal.Signals, whole_group: bool, *command: str, judging: bool = True
) -> tuple[int, str]:
    """Start the run, wait until an agent serves a case, send the signal: its exit status and all it printed."""
    started = start(folder, *command, judging=judging)
    try:
        _wait_for_agent(started, folder)
        if whole_group:
            os.killpg(started.pid, number)
        else:
            started.send_signal(number)
        stdout, stderr = started.communicate(timeout=40)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
    return started.returncode, stdout + stderr


def _wait_for_agent(started: subprocess.Popen[str], folder: Path) -> None:
    """Until one serves cases: each is started once before them too, but not for so long."""
    end = time.monotonic() + 60
    before: set[Path] = set()
    while started.poll() is None:
        now = set(folder.rglob("agent.sock"))
        if now & before:
            return
        assert time.monotonic() < end, "no agent was started"
        before = now
        time.sleep(0.4)


@pytest.mark.parametrize(
    ("workers", "whole_group"), [(0, True), (2, True), (2, False)], ids=["one", "group", "process"]
)
def test_interrupt(workers: int, whole_group: bool) -> None:
    """A terminal sends SIGINT to the whole group; kill(1) to one process."""
    with temporary() as folder:
        status, _ = interrupt(folder, signal.SIGINT, whole_group, *MINI, *WAITING, f"-n{workers}")
        assert status == 2  # pytest's own for an interrupt
        assert left_behind(folder) == []


@pytest.mark.parametrize(
    ("number", "command"),
    [(signal.SIGINT, "run"), (signal.SIGHUP, "run"), (signal.SIGINT, "verify"), (signal.SIGTERM, "verify")],
)
def test_interrupt_of_the_command(number: signal.Signals, command: str) -> None:
    options = ("--clause=CONV-STALL", "--clause=CONV-IDLE", "--jobs=2")
    judging = command == "run"
    with temporary() as folder:
        group = number == signal.SIGINT
        status, printed = interrupt(
            folder, number, group, *CONFORM, command, f"exec:{ORACLE}", *options, judging=judging
        )
        assert status == 130
        assert "interrupted" in printed
        assert "Traceback" not in printed
        assert not re.search("verdict|passed", printed)
        assert left_behind(folder) == []


def test_interrupt_that_is_swallowed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a callback of the garbage collector, say, where no exception gets out: the run ends as interrupted all the same."""

    def swallow(_: object) -> int:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return 0

    monkeypatch.setattr("guestwire.commands.list.main", swallow)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main(["list"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "interrupted: nothing was judged\n"


def test_termination_in_the_background() -> None:
    """A shell without job control starts it with SIGINT ignored."""
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh", *CONFORM, "run", f"exec:{ORACLE}", "--clause=CONV-STALL")
    with temporary() as folder:
        status, printed = interrupt(folder, signal.SIGTERM, False, *ignoring, "--jobs=2")
        assert (status, "interrupted" in printed) == (130, True)
        assert left_behind(folder) == []
