"""Runs of the harness as a person starts it, each with a TMPDIR of its own, and what they leave behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli

HERE = Path(__file__).resolve().parent
TINY = HERE / "agents/tiny.py"
ORACLE = HERE.parents[1] / "oracle/agent.py"
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "GUESTWIRE_TRACEBACK"):
    os.environ.pop(_name, None)  # where the tests run is not told to the runs that they start
HEEDING = ("env", "--default-signal=HUP,INT,QUIT,TERM")  # signals that the tests themselves were started to ignore
CONFORM = (sys.executable, "-m", "guestwire.cli")
_QUIET = ("-q", "--no-header", "--no-summary", "--tb=no", "-p", "no:cacheprovider", "-p", "no:tmpdir", "--assert=plain")
_UNUSED = ("hypothesispytest", "logging", "unraisableexception", "threadexception", "faulthandler")  # and dear to start
MINI = (
    *(sys.executable, "-m", "pytest", *_QUIET, "--import-mode=importlib", "-c", os.devnull),
    *(f"-pno:{name}" for name in _UNUSED),
    *(f"--rootdir={HERE}", str(HERE / "mini_suite.py")),
)


@dataclass(frozen=True)
class Done:
    """A run that has ended; `cases` maps ids to (outcome, expected, actual)."""

    status: int
    stdout: str
    stderr: str
    cases: dict[str, tuple[str, str, str]]


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    """A TMPDIR for runs, its path short enough for Unix sockets below it. Results may be written beside it."""
    with tempfile.TemporaryDirectory(prefix="gw-") as parent:
        folder = Path(parent, "t")
        folder.mkdir()
        yield folder


def run(folder: Path, *command: str, judging: bool = True) -> Done:
    """Run to the end. Nothing may be left in `folder` afterwards. `judging`: whether a report is wanted beside it."""
    started, report = start(folder, *command, judging=judging), folder.with_suffix(".report") / "report.json"
    stdout, stderr = started.communicate(timeout=100)
    found: list[dict[str, Any]] = json.loads(report.read_text()).get("cases", []) if report.exists() else []
    cases = {
        f"{case['case']}@{case['transport']}": (case["outcome"], case["expected"], case["actual"]) for case in found
    }
    assert left_behind(folder) == []
    return Done(started.returncode, stdout, stderr, cases)


def start(folder: Path, *command: str, judging: bool = True) -> subprocess.Popen[str]:
    """Start a run in a process group of its own; judging runs write their report beside the folder."""
    if judging and (command[: len(MINI) - 1] == MINI[:-1] or "run" in command):
        command = (*command, f"--report-dir={folder.with_suffix('.report')}")
    environment = {**os.environ, "TMPDIR": str(folder)}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    return subprocess.Popen(
        (*HEEDING, *command),
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@contextlib.contextmanager
def oracle(path: Path, *options: str) -> Iterator[None]:
    """An oracle that serves at `path`."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}
    with subprocess.Popen([ORACLE, "--quiet", *options, "--listen", f"unix:{path}"], env=environment) as process:
        try:
            end = time.monotonic() + 10
            while not path.exists():
                assert time.monotonic() < end
                time.sleep(0.01)
            yield
        finally:
            process.kill()


def expect_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line: one line on stderr, exit 2."""
    try:
        status = cli.main(words)
    except SystemExit as end:
        status = int(end.code or 0)
    told = capsys.readouterr()
    assert (status, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert says in told.err


@contextlib.contextmanager
def served(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """A Unix socket at `path`; each connection is served in a thread."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def left_behind(folder: Path, grace: float = 5.0) -> list[str]:
    """Files in the folder, and processes that were started with it: named by their command lines. They have a moment to go."""
    end = time.monotonic() + grace
    while found := [*map(str, folder.rglob("*")), *_processes(os.fsencode(folder))]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return found


def _processes(mark: bytes) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if mark in command or mark in (process / "environ").read_bytes():
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found
