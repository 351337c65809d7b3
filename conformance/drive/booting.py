"""The guests of a run: booted by its controller before anything is judged, and ended by it whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.guest import World
from guestwire.drive.platform import ON_LINUX
from guestwire.judge.outcome import Violation
from guestwire.vm import idle, machine, qemu
from guestwire.vm.machine import Machine, MachineError, Spec
from guestwire.vm.packages import ImageError

DEVICE = "/dev/vhost-vsock"
FETCHING = (("apt-get", "apt"), ("dpkg-deb", "dpkg"))  # for Debian's kernel and what else a guest is made of
DEADLINE = 120.0  # seconds for a boot, of which a quiet machine needs four without KVM


class Guests:
    """One machine for each connectable that wants one."""

    def __init__(self, agents: Iterable[Connectable], folder: Path, witnesses: int) -> None:
        """Boot them; what they need stands in `folder`. Raises UsageError, which says what is missing and what mends it; then,
        and on an interrupt, nothing is left running."""
        self._machines: dict[str, Machine] = {}
        self.facts: dict[str, dict[str, Any]] = {}  # what the report says of each, by connectable
        try:
            for number, agent in enumerate(agents):
                place = folder / f"guest-{number}"
                place.mkdir(mode=0o700)
                self._machines[agent.text] = booted = _boot(agent, place, witnesses)
                self.facts[agent.text] = _facts(booted)
        except BaseException:
            self.stop()
            raise

    @property
    def worlds(self) -> dict[str, World]:
        """What whoever uses them has to know, by connectable."""
        return {text: World(booted.folder) for text, booted in self._machines.items()}

    def faults(self) -> list[str]:
        """What is wrong with the machines themselves, a line each."""
        told = []
        for text, booted in self._machines.items():
            try:
                booted.check_machine()
            except Violation as error:
                told.append(f"{text}: {error.expected}: {error.actual}")
        return told

    def stop(self) -> None:
        """End all of them."""
        while self._machines:
            self._machines.popitem()[1].stop()


def _boot(agent: Connectable, folder: Path, witnesses: int) -> Machine:
    if not ON_LINUX:
        raise UsageError(f"{agent.text!r}: a guest is booted on Linux only")
    if agent.kind not in (qemu.VHOST_USER, qemu.NATIVE):
        raise UsageError(f"{agent.text!r}: no guest: this run boots {qemu.VHOST_USER} and {qemu.NATIVE} only")
    spec = Spec(level=agent.kind, agent=agent.argv, witnesses=witnesses)
    if missing := _missing(spec):
        raise UsageError(f"{agent.text!r}: no guest: {'; '.join(missing)}")
    try:
        return machine.boot(spec, folder, DEADLINE)
    except (ImageError, MachineError, OSError) as error:
        said = f"; QEMU says: {lines[-1]}" if (lines := _said(folder)) else ""
        raise UsageError(f"{agent.text!r}: no guest: {error}{said}") from None


def _missing(spec: Spec) -> list[str]:
    """What this machine lacks for such a guest, each with what mends it."""
    told = []
    try:
        qemu.program(spec.arch or qemu.arch_of(spec.agent[0]))
    except ImageError as error:
        told.append(str(error))
    if not machine.GATE.is_file():
        told.append(f"{machine.GATE} is missing: make guestwire")
    told += [f"{name} is missing: apt-get install -y {package}" for name, package in FETCHING if not shutil.which(name)]
    if spec.level == qemu.NATIVE and not os.access(DEVICE, os.R_OK | os.W_OK):
        told.append(f"{DEVICE} does not open: modprobe vhost_vsock, as root")
    return told


def _said(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return (folder / "qemu.log").read_text(errors="replace").strip().splitlines()
    return []


def _facts(booted: Machine) -> dict[str, Any]:
    """By spec/report.schema.json, `guest` of an agent."""
    facts = booted.facts
    told: dict[str, Any] = {
        "level": facts.level,
        "arch": facts.arch,
        "accelerator": facts.accelerator,
        **({"why_not_kvm": facts.why} if facts.why else {}),
        "kernel": facts.kernel,
        "memory_mib": facts.memory_mib,
        "boot_seconds": round(facts.seconds, 3),
    }
    with contextlib.suppress(OSError, ValueError):  # an agent that is not ours may not tell
        cost = idle.ask(booted)
        told |= {"agent_seconds": round(cost.seconds, 3), "rss_kib": cost.rss, "pss_kib": cost.pss}
    return told
