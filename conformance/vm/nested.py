"""The nested level: an outer guest, whose kernel has vhost_vsock, runs this harness, and boots the inner guest that is judged.

The outer guest is emulated, its processor's virtualization (AMD's SVM) with it, so that its KVM runs the inner one: that costs
little more than the emulation does anyway, where an emulator within an emulator is ten times slower.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire.vm import cpio, image, outer, qemu
from guestwire.vm.image import Base
from guestwire.vm.machine import kernel_report
from guestwire.vm.process import end, started

MEMORY = 2048  # MiB of the outer guest: its files, those of this Python, and the inner guest
DEADLINE = 900.0  # seconds for the level's own cases, of which a quiet machine needs two minutes
LONG_DEADLINE = 7200.0  # for whatever else is asked for
LARGEST_SCALE = 10.0  # seconds that one of the outer guest's may take
CONSOLE = "outer.console.log"
_PORTS = {"guestwire.report": "report.tar", "guestwire.log": "conform.log"}  # what each takes, in the run's folder
_BASE = "/var/lib/guestwire/base"  # in the outer guest: the inner one's


class NestedError(Exception):
    """The level could not run: one line that says what is missing or went wrong."""


@dataclass(frozen=True)
class Told:
    """What came out of the outer guest. `seconds`: on this machine's clock; `scale`: of them for one of the outer guest's."""

    status: int  # of `conform run` in it
    kernel: str
    seconds: float
    scale: float

    @property
    def line(self) -> str:
        return (
            f"qemu-nested: judged in a guest of {MEMORY} MiB on QEMU (x86_64, tcg with svm), Linux {self.kernel}, over its own "
            f"vhost_vsock: {self.seconds:.0f} s; a second of its clock took {self.scale:.2f} s, by which deadlines are scaled"
        )


def run(agent: Path, words: Sequence[str], folder: Path, deadline: float) -> Told:
    """Judge the agent, a file that has the same path in the outer guest. `words`: of `conform run` there. What comes of it stands
    in `folder`: report/, conform.log, the outer guest's console and logs. Raises ImageError or NestedError; nothing is left
    running."""
    base = image.base("x86_64", outer=True)
    initrd = folder / "outer.initrd"
    initrd.write_bytes(base.initrd.read_bytes() + _overlay(base, agent, words))
    command = _command(base, initrd, folder)
    (folder / "outer.command.txt").write_text(shlex.join(command) + "\n")
    start = time.monotonic()
    process = started(command, folder / "outer.qemu.log")
    try:
        process.wait(deadline)
    except subprocess.TimeoutExpired:
        raise NestedError(f"the outer guest did not end within {deadline:g} s; {_last(folder)}") from None
    finally:
        end(process)
        initrd.unlink()
    seconds = time.monotonic() - start
    told = unpacked(folder)
    if report := kernel_report((folder / CONSOLE).read_text(errors="replace")):
        raise NestedError(f"the outer guest's kernel reports: {report.splitlines()[0]}")
    if "error" in told:
        raise NestedError(told["error"])
    scale = seconds / told["clock"]
    if scale > LARGEST_SCALE:
        raise NestedError(f"a second of the outer guest took {scale:.1f} s; at most {LARGEST_SCALE:g} are allowed")
    return Told(told["status"], base.release, seconds, scale)


def _overlay(base: Base, agent: Path, words: Sequence[str]) -> bytes:
    within = [f"{image.GIVEN}={_BASE}", *outer.within([f"/dev/{name}" for name in _PORTS], words)]
    entries = outer.files()
    entries |= {
        "init": cpio.file((Path(__file__).parent / "outer-init").read_bytes(), 0o755),
        "etc/guestwire/modules": cpio.file("".join(f"{path}\n" for path in base.first).encode()),
        "etc/guestwire/within": cpio.file((shlex.join(within) + "\n").encode()),
        outer.place(agent): cpio.file(agent.read_bytes(), 0o755),
    }
    inner = image.base("x86_64").kernel.parent
    for name in ("kernel", "initrd", "facts.json"):
        entries[f"{_BASE[1:]}/{name}"] = cpio.file((inner / name).read_bytes())
    return cpio.archive(entries)


def _command(base: Base, initrd: Path, folder: Path) -> list[str]:
    place = str(folder).replace(",", ",,")  # QEMU's own way to have one in a value
    return [
        *(qemu.program("x86_64"), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-accel", "tcg", "-cpu", "qemu64,+svm,+npt", "-M", "q35,sata=off,smbus=off,i8042=off", "-smp", "2"),
        *("-m", f"{MEMORY}M", "-kernel", str(base.kernel), "-initrd", str(initrd), "-append", " ".join(qemu.KERNEL_OF["x86_64"])),
        *("-chardev", f"file,id=console,path={place}/{CONSOLE}", "-serial", "chardev:console"),
        *("-device", "virtio-serial-pci"),
        *(word for name, file in _PORTS.items() for word in (
            "-chardev", f"file,id={name},path={place}/{file}", "-device", f"virtserialport,chardev={name},name={name}"
        )),
    ]  # fmt: skip


def unpacked(folder: Path) -> dict[str, Any]:
    """What within.py has told. Raises NestedError."""
    archive = folder / "report.tar"
    try:
        with tarfile.open(archive, "r:") as packed:
            for member in packed:
                path = folder / member.name
                if not path.resolve().is_relative_to(folder.resolve()) or not (member.isfile() or member.isdir()):
                    raise NestedError(f"the outer guest's archive holds {member.name!r}")
                packed.extract(member, folder)
        told = json.loads((folder / "nested.json").read_text())
    except (OSError, tarfile.TarError, ValueError, KeyError) as error:
        raise NestedError(f"no results came out of the outer guest: {error}; {_last(folder)}") from None
    archive.unlink()
    return dict(told)


def _last(folder: Path) -> str:
    with contextlib.suppress(OSError, IndexError):
        return "its console ends: " + (folder / CONSOLE).read_text(errors="replace").splitlines()[-1]
    return "its console is empty"
