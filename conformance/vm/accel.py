"""Which accelerator QEMU can use here. That /dev/kvm is there, or opens, proves nothing: a guest has to run."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

from guestwire.vm import cpio, qemu
from guestwire.vm.image import Base
from guestwire.vm.packages import cache, locked
from guestwire.vm.process import end, started

KVM, TCG = "kvm", "tcg"
DEADLINE = 10.0  # seconds for the probe; with KVM it takes less than two
_UP = "guestwire: this guest is up"


def chosen(arch: str, base: Base) -> str:
    """KVM where a probe boots with it, else TCG, by name: QEMU's own fall-back takes a KVM that hangs. Raises ImageError."""
    if arch != platform.machine() or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kept = cache() / f"kvm-{boot}"  # this machine's answer, until it is started anew
    with locked("kvm"):
        if not kept.exists():
            kept.write_text(KVM if boots(arch, base, KVM) else TCG)
        return kept.read_text()


def boots(arch: str, base: Base, accelerator: str, deadline: float = DEADLINE) -> bool:
    """Whether a guest gets as far as /init within `deadline` seconds."""
    init = f"#!/bin/sh\necho '{_UP}' >/dev/console\nexec sleep 60\n"
    with tempfile.TemporaryDirectory(prefix="guestwire-probe-") as name:
        folder = Path(name)
        initrd = folder / "initrd"
        initrd.write_bytes(base.initrd.read_bytes() + cpio.archive({"init": cpio.file(init.encode(), 0o755)}))
        spec = qemu.Spec(level=qemu.NONE, agent=(), arch=arch, witnesses=0)
        process = started(qemu.command(spec, base.kernel, initrd, folder, accelerator), folder / "qemu.log")
        try:
            return _comes(folder / "console.log", process, time.monotonic() + deadline)
        finally:
            end(process)


def _comes(console: Path, process: subprocess.Popen[bytes], until: float) -> bool:
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            if _UP in console.read_text(errors="replace"):
                return True
        time.sleep(0.02)
    return False
