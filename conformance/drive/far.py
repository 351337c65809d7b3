"""The witness in a guest: serves its calls on virtio-serial ports, one process for each port that a host has opened.

    python3 -m guestwire.drive.far PORT... SCRATCH

Standard library only. Imported once and forked: under emulation a start of Python costs a second.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from guestwire.drive import autopsy, process
from guestwire.drive.channel import Channel, serve
from guestwire.drive.process import StartSpec, become_subreaper
from guestwire.drive.witness import Witness

LOOK = 0.05  # seconds between two looks for hosts
UNKNOWN = 255  # exit status of a process whose parent keeps it to itself


class Found:
    """A process that somebody else started, for Witness as if it had: an agent of the guest's init. `log` takes its output."""

    def __init__(self, pid: int, log: str) -> None:
        self.pid = pid
        self._log = Path(log)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]
        env = dict(os.fsdecode(line).partition("=")[::2] for line in lines)
        self.spec = StartSpec(tuple(map(os.fsdecode, words)), env, os.readlink(f"/proc/{pid}/cwd"))

    def poll(self) -> int | None:
        found = process.read_process(self.pid)
        return UNKNOWN if found is None or found.state in "ZX" else None

    def wait(self, timeout: float) -> int | None:
        end = time.monotonic() + timeout
        while (status := self.poll()) is None and time.monotonic() < end:
            time.sleep(0.005)
        return status

    def stderr(self) -> bytes:
        try:
            return self._log.read_bytes()
        except OSError:
            return b""

    def stdout(self) -> bytes:
        return b""

    def stop(self) -> None:
        if self.poll() is None:
            process.kill_tree(self.pid)
            self.wait(5)


class GuestWitness(Witness):
    """What a guest's witness can do beside."""

    def find(self, program: str, log: str) -> int | None:
        """The oldest process of this file, which init has started with this log; from now on like one that was started here."""
        for each in sorted(process.processes(), key=lambda each: each.pid):
            try:
                if os.readlink(f"/proc/{each.pid}/exe") == program:
                    self._agents[each.pid] = Found(each.pid, log)  # type: ignore[assignment]
                    return each.pid
            except OSError:
                continue
        return None

    def log(self, path: str) -> bytes:
        """The last of a file that may not be there."""
        try:
            return Path(path).read_bytes()[-autopsy.STDERR :]
        except OSError:
            return b""


def _is_open(port: int) -> bool:
    """Whether a host has the port's other end open."""
    poll = select.poll()
    poll.register(port, 0)
    return not poll.poll(0)


def main(words: list[str]) -> int:
    """Until the guest is switched off."""
    *names, folder = words
    os.makedirs(folder, exist_ok=True)
    ports = [os.open(name, os.O_RDWR | os.O_CLOEXEC) for name in names]
    serving: dict[int, int] = {}  # pid: port
    while True:
        for port in ports:
            if port not in serving.values() and _is_open(port):
                pid = os.fork()
                if pid == 0:
                    become_subreaper()
                    serve(Channel(port), GuestWitness(Path(folder)))
                    os._exit(0)
                serving[pid] = port
        time.sleep(LOOK)
        while serving and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            serving.pop(ended, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
