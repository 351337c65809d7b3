"""What a machine does to the agent in it: it pauses, its clock jumps, it is restored from a snapshot, its memory runs out, its
root is full, it is rebooted, and the agent is its PID 1. Each case boots a guest of its own."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.guest import FarWitness, dialled
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.suite.files import OLD, Standing, errno_error, expect_names, expect_stored
from guestwire.suite.guests import faults, machine
from guestwire.suite.run_support import KILL_TIME, ORPHANS, REPLY_TIME, SLACK, begin, read_pids
from guestwire.vm.machine import Machine
from guestwire.vm.virtqueue import Place

PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')
DAY = 86_400.0
INIT = Path(__file__).resolve().parents[1] / "vm/init"
BOOT = (
    120.0  # seconds for a case that boots a guest, which takes a quiet machine five without KVM; four may boot at once
)


@case("FRAME-SEGMENT/drip", variant="paused-machine", needs="backend machine witness", deadline=BOOT, long=True)
def test_a_machine_that_pauses_in_the_middle_of_a_frame(host: Host) -> None:
    """Stopped for a second and more while bytes are on their way, it goes on where it was."""
    with machine(host) as (guest, inside), faults(inside) as control:
        control.patience(30)
        inside.ping()
        conversation = inside.connect()
        conversation.send_raw(PING[:7])
        guest.qmp("stop")
        conversation.send_raw(PING[7:])
        conversation.silence(1.2)
        guest.qmp("cont")
        expect_equal(conversation.answer(within=10).terminal.get("op"), "pong", "op of the answer")
        inside.ping()


@case("RUN-TIMEOUT/clock", variant="jumps", needs="backend machine witness", deadline=BOOT, long=True)
@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_clock_that_jumps_by_a_day(host: Host, jump: float) -> None:
    """Deadlines are of the monotonic clock."""
    with machine(host) as (_, inside):
        inside.ping()
        began = time.monotonic()
        conversation = begin(inside, "echo $$; exec sleep 60", timeout=3)
        read_pids(conversation)
        inside.witness.shift_clock(jump)
        answer = conversation.answer(within=3 + KILL_TIME + REPLY_TIME + 2 * SLACK)
        took = time.monotonic() - began
        expect_equal(answer.terminal, {"ok": True, "op": "timeout", "timeout": 3}, "answer")
        expect(took > 2.5, "no timeout before its time", f"after {took:.2f} s")


def _event_queue(guest: Machine) -> Place:
    """Where the guest's driver has the queue for the device's events."""
    devices: Any = guest.qmp("x-query-virtio")
    path = next(device["path"] for device in devices if "vsock" in device["name"])
    found: Any = guest.qmp("x-query-virtio-queue-status", path=path, queue=2)
    return Place(found["vring-num"], found["vring-desc"], found["vring-avail"], found["vring-used"])


@case("SRV-SURVIVE/alive", variant="restored", needs="backend machine witness", deadline=BOOT, long=True)
def test_the_reset_that_a_restore_causes(host: Host) -> None:
    """Old connections end, slots come back, the listener serves new ones, by the same process."""
    with machine(host) as (guest, inside), faults(inside) as control:
        before = inside.ping().get("instance")
        held = [begin(inside, "echo $$; exec sleep 60") for _ in range(8)]
        pids = [read_pids(conversation)[0] for conversation in held]
        half = inside.connect()
        half.send_raw(PING[:7])
        control.transport_reset(_event_queue(guest))
        for conversation in (*held, half):
            conversation.closed_silently(5)
        for pid in pids:
            expect(inside.witness.wait_dead(pid, 5) is not None, "the runs of old connections killed", f"{pid} lives")
        expect_equal(inside.ping(within=5).get("instance"), before, "instance afterwards")
        expect_equal(exit_code(inside.run("exit 5", within=5)), 5, "exit code of a new run")
        wait_for(lambda: not inside.witness.children(inside.pid), 5, "no child left")


@case("SRV-OOM", variant="all-memory", needs="backend machine witness", deadline=BOOT, long=True)
def test_a_run_that_eats_all_memory(host: Host) -> None:
    """The kernel kills it, and not the agent, which tells of it."""
    with machine(host, memory_mib=128) as (_, inside):
        before = inside.ping().get("instance")
        expect_equal(exit_code(inside.run("exec tail /dev/zero", within=60)), -9, "exit code")
        expect_equal(inside.ping(within=5).get("instance"), before, "instance afterwards")
        expect_equal(inside.output("echo on"), b"on\n", "output of the next run")


@case(
    "PUT-FULL/no-space",
    "PUT-CLEAN/no-space",
    "ERR-CODE/no_space",
    "ERR-ERRNO/space",
    variant="root",
    needs="backend machine witness",
    deadline=BOOT,
    long=True,
    twin="PUT-OK/content:1",
)
def test_no_space_on_the_guests_root(host: Host) -> None:
    """Full to its last page, as the initramfs is at half of the guest's memory: an upload leaves nothing, all else is served."""
    with machine(host) as (_, inside):
        target = Standing(inside, "/root/target")
        inside.run("exec cat /dev/zero >/full", within=60)
        expect_equal(inside.output("exec stat -f -c %f /"), b"0\n", "free blocks of the root")
        for size in (1, 200_000):
            errno_error(inside, inside.put(target.path, bytes(size)), "no_space", "space")
            target.expect_untouched()
            errno_error(inside, inside.put("/root/new", bytes(size)), "no_space", "space")
            expect_names(inside, "/root", "target")
        expect_equal(inside.get(target.path)[1], OLD, "a file that is there")
        expect_equal(exit_code(inside.run("exit 5")), 5, "exit code of a run")
        inside.witness.unlink("/full")
        expect_stored(inside.put(target.path, b"fits"))
        target.expect_replaced(b"fits")


