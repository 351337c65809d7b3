"""A run in a guest that cannot be had: one line that names each missing thing and what mends it, and exit 2."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from guestwire.drive import booting
from guestwire.drive.booting import Guests
from guestwire.drive.connectable import UsageError, parse
from guestwire.tests.harness import CONFORM, run, temporary


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


def test_a_program_that_is_no_agent(tmp_path: Path) -> None:
    """It ends in the guest: the line says so, and nothing is left running or lying about."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.fail("qemu-system-x86_64 is missing: make setup")
    with pytest.raises(UsageError, match="no guest: guestwire: the agent ended"):
        Guests([parse("qemu-vhost-user:/bin/true")], tmp_path, 1)
    assert list(tmp_path.glob("*/*.sock")) == []
