"""A run in a guest that cannot be had: one line that names each missing thing and what mends it, and exit 2."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from guestwire.drive import booting
from guestwire.drive.booting import Guests
from guestwire.drive.connectable import UsageError, parse, parse_all
from guestwire.drive.guest import command, placed
from guestwire.tests.harness import CONFORM, run, temporary
from guestwire.vm import machine
from guestwire.vm.machine import Machine, MachineError
from guestwire.vm.qemu import Spec


def test_each_missing_thing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH that holds nothing but what starts the test's processes, and no vhost_vsock."""
    (tmp_path / "env").symlink_to(shutil.which("env") or "/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path))
    with temporary() as folder:
        done = run(folder, *CONFORM, "run", "qemu-native:/bin/true", judging=False)
    assert done.status == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("conform: 'qemu-native:/bin/true': no guest: ")
    assert "apt-get install -y --no-install-recommends qemu-system-x86" in line
    assert "dpkg-deb is missing: apt-get install -y dpkg" in line
    assert os.access(booting.DEVICE, os.W_OK) or "modprobe vhost_vsock" in line


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(booting, "ON_LINUX", False)
    with pytest.raises(UsageError, match="a guest is booted on Linux only"):
        Guests([parse("qemu-vhost-user:/bin/true")], tmp_path, 1)


@pytest.mark.parametrize("text", ["qemu-vhost-user:/nowhere/agent", "qemu-native:"])
def test_an_agent_that_is_not_there(text: str) -> None:
    with pytest.raises(UsageError, match=r"no such file|is no connectable"):
        parse(text)


def test_a_level_that_this_run_does_not_boot(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this run boots qemu-vhost-user and qemu-native only"):
        Guests([parse("qemu-nested:/bin/true")], tmp_path, 1)


def test_bridges_share_a_guest_with_this_projects_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stands in a folder of its own there; an interpreter is the guest's."""
    programs = [Path(tmp_path, name) for name in ("one", "script.py")]
    for path in programs:
        path.write_bytes(path.name.encode())
        path.chmod(0o755)
    texts = [f"qemu-vhost-user:{programs[0]} bridge", f"qemu-vhost-user:{sys.executable} -I {programs[1]}"]
    one, script = parse_all(texts, "bridge")
    assert command(one) == (placed(one), "bridge")
    assert command(script) == ("/usr/bin/python3", "-I", placed(script))
    specs: list[Spec] = []

    def boot(spec: Spec, folder: Path, deadline: float) -> Machine:  # noqa: ARG001
        specs.append(spec)
        raise MachineError("not today")

    monkeypatch.setattr(machine, "boot", boot)
    with pytest.raises(UsageError, match="no guest: not today"):
        Guests([one, script], tmp_path, 1)
    ((place, judged),) = specs[0].overlay.items()
    assert isinstance(judged, Path)
    assert specs[0].agent == (str(machine.GATE.parent / "smolvm-guest-agent"),)
    for each, path in ((one, programs[0]), (script, programs[1])):
        assert (judged / Path(placed(each)).relative_to(place)).read_bytes() == path.read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(machine, "GATE", other / "guestwire")
    with pytest.raises(UsageError, match="smolvm-guest-agent is missing: make agent"):
        Guests([one], other, 1)


def test_a_program_that_is_no_agent(tmp_path: Path) -> None:
    """It ends in the guest: the line says so, and nothing is left running or lying about."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.fail("qemu-system-x86_64 is missing: make setup")
    with pytest.raises(UsageError, match="no guest: guestwire: the agent ended"):
        Guests([parse("qemu-vhost-user:/bin/true")], tmp_path, 1)
    assert list(tmp_path.glob("*/*.sock")) == []
