"""What the cases share that exist in a guest only: its agents' ports, the backend's faults, and services of the
host that the guest calls."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import Conversation, frame
from guestwire.drive.guest import FarWitness, GuestServer, World, dialled
from guestwire.drive.host import Host
from guestwire.drive.row import Row
from guestwire.judge.outcome import CouldNotRun, expect, expect_equal
from guestwire.vm.faults import Faults
from guestwire.vm.machine import Machine, MachineError, Spec, boot
from guestwire.vm.packages import ImageError
from guestwire.vm.plan import Plan

LOOPBACK, GUEST = 1, 3  # CIDs as the guest has them
NOBODY = 65534
PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')
AT_ONCE = 3.0  # seconds for what takes an idle guest a few milliseconds


def world_of(host: Host) -> World:
    assert isinstance(host.witness, FarWitness)
    return host.witness.world


def port_of(agent: Host) -> int:
    """The vsock port of this host's agent."""
    assert isinstance(agent.agent, GuestServer)
    return agent.agent.port


def closed_at_once(host: Host, port: int, cid: int = LOOPBACK, uid: int = NOBODY, source: int = 0) -> None:
    """A process of the guest that sends a ping there gets nothing but the end."""
    began = time.monotonic()
    received, ended = host.witness.talk(cid, port, PING, uid=uid, source=source)
    expect_equal(received, b"", "bytes that somebody else got")
    expect(ended in ("eof", "ECONNRESET", "EPIPE"), "closed", ended)
    expect(time.monotonic() - began < AT_ONCE, "closed at once", f"after {time.monotonic() - began:.1f} s")


@contextlib.contextmanager
def faults(host: Host) -> Iterator[Faults]:
    """The backend's control of this guest."""
    control = Faults(world_of(host).folder / "control.sock")
    try:
        yield control
    finally:
        control.close()


@contextlib.contextmanager
def planned(host: Host, agent: Host, plan: Plan) -> Iterator[tuple[Callable[[], Conversation], Callable[[], int]]]:
    """Conversations with an agent that go as planned: what makes one, and what resets them all (it returns how many)."""
    with faults(host) as control, tempfile.TemporaryDirectory(dir=world_of(host).folder) as name:
        path = Path(name, "planned.sock")
        with control.listener(path, plan):
            yield lambda: host.converse(dialled(str(path), port_of(agent))), lambda: control.reset(path)


@contextlib.contextmanager
def service(host: Host, port: int) -> Iterator[socket.socket]:
    """A listening socket of the host's for the connections that the guest makes to this port."""
    with world_of(host).listener(port) as listener:
        listener.settimeout(10)
        yield listener


@contextlib.contextmanager
def machine(host: Host, **spec: Any) -> Iterator[tuple[Machine, Host]]:
    """A guest of the case's own, for what the others would not survive, and the host of the agent that its init has started.
    `spec`: see vm/qemu.py. One at a time in a run: emulated ones take a core each."""
    connectable = host.connectable
    with contextlib.ExitStack() as held, tempfile.TemporaryDirectory(dir=host.row.folder) as name:
        folder = Path(name)
        fcntl.flock(held.enter_context((world_of(host).folder / "machine.lock").open("w")), fcntl.LOCK_EX)
        try:
            made = boot(Spec(level=connectable.kind, agent=connectable.argv, witnesses=1, **spec), folder, host.left())
        except (ImageError, MachineError) as error:
            raise CouldNotRun(f"no guest of its own: {error}") from None
        try:
            with contextlib.ExitStack() as at_end:
                witness = FarWitness(World(folder), 0)
                at_end.callback(witness.hang_up)
                inner = Host(Row(connectable, host.transport, witness, folder, booted=True), host.left())
                inner.soft = host.soft
                at_end.callback(inner.release)
                yield made, inner
            made.check_machine()
        finally:
            made.stop()
