"""The guests of a run: booted by its controller before anything is judged, and ended by it whatever happens."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.guest import JUDGED, PROGRAM, World, placed
from guestwire.drive.platform import ON_LINUX
from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import Violation
from guestwire.vm import idle, image, machine, qemu
from guestwire.vm.machine import Machine, MachineError, Spec
from guestwire.vm.packages import ImageError

DEVICE = "/dev/vhost-vsock"
FETCHING = (("apt-get", "apt"), ("dpkg-deb", "dpkg"))  # for Debian's kernel and what else a guest is made of
DEADLINE = 120.0  # seconds for a boot, of which a quiet machine needs four without KVM
NESTED_DEADLINE = 300.0  # the same in a guest that is emulated: thirty


class Guests:
    """One machine for each agent that wants one; one for all the bridges or gates of a run."""

    def __init__(self, agents: Iterable[Connectable], folder: Path, witnesses: int) -> None:
        """Boot them; what they need stands in `folder`. Raises UsageError, which says what is missing and what mends it; then,
        and on an interrupt, nothing is left running."""
        self._machines: dict[str, Machine] = {}
        self.facts: dict[str, dict[str, Any]] = {}  # what the report says of each, by connectable
        try:
            for number, group in enumerate(_sharing(agents)):
                place = folder / f"guest-{number}"
                place.mkdir(mode=0o700)
                booted = _boot(group, place, witnesses)
                self._machines |= {agent.text: booted for agent in group}
                self.facts |= dict.fromkeys((agent.text for agent in group), _facts(booted, group[0].contract is AGENT))
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
        for booted, text in {booted: text for text, booted in self._machines.items()}.items():
            try:
                booted.check_machine()
            except Violation as error:
                told.append(f"{text}: {error.expected}: {error.actual}")
        return told

    def stop(self) -> None:
        """End all of them."""
        machines = set(self._machines.values())
        self._machines.clear()
        while machines:
            machines.pop().stop()


def _sharing(agents: Iterable[Connectable]) -> list[list[Connectable]]:
    """Who is together in a guest: agents not at all, other programs of the same machine."""
    groups: dict[str, list[Connectable]] = {}
    for agent in agents:
        groups.setdefault(agent.text if agent.contract is AGENT else _arch(agent), []).append(agent)
    return list(groups.values())


def _arch(agent: Connectable) -> str:
    try:
        return qemu.arch_of(agent.argv[0])
    except ImageError as error:
        raise UsageError(f"{agent.text!r}: no guest: {error}") from None


def _spec(group: list[Connectable], folder: Path, witnesses: int) -> Spec:
    """The guest that these share. Beside bridges and gates it has this project's own agent. Raises UsageError."""
    first = group[0]
    if first.contract is AGENT:
        return Spec(level=first.kind, agent=first.argv, witnesses=witnesses)
    arch = _arch(first)
    agent = machine.GATE.parent / ("" if arch == platform.machine() else arch) / Path(PROGRAM).name
    if not agent.is_file():
        raise UsageError(f"{first.text!r}: no guest: {agent} is missing: make agent ARCH={arch}")
    judged = folder / "judged"
    for each in group:
        place = judged / Path(placed(each)).relative_to(JUDGED)
        place.parent.mkdir(parents=True)
        shutil.copy(each.program, place)
    return Spec(level=first.kind, agent=(str(agent),), witnesses=witnesses, overlay={JUDGED: judged})


def _boot(group: list[Connectable], folder: Path, witnesses: int) -> Machine:
    agent = group[0]
    if not ON_LINUX:
        raise UsageError(f"{agent.text!r}: a guest is booted on Linux only")
    if agent.kind not in (qemu.VHOST_USER, qemu.NATIVE) and not image.is_given():
        raise UsageError(f"{agent.text!r}: no guest: this run boots {qemu.VHOST_USER} and {qemu.NATIVE} only")
    spec = _spec(group, folder, witnesses)
    lacking = missing(spec.arch or qemu.arch_of(spec.agent[0]))
    if spec.level in (qemu.NESTED, qemu.NATIVE) and not os.access(DEVICE, os.R_OK | os.W_OK):
        lacking.append(f"{DEVICE} does not open: modprobe vhost_vsock, as root")
    if lacking:
        raise UsageError(f"{agent.text!r}: no guest: {'; '.join(lacking)}")
    try:
        return machine.boot(spec, folder, NESTED_DEADLINE if spec.level == qemu.NESTED else DEADLINE)
    except (ImageError, MachineError, OSError) as error:
        said = f"; QEMU says: {lines[-1]}" if (lines := _said(folder)) else ""
        raise UsageError(f"{agent.text!r}: no guest: {error}{said}") from None


def missing(arch: str) -> list[str]:
    """What this machine lacks for a guest of an architecture, each with what mends it."""
    told = []
    try:
        qemu.program(arch)
    except ImageError as error:
        told.append(str(error))
    if not machine.GATE.is_file():
        told.append(f"{machine.GATE} is missing: make guestwire")
    fetching = () if image.is_given() else FETCHING
    return told + [
        f"{name} is missing: apt-get install -y {package}" for name, package in fetching if not shutil.which(name)
    ]


def _said(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return (folder / "qemu.log").read_text(errors="replace").strip().splitlines()
    return []


def _facts(booted: Machine, of_agent: bool) -> dict[str, Any]:
    """By spec/report.schema.json, `guest` of an agent, or of something else: then the agent in it is nobody's matter."""
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
    if of_agent:
        with contextlib.suppress(OSError, ValueError):  # one that is not ours may not tell
            cost = idle.ask(booted)
            told |= {"agent_seconds": round(cost.seconds, 3), "rss_kib": cost.rss, "pss_kib": cost.pss}
    return told
