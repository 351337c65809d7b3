"""Which accelerator QEMU can use here. That /dev/kvm is there, or opens, proves nothing: a guest has to run."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from guestwire.vm import cpio, qemu
from guestwire.vm.image import Base
from guestwire.vm.packages import cache, locked
from guestwire.vm.process import end, started

KVM, TCG = "kvm", "tcg"
DEVICE = Path("/dev/kvm")
DEADLINE = 10.0  # seconds for the probe; with KVM it takes less than two
_UP = "guestwire: this guest is up"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Choice:
    """`accelerator` is QEMU's name for it; `why` it is not KVM, "" where it is."""

    accelerator: str
    why: str = ""


def chosen(arch: str, base: Base, deadline: float = DEADLINE) -> Choice:
    """KVM where a probe boots with it within `deadline` seconds, else TCG, by name: QEMU's own fall-back takes a KVM that hangs.
    Raises ImageError."""
    if arch != platform.machine():
        return Choice(TCG, f"this machine is {platform.machine()}")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Choice(TCG, f"{DEVICE} may not be opened" if DEVICE.exists() else f"no {DEVICE}")
    kept = cache() / f"kvm-{_BOOT_ID.read_text().strip()}.json"  # this machine's answer, until it is started anew
    with locked("kvm"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Choice(**json.loads(kept.read_text()))
        why = refused(arch, base, KVM, deadline)
        made = Choice(TCG, f"{DEVICE} runs no guest: {why}") if why else Choice(KVM)
        kept.write_text(json.dumps(asdict(made)))
        return made


def refused(arch: str, base: Base, accelerator: str, deadline: float) -> str:
    """What keeps a guest from getting as far as /init within `deadline` seconds, "" for nothing. Raises ImageError."""
    init = f"#!/bin/sh\necho '{_UP}' >/dev/console\nexec sleep 60\n"
    with tempfile.TemporaryDirectory(prefix="guestwire-probe-") as name:
        folder = Path(name)
        initrd = folder / "initrd"
        initrd.write_bytes(base.initrd.read_bytes() + cpio.archive({"init": cpio.file(init.encode(), 0o755)}))
        spec = qemu.Spec(level=qemu.NONE, agent=(), arch=arch, witnesses=0)
        process = started(qemu.command(spec, base.kernel, initrd, folder, accelerator), folder / "qemu.log")
        until = time.monotonic() + deadline
        try:
            while time.monotonic() < until:
                ended = process.poll()
                if _is_up(folder / "console.log"):
                    return ""
                if ended is not None:
                    return f"QEMU ended with status {ended}: {_last(folder / 'qemu.log') or 'it said nothing'}"
                time.sleep(0.02)
            return f"a probe did not come up within {deadline:g} s"
        finally:
            end(process)


def _is_up(console: Path) -> bool:
    with contextlib.suppress(OSError):
        return _UP in console.read_text(errors="replace")
    return False


def _last(log: Path) -> str:
    with contextlib.suppress(OSError, IndexError):
        return log.read_text(errors="replace").strip().splitlines()[-1]
    return ""
