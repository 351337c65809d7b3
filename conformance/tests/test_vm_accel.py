"""KVM is used where a guest really runs with it, and by nothing else: a QEMU made up for the test hangs, ends, or succeeds."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.tests.harness import left_behind
from guestwire.vm import accel, image, packages, qemu
from guestwire.vm.accel import KVM, TCG, Choice
from guestwire.vm.image import Base

HERE = platform.machine()
UP = "echo 'guestwire: this guest is up'"
# A shell script in QEMU's place; $console is the guest's.
START = r"""#!/bin/sh
echo "$*" >>{folder}/started
for word; do case $word in file,id=console,*) console=${{word##*path=}};; esac; done
"""
SILENT = "exec sleep 600"
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"
CHATTY = "while :; do echo 'SeaBIOS (version 1.16)' >>$console; sleep 0.05; done"
NO_CPU = "echo 'qemu: error: failed to set MSR 0x48b' >&2; kill -ABRT $$"
ENDS = "exit 0"
BOOTS = f"{UP} >$console; exec sleep 600"
LATE = f"echo booting >$console; sleep 0.5; {UP} >>$console; exec sleep 600"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own, a device that opens, and no process that stays."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        place = Path(name)
        for made in ("cache", "bin"):
            (place / made).mkdir()
        (place / "kvm").touch()
        monkeypatch.setattr(packages, "cache", lambda: place / "cache")
        monkeypatch.setattr(accel, "cache", lambda: place / "cache")
        monkeypatch.setattr(accel, "DEVICE", place / "kvm")
        monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
        yield place
        shutil.rmtree(place / "bin")
        assert left_behind(place / "bin") == []


def pretend(folder: Path, how: str) -> Base:
    """A QEMU that behaves so, and an image for it."""
    program = folder / "bin" / qemu.PROGRAMS[HERE][0]
    program.write_text(START.format(folder=folder) + how + "\n")
    program.chmod(0o755)
    (folder / "initrd").write_bytes(b"")
    return Base(folder / "kernel", folder / "initrd", "6.1", (), ())


def starts(folder: Path) -> list[str]:
    """A command line for each start of that QEMU."""
    return (folder / "started").read_text().splitlines() if (folder / "started").exists() else []


@pytest.mark.parametrize("how", [BOOTS, LATE, f"{UP} >$console"], ids=["at-once", "late", "and-ends"])
def test_a_probe_that_comes_up(folder: Path, how: str) -> None:
    assert accel.chosen(HERE, pretend(folder, how)) == Choice(KVM)
    (words,) = starts(folder)
    assert "-accel kvm " in words
    assert "-cpu host" in words
    assert "vsock" not in words


@pytest.mark.parametrize("how", [SILENT, CHATTY], ids=["silent", "firmware"])
def test_a_probe_that_hangs(folder: Path, how: str) -> None:
    """As with a /dev/kvm that opens on a machine that cannot run guests: firmware, and no more."""
    began = time.monotonic()
    choice = accel.chosen(HERE, pretend(folder, how), 1.0)
    assert choice == Choice(TCG, f"{folder}/kvm runs no guest: a probe did not come up within 1 s")
    assert time.monotonic() - began < 10


def test_a_probe_that_does_not_want_to_end(folder: Path) -> None:
    began = time.monotonic()
    assert accel.chosen(HERE, pretend(folder, STUBBORN), 0.5).accelerator == TCG
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("how", "why"),
    [(NO_CPU, "QEMU ended with status -6: qemu: error: failed to set MSR 0x48b"),
     (ENDS, "QEMU ended with status 0: it said nothing")],
    ids=["aborts", "ends"],
)  # fmt: skip
def test_a_probe_that_dies_is_not_waited_for(folder: Path, how: str, why: str) -> None:
    began = time.monotonic()
    assert accel.chosen(HERE, pretend(folder, how), 60) == Choice(TCG, f"{folder}/kvm runs no guest: {why}")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("how", [ENDS, BOOTS], ids=[TCG, KVM])
def test_the_answer_is_kept_until_the_machine_is_started_anew(
    folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = pretend(folder, how)
    first = accel.chosen(HERE, base)
    assert accel.chosen(HERE, base) == first
    assert len(starts(folder)) == 1
    (folder / "boot_id").write_text("another\n")
    monkeypatch.setattr(accel, "_BOOT_ID", folder / "boot_id")
    assert accel.chosen(HERE, base) == first
    assert len(starts(folder)) == 2
    (folder / "cache/kvm-another.json").write_text("{")  # damaged
    assert accel.chosen(HERE, base) == first
    assert len(starts(folder)) == 3


def test_without_a_device_nothing_is_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = pretend(folder, BOOTS)
    other = next(name for name in qemu.PROGRAMS if name != HERE)
    assert accel.chosen(other, base) == Choice(TCG, f"this machine is {HERE}")
    (folder / "kvm").unlink()
    assert accel.chosen(HERE, base) == Choice(TCG, f"no {folder}/kvm")
    monkeypatch.setattr(accel, "DEVICE", Path("/proc/1/mem" if os.geteuid() else "/proc/sys/kernel/version/x"))
    assert accel.chosen(HERE, base).accelerator == TCG
    assert starts(folder) == []


def test_the_probe_is_a_guest_that_boots() -> None:
    """With TCG, which every machine has: were the probe itself at fault, nobody would ever get KVM."""
    assert shutil.which(qemu.PROGRAMS[HERE][0]) is not None, "make setup"
    base = image.base(HERE)
    assert accel.refused(HERE, base, TCG, 120) == ""
