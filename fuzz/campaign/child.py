"""Processes that take a while after a campaign, and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress

from campaign import libfuzzer


class Stopped(Exception):
    """Nothing is started any more."""


class Children:
    """Used by several threads; the one that gets a Ctrl-C calls `end()`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    def run(self, words: Sequence[str], seconds: float) -> tuple[int | None, list[str]]:
        """Run to the end, to which a process that hangs is brought. Return: exit status (None: it had to be killed), stderr.
        Raises Stopped, OSError."""
        with self._lock:
            if self._ended:
                raise Stopped
            process = subprocess.Popen(
                words, env=libfuzzer.environment(), text=True, errors="replace", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
        late = False
        try:
            output = process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            late = True
            _kill(process)
            output = process.communicate()[1]
        except BaseException:
            _kill(process)
            process.communicate()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
        if self._ended:
            raise Stopped
        return None if late else process.returncode, output.splitlines()

    def end(self) -> None:
        """Kill what runs."""
        with self._lock:
            self._ended = True
            for process in self._running:
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """And those that it has started: -minimize_crash and -merge have processes of their own."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
