"""A guest on QEMU with the backend of its vsock device: booted until its agent answers, looked after, and ended without a trace.

Everything of a machine stands in its folder: sockets, console.log, qemu.log, backend.log, command.txt. Any process can use a
running machine by that folder (Access); the one that booted it (Machine) ends it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from guestwire.drive.server import ask_for
from guestwire.judge.outcome import Crash, Violation
from guestwire.vm import accel, image, qemu, qmp
from guestwire.vm.process import end, started
from guestwire.vm.qemu import PORT, Spec

__all__ = ["Access", "Facts", "Machine", "MachineError", "Spec", "boot"]
GATE = Path(__file__).resolve().parents[2] / "build/guestwire"
VHOST_VSOCK = Path("/dev/vhost-vsock")
_FIRST_CID = 1 << 16  # of guests on this machine's own vsock, where others may have small ones
_AGENT_ENDED = re.compile(r"guestwire: the agent ended.*")  # /init says so
_LONGEST_SOCKET = 107  # bytes of a Unix socket's path
_REPORT = re.compile(  # what a kernel says only when it is broken; a process that runs out of memory is none of it
    r"Kernel panic|\bOops\b|\bBUG: |WARNING: CPU|WARNING: possible|general protection fault|unable to handle"
    r"|detected stall|self-detected stall|blocked for more than|soft lockup|KASAN|UBSAN|KCSAN|KFENCE"
    r"|(?:Address|Leak|UndefinedBehavior|Memory|Thread)Sanitizer|runtime error: "
)


class MachineError(Exception):
    """A guest could not be booted: one line that says why."""


@dataclass(frozen=True)
class Facts:
    """What a run's report says of the machine. `seconds`: from QEMU's start to the first answered ping; `why`: it is not KVM."""

    level: str
    arch: str
    accelerator: str
    kernel: str
    memory_mib: int
    seconds: float
    why: str = ""


def kernel_report(console: str) -> str:
    """What a guest's console says of something broken, from there on; "" for nothing."""
    lines = console.splitlines()
    found = next((number for number, line in enumerate(lines) if _REPORT.search(line)), None)
    return "" if found is None else "\n".join(lines[found : found + 40])


class Access:
    """A running machine, by its folder. `cid`: the guest's on this machine's own vsock; None behind the backend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hybrid = folder / "hybrid.sock"
        self.control = folder / "control.sock"
        self.cid = _number(folder / "cid")

    @property
    def connectable(self) -> str:
        """What reaches the agent from this machine."""
        return f"hybrid:{self.hybrid}:{PORT}" if self.cid is None else f"vsock:{self.cid}:{PORT}"

    def dial(self, port: int, deadline: float) -> socket.socket:
        """A connection to a port of the guest, within as many seconds, which then bound its reads and writes. Raises OSError."""
        sock = socket.socket(socket.AF_UNIX if self.cid is None else socket.AF_VSOCK)
        sock.settimeout(deadline)
        try:
            if self.cid is None:
                sock.connect(str(self.hybrid))
                ask_for(sock, port)
            else:
                sock.connect((self.cid, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def witness(self, number: int) -> Path:
        """The socket of a virtio-serial port."""
        return self.folder / f"witness-{number}.sock"

    def qmp(self, command: str, **arguments: object) -> object:
        """QEMU's answer. Raises what qmp.execute() raises."""
        return qmp.execute(self.folder / "qmp.sock", command, arguments or None)

    def console(self) -> str:
        """What the guest has written to its serial console so far."""
        with contextlib.suppress(OSError):
            return (self.folder / "console.log").read_text(errors="replace")
        return ""

    def check(self) -> None:
        """Raises Violation if the guest's kernel has reported that something is broken, Crash if the agent has ended."""
        if (ended := _AGENT_ENDED.search(self.console())) is not None:
            raise Crash("the agent runs as long as its guest", ended[0])
        self.check_machine()

    def check_machine(self) -> None:
        """The same but for the agent, which a case may have killed. Raises Violation."""
        if report := kernel_report(self.console()):
            raise Violation("no report of a kernel or sanitizer on the console", report)