@case("PING-INSTANCE/random", variant="reboot", needs="backend machine witness", deadline=BOOT, long=True)
def test_a_reboot_in_the_middle_of_a_run(host: Host) -> None:
    """The host sees a broken connection within 5 s; the next boot is ready, and says that it is another process."""
    with machine(host) as (guest, inside):
        before = inside.ping().get("instance")
        conversation = begin(inside, "echo up; exec sleep 60")
        conversation.recv_frame(5, "the first output")
        guest.qmp("system_reset")
        answer = conversation.answer(within=5)
        expect(not any(control.get("ok") for control in answer.controls), "no success", answer.controls)
        expect(_instance(inside, 40) != before, "another instance", before)


def _instance(inside: Host, within: float) -> object:
    """What the agent calls itself once it answers."""
    assert isinstance(inside.witness, FarWitness)
    end = time.monotonic() + within
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            conversation = inside.converse(dialled(inside.witness.world.hybrid, 1024))
            conversation.send_json({"op": "ping"})
            return conversation.answer(within=5).terminal.get("instance")
        time.sleep(0.05)
    raise Violation(f"the next boot is ready within {within:g} s", "nobody answers")


STARTED = ". /etc/guestwire/agent >/var/log/smolvm-agent.log 2>&1"  # in vm/init


def _as_pid_1(folder: Path) -> None:
    """The guest's init in a folder, but that it starts the agent last, and becomes it."""
    script = INIT.read_text()
    lines = script[: script.index("wait $agent")].replace(f"{STARTED} &\nagent=$!\n", "")
    expect(STARTED in script and STARTED not in lines, "an init that starts the agent", script)
    init = folder / "init"
    init.write_text(f"{lines}{STARTED}\n")
    init.chmod(0o755)


def _zombies(inside: Host) -> list[int]:
    return [child.pid for child in inside.witness.children(1) if child.state == "Z"]


@case("SRV-INIT/reaps", variant="pid-1", needs="backend machine witness", deadline=BOOT, long=True)
def test_the_agent_as_pid_1(host: Host) -> None:
    """A thousand orphans are reaped, and no status is taken in doing so."""
    with contextlib.ExitStack() as at_end:
        folder = Path(at_end.enter_context(tempfile.TemporaryDirectory()))
        _as_pid_1(folder)
        _, inside = at_end.enter_context(machine(host, overlay={"/": folder}))
        expect_equal(inside.pid, 1, "the agent's pid")
        maker = begin(inside, ORPHANS)
        for status in range(1, 30):
            expect_equal(exit_code(inside.run(f"exit {status}")), status, "exit code beside a thousand orphans")
        expect_equal(exit_code(maker.answer()), 0, "exit code of the command that made them")
        wait_for(lambda: not _zombies(inside), 5, "all orphans reaped")
