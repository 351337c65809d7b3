"""An agent in a guest: reached through the backend's hybrid socket, seen through a witness on a virtio-serial port.

One guest serves a whole run. Whoever boots it (the controller of a run) is not who uses it (its workers): a World is what both
know of it, its folder of sockets (vm/machine.py). Each user has a witness of its own. The agent that the guest's init has
started is the shared agent of the first worker; all other agents are started by the witness, each on a port of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from guestwire.drive import server
from guestwire.drive.channel import Caller, Channel
from guestwire.drive.connectable import Connectable
from guestwire.drive.far import GuestWitness
from guestwire.drive.process import StartSpec
from guestwire.drive.server import START_TIMEOUT, Agent
from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import CouldNotRun, Crash

PORT = 1024  # of the agent that init has started
LOG = "/var/log/smolvm-agent.log"  # of the same
FIRST_PORT = 2_000  # of those that witnesses start
PORTS = 1_000_000  # for each witness
PROGRAM = "/usr/local/bin/smolvm-guest-agent"  # the agent's file in a guest
PYTHON = "/usr/bin/python3"  # a guest's own
JUDGED = "/opt/judged"  # where bridges and gates stand in a guest
KEPT = 1 << 20  # bytes of each paper, its last ones
WITNESS_WITHIN = 30.0  # seconds for the first answer of a witness in a guest that has booted


def dialled(hybrid: str, port: int) -> socket.socket:
    """A connection to this port, through the hybrid socket at this path. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(START_TIMEOUT)
    try:
        sock.connect(hybrid)
        server.ask_for(sock, port)
    except BaseException:
        sock.close()
        raise
    sock.settimeout(None)
    return sock


@dataclass(frozen=True)
class World:
    """A guest that runs: the folder of its sockets."""

    folder: Path

    @property
    def hybrid(self) -> str:
        return str(self.folder / "hybrid.sock")

    def connect(self, port: int) -> socket.socket:
        """A connection to this port of the guest. Raises OSError."""
        from guestwire.vm.machine import Access  # who starts no guest is spared what it needs

        sock = Access(self.folder).dial(port, START_TIMEOUT)
        sock.settimeout(None)
        return sock

    @contextlib.contextmanager
    def listener(self, port: int) -> Iterator[socket.socket]:
        """A socket that the guest reaches at this port of the host's. Raises OSError."""
        from guestwire.vm.machine import Access  # who starts no guest is spared what it needs

        if Access(self.folder).cid is not None:
            with socket.socket(socket.AF_VSOCK) as sock:
                sock.bind((socket.VMADDR_CID_ANY, port))
                sock.listen()
                yield sock
            return
        path = f"{self.hybrid}_{port}"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
            try:
                sock.listen()
                yield sock
            finally:
                Path(path).unlink()

    def check(self) -> None:
        """Raises Violation if the guest's kernel has reported that something is broken."""
        from guestwire.vm.machine import Access  # who starts no guest is spared what it needs

        Access(self.folder).check_machine()

    def papers(self) -> dict[str, bytes]:
        """What tells of the machine, by name: for the evidence."""
        names = ("console.log", "qemu.log", "backend.log", "command.txt")
        return {name: (self.folder / name).read_bytes()[-KEPT:] for name in names if (self.folder / name).exists()}


class FarWitness(Caller):
    """The witness number `number` of a guest."""

    def __init__(self, world: World, number: int) -> None:
        """Raises CouldNotRun where it does not answer."""
        self.world = world
        self.number = number
        self.ports: Iterator[int] = itertools.count(FIRST_PORT + number * PORTS)
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(WITNESS_WITHIN)
            sock.connect(str(world.folder / f"witness-{number}.sock"))
            sock.settimeout(None)
        except OSError as error:
            sock.close()
            raise CouldNotRun(f"the guest's witness {number} cannot be reached: {error}") from None
        super().__init__(Channel(sock.detach()), GuestWitness)
        try:
            self.alive(1)
        except (EOFError, OSError) as error:
            raise CouldNotRun(f"the guest's witness {number} does not answer: {error}") from None


class GuestServer(server.Server):
    """One process in the guest, serving on a vsock port."""

    port: int

    def __init__(
        self, witness: FarWitness, spec: StartSpec
    ) -> None:  # other than the base's: nothing of it stands here
        self._witness = witness
        self._world = witness.world
        self.port = next(witness.ports)
        self.pid = witness.start(replace(spec, argv=server.with_listen(spec.argv, f"vsock:{self.port}")))

    def connect(self) -> socket.socket:
        return self._world.connect(self.port)

    def check_alive(self) -> None:
        super().check_alive()
        self._world.check()

    def stop(self) -> None:
        self._witness.stop(self.pid)


class BootedServer(GuestServer):
    """The one that init has started. When it ends, its status is init's to know."""

    def __init__(self, witness: FarWitness, port: int = PORT) -> None:
        self._witness = witness
        self._world = witness.world
        self.port = port
        pid = witness.find(PROGRAM, LOG)
        if pid is None:
            said = witness.log(LOG).decode(errors="replace")[-400:]
            raise Crash("the agent that the guest's init has started lives", f"there is none; its log: {said!r}")
        self.pid = pid

    def check_alive(self) -> None:
        if self.status() is not None:
            raise Crash("the agent that the guest's init has started lives", f"it is gone; its log: {self.stderr()!r}")
        self._world.check()


def command(connectable: Connectable) -> tuple[str, ...]:
    """How an agent is started in the guest, but for where it listens; how a bridge or a gate is, but for its addresses."""
    if connectable.contract is AGENT:
        return (PROGRAM, *connectable.argv[1:])
    first, *others = connectable.argv
    if connectable.program == first:
        return (placed(connectable), *others)
    return (PYTHON, *(placed(connectable) if word == connectable.program else word for word in others))


def placed(connectable: Connectable) -> str:
    """The path in a guest of a bridge's or a gate's file. A guest may hold several."""
    digest = hashlib.sha256(connectable.text.encode()).hexdigest()[:8]
    return f"{JUDGED}/{digest}/{Path(connectable.program).name}"


def start(witness: Any, spec: StartSpec, booted: bool = False) -> Agent:
    """An agent in the guest, serving: the one that init has started if it is asked for. Raises Crash, DeadlineExceeded or
    CouldNotRun."""
    assert isinstance(witness, FarWitness)
    try:
        made = BootedServer(witness) if booted else GuestServer(witness, spec)
    except OSError as error:
        raise CouldNotRun(f"{spec.argv[0]} cannot be started in the guest: {error}") from None
    try:
        made.wait_ready()
    except BaseException:
        made.stop()
        raise
    return made
