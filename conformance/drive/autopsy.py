"""What can be said of an agent's processes at the moment a case has failed. Runs wherever the agent runs, like drive/process.py;
everything returned can be pickled."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire.drive import process

STATUS = ("Name", "State", "Tgid", "Pid", "PPid", "Threads", "SigQ", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
STDERR = 256 << 10  # bytes of an agent's stderr that are kept, its last ones


@dataclass(frozen=True)
class Facts:
    """An agent that the harness started. `status` is None while it lives, negative for a signal."""

    pid: int
    argv: tuple[str, ...]
    env: dict[str, str] | None  # None: the harness's own
    cwd: str | None
    status: int | None
    stderr: bytes

    def to_json(self) -> dict[str, Any]:
        """For agent.json; stderr stands in a file of its own."""
        fields = {name: value for name, value in self.__dict__.items() if name != "stderr"}
        return fields | {"state": state_of(self.status), "stderr_bytes": len(self.stderr)}


def state_of(status: int | None) -> str:
    """An exit status in words, signals by name."""
    if status is None:
        return "running"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"ended by signal {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def text(value: str | bytes) -> str:
    """A path or an environment's word, readable whatever bytes it has."""
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")


def facts(pid: int, spec: process.StartSpec, status: int | None, stderr: bytes) -> Facts:
    """Of an agent that was started as `spec` says."""
    env: Mapping[str, str | bytes] | None = spec.env
    return Facts(
        pid,
        spec.argv,
        None if env is None else {name: text(value) for name, value in env.items()},
        None if spec.cwd is None else text(spec.cwd),
        status,
        stderr[-STDERR:],
    )


def threads(pid: int) -> str:
    """Where each thread of a process and of its descendants waits: wchan, stack (for root), syscall, and the telling lines of
    status."""
    return "\n".join(line for each in process.tree(pid) for line in _process(each))


def _process(pid: int) -> list[str]:
    command = _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    lines = [f"process {pid}: {command}"]
    tasks: list[str] = []
    with contextlib.suppress(OSError):
        tasks = sorted(os.listdir(f"/proc/{pid}/task"), key=int)
    for task in tasks:
        folder = f"/proc/{pid}/task/{task}"
        lines += [
            f"  thread {task}",
            f"    wchan: {_read(folder + '/wchan')}",
            f"    syscall: {_read(folder + '/syscall')}",
            *(f"    stack: {line}" for line in _read(folder + "/stack").splitlines()),
        ]
        status = _read(folder + "/status").splitlines()
        lines += [f"    {' '.join(line.split())}" for line in status if line.partition(":")[0] in STATUS]
    return lines if tasks else [*lines, "  gone"]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError as error:
        return f"({error.strerror})"