class Machine(Access):
    """One that this process has booted."""

    def __init__(self, folder: Path, processes: dict[str, subprocess.Popen[bytes]], facts: Facts) -> None:
        super().__init__(folder)
        self.processes = processes
        self.facts = facts

    def check_machine(self) -> None:
        """The same; raises Crash if QEMU or the backend has ended."""
        super().check_machine()
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Crash(f"{name} runs until it is stopped", _ended(self.folder, name, process))

    def wait(self, seconds: float) -> bool:
        """Return: whether QEMU ended within that time, for the guest powered off."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.processes["qemu"].wait(seconds)
            return True
        return False

    def stop(self) -> None:
        """End all of it. The folder keeps the logs."""
        _end(self.folder, self.processes)


def boot(spec: Spec, folder: Path, deadline: float) -> Machine:
    """Boot a guest until its agent answers, within `deadline` seconds. Raises ImageError, MachineError; then and on an interrupt
    nothing is left running."""
    if len(str(folder / "witness-00.sock").encode()) > _LONGEST_SOCKET:
        raise MachineError(f"{folder}: too long a path for sockets in it")
    if not GATE.is_file():
        raise MachineError(f"{GATE} is missing: make guestwire")
    spec = spec if spec.arch else replace(spec, arch=qemu.arch_of(spec.agent[0]))
    if spec.level in (qemu.NATIVE, qemu.NESTED):
        if not os.access(VHOST_VSOCK, os.R_OK | os.W_OK):
            raise MachineError(f"{VHOST_VSOCK} is missing or may not be opened: modprobe vhost_vsock, as root")
        spec = replace(spec, cid=_FIRST_CID + os.getpid())
        (folder / "cid").write_text(str(spec.cid))
    base = image.base(spec.arch)
    choice = accel.Choice(accel.KVM) if spec.level == qemu.NESTED else accel.chosen(spec.arch, base)
    initrd = folder / "initrd"
    initrd.write_bytes(base.initrd.read_bytes() + image.overlay(base, spec.agent, spec.overlay, shell=spec.shell))
    words = qemu.command(spec, spec.kernel or base.kernel, initrd, folder, choice.accelerator)
    (folder / "command.txt").write_text(shlex.join(words) + "\n")
    processes: dict[str, subprocess.Popen[bytes]] = {}
    until = time.monotonic() + deadline
    try:
        if spec.level == qemu.VHOST_USER:
            processes["backend"] = _start_backend(spec, folder, until)
        start = time.monotonic()
        processes["qemu"] = started(words, folder / "qemu.log", terminal=spec.shell)
        looks = 0.5 if spec.level == qemu.NESTED else 0.02  # there, who looks takes the time of what it looks for
        _wait_ready(Access(folder).connectable, folder, processes, until, looks)
        seconds = time.monotonic() - start
    except BaseException:
        _end(folder, processes)
        raise
    kernel = spec.kernel.name if spec.kernel else base.release
    facts = Facts(spec.level, spec.arch, choice.accelerator, kernel, spec.memory_mib, seconds, choice.why)
    return Machine(folder, processes, facts)


def _start_backend(spec: Spec, folder: Path, until: float) -> subprocess.Popen[bytes]:
    sockets = {name: folder / f"{name}.sock" for name in ("vhost", "hybrid", "control")}
    words = [sys.executable, "-m", "guestwire.vm.backend", "--vhost-user", str(sockets["vhost"])]
    words += ["--hybrid", str(sockets["hybrid"]), "--cid", str(spec.cid), "--control", str(sockets["control"])]
    process = started(words, folder / "backend.log")
    try:
        while not all(path.exists() for path in sockets.values()):
            if process.poll() is not None:
                raise MachineError(_ended(folder, "backend", process))
            if time.monotonic() > until:
                raise MachineError("the backend did not listen in time")
            time.sleep(0.005)
    except BaseException:
        _end(folder, {"backend": process})
        raise
    return process


def _wait_ready(
    target: str, folder: Path, processes: dict[str, subprocess.Popen[bytes]], until: float, looks: float
) -> None:
    """Until the gate, which tries every `looks` seconds, says that the agent answers. Raises MachineError."""
    seconds = max(until - time.monotonic(), 0.1)
    words = [str(GATE), "ready", "agent", target, "--timeout", f"{seconds:.3f}", "--interval", f"{looks:g}"]
    guest = Access(folder)
    gate = started(words, folder / "gate.log")
    try:
        while gate.poll() is None:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise MachineError(_ended(folder, name, process))
            if (ended := _AGENT_ENDED.search(guest.console())) is not None:
                raise MachineError(ended[0])
            time.sleep(looks / 4)
        if gate.returncode != 0:
            console = guest.console().splitlines()[-3:]
            raise MachineError(
                f"{_last(folder / 'gate.log')}; the console's last lines: {' | '.join(console) or 'none'}"
            )
    finally:
        gate.kill()
        gate.wait()


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return int(path.read_text())
    return None


def _ended(folder: Path, name: str, process: subprocess.Popen[bytes]) -> str:
    return f"{name} ended with status {process.returncode}: {_last(folder / f'{name}.log') or 'it said nothing'}"


def _last(log: Path) -> str:
    """A log's last line."""
    with contextlib.suppress(OSError, IndexError):
        return log.read_text(errors="replace").strip().splitlines()[-1]
    return ""


def _end(folder: Path, processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for name in ("qemu", "backend"):  # in this order: the backend would complain about a guest that goes on without it
        if name in processes:
            end(processes[name])
    for path in folder.glob("*.sock*"):
        path.unlink(missing_ok=True)
    (folder / "initrd").unlink(missing_ok=True)
