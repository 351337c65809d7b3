"""A guest that really boots, and what is left of one that does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestwire.judge.outcome import Crash, Violation
from guestwire.tests.harness import left_behind
from guestwire.vm import idle, machine, qemu
from guestwire.vm.idle import run
from guestwire.vm.machine import Machine, MachineError
from guestwire.vm.packages import ImageError
from guestwire.vm.qemu import Spec

BUILD = Path(__file__).resolve().parents[2] / "build"
AGENT = BUILD / "smolvm-guest-agent"
DEADLINE = 120.0  # seconds for a boot that takes three on a quiet machine
LOGS = {"backend.log", "command.txt", "console.log", "gate.log", "qemu.log"}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, for sockets; nothing that was started with it may be left."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        yield Path(name)


def test_a_guest_from_boot_to_stop(folder: Path) -> None:
    spec = Spec(qemu.VHOST_USER, [str(AGENT), "--max-requests", "7"], overlay={"/etc/extra": b"of the overlay"})
    guest = machine.boot(spec, folder, DEADLINE)
    try:
        assert guest.facts.accelerator in ("kvm", "tcg")
        assert 0 < guest.facts.seconds < DEADLINE
        cost = idle.ask(guest)
        assert 0 <= cost.seconds < guest.facts.seconds
        assert 0 < cost.pss <= cost.rss < 1024
        assert run(guest, "cat /etc/extra") == "of the overlay"
        assert run(guest, "uname -r").strip() == guest.facts.kernel
        assert "--max-requests 7" in run(guest, "ps -o args")
        assert run(guest, "readlink -f /proc/1/exe; cat /proc/$(pidof smolvm-guest-agent)/stat | cut -d' ' -f4").split() == [
            "/usr/bin/busybox", "1"
        ]  # fmt: skip
        assert "is ready" in run(guest, "cat /var/log/smolvm-agent.log")
        assert (
            run(guest, "PYTHONPATH=/opt/guestwire python3 -c 'import guestwire.drive.witness; print(6 * 7)' 2>&1")
            == "42\n"
        )
        wait_for(lambda: run(guest, "cat /sys/class/virtio-ports/*/name").split() == names(spec.witnesses))
        assert guest.qmp("query-status")["status"] == "running"  # type: ignore[index]
        _check_sees_what_is_wrong(guest)
    finally:
        guest.stop()
    assert {path.name for path in folder.iterdir()} == LOGS
    for path in folder.iterdir():
        path.unlink()
    assert left_behind(folder) == []


def names(witnesses: int) -> list[str]:
    return [f"guestwire.witness.{number}" for number in range(witnesses)]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _check_sees_what_is_wrong(guest: Machine) -> None:
    guest.check()
    run(guest, "echo 'invoked oom-killer, Call Trace: Out of memory: Killed process 7' >/dev/console")
    guest.check()
    run(guest, "echo '<4>WARNING: CPU: 0 PID: 1 at made/up.c' >/dev/kmsg")
    with pytest.raises(Violation, match=r"made/up\.c"):
        guest.check()
    (guest.folder / "console.log").write_text("")
    guest.processes["qemu"].kill()
    guest.processes["qemu"].wait(DEADLINE)
    with pytest.raises(Crash, match="qemu ended with status -9"):
        guest.check()


def test_an_agent_that_ends_is_said_and_nothing_stays(folder: Path) -> None:
    script = folder / "agent"
    script.write_text("#!/bin/sh\necho no agent today\nexit 3\n")
    with pytest.raises(MachineError, match="the agent ended with status 3: no agent today"):
        machine.boot(Spec(qemu.VHOST_USER, [str(script)]), folder, DEADLINE)
    assert not list(folder.glob("*.sock"))
    for path in folder.iterdir():
        path.unlink()
    assert left_behind(folder) == []


def test_nothing_outlives_who_booted_it(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from guestwire.vm import machine, qemu\n"
        f"machine.boot(qemu.Spec(qemu.VHOST_USER, [{str(AGENT)!r}]), Path({str(folder)!r}), {DEADLINE})\n"
        "print('booted', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "booted\n"
        os.kill(owner.pid, signal.SIGKILL)
    for path in folder.iterdir():
        path.unlink()
    assert left_behind(folder) == []


def test_what_is_missing_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="no-such-agent"):
        machine.boot(Spec(qemu.VHOST_USER, ["/no-such-agent"]), folder, DEADLINE)
    (folder / "other").write_bytes(b"\x7fELF" + bytes(14) + b"\xf3\0")
    with pytest.raises(ImageError, match="ELF 243"):
        machine.boot(Spec(qemu.VHOST_USER, [str(folder / "other")]), folder, DEADLINE)
    with pytest.raises(ImageError, match="no-such-module"):
        machine.boot(Spec(qemu.VHOST_USER, [str(AGENT)], overlay={"/x": Path("/no-such-module")}), folder, DEADLINE)
    monkeypatch.setattr(machine, "VHOST_VSOCK", folder / "vhost-vsock")
    with pytest.raises(MachineError, match=r"vhost-vsock is missing .* modprobe vhost_vsock"):
        machine.boot(Spec(qemu.NATIVE, [str(AGENT)]), folder, DEADLINE)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError, match=r"qemu-system-x86_64 is missing: apt-get install .* qemu-system-x86"):
        qemu.command(Spec(qemu.VHOST_USER, [str(AGENT)], "x86_64"), Path("k"), Path("i"), folder, "tcg")
    monkeypatch.setattr(machine, "GATE", folder / "guestwire")
    with pytest.raises(MachineError, match="make guestwire"):
        machine.boot(Spec(qemu.VHOST_USER, [str(AGENT)]), folder, DEADLINE)


def test_a_folder_with_a_comma() -> None:
    """QEMU takes one for the end of a value, unless there are two."""
    spec = Spec(qemu.VHOST_USER, [str(AGENT)], "x86_64")
    words = qemu.command(spec, Path("kernel"), Path("initrd"), Path("/tmp/a,b"), "tcg")
    paths = [word for word in words if "path=" in word]
    assert len(paths) == 3 + spec.witnesses
    assert all("path=/tmp/a,,b/" in word for word in paths)
