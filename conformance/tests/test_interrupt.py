"""Ctrl-C at any moment leaves no process, socket or temporary file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from guestwire.tests.harness import CONFORM, MINI, ORACLE, TINY, left_behind, start, temporary

WAITING = ("--agent", f"exec:{TINY}", "-k=slow")


def interrupt(folder: Path, number: signal.Signals, whole_group: bool, *command: str) -> tuple[int, str]:
    """Start the run, wait until an agent serves a case, send the signal: its exit status and all it printed."""
    started = start(folder, *command)
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_of_the_command(number: signal.Signals) -> None:
    options = ("--clause=CONV-STALL", "--clause=CONV-IDLE", "--jobs=2")
    with temporary() as folder:
        group = number == signal.SIGINT
        status, printed = interrupt(folder, number, group, *CONFORM, "run", f"exec:{ORACLE}", *options)
        assert status == 130
        assert "interrupted" in printed
        assert "verdict" not in printed
        assert left_behind(folder) == []
