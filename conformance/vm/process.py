"""Processes that belong to a machine: none outlives who has started it."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PATIENCE = 5.0  # seconds a process has to end by itself
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def started(words: Sequence[str], log: Path, *, terminal: bool = False) -> subprocess.Popen[bytes]:
    """A process that dies with the thread that starts it, and that Ctrl-C does not reach. What it prints goes to the log.
    `terminal`: it has this process's input and output. Raises OSError."""
    with log.open("ab") as output:
        return subprocess.Popen(
            words,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=None if terminal else output,
            stderr=output,
            preexec_fn=_die_with_parent,
            start_new_session=not terminal,
        )


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def end(process: subprocess.Popen[bytes]) -> None:
    """By SIGTERM, or by SIGKILL where that does not help."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except BaseException as error:
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
