"""An agent behind a bridge: what the agent's cases see where a bridge stands between them and it (`conform run --through`).

via-unix     a Unix socket, the bridge, the agent's Unix socket
via-hybrid   a Unix socket, the bridge, a hybrid listener of the harness's, which starts an agent on each connection as on fd-conn
via-tcp      a Unix socket, a bridge to a TCP port, another bridge from there to the agent's Unix socket

The bridges are started with the agent and end with it. One that dies, or that holds on to what a conversation used, is named as
such. What a transport cannot serve for what it is made of stands in judge/case.py, ABSENT.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guestwire.drive import guest, server, template
from guestwire.drive.connectable import Connectable
from guestwire.drive.process import StartSpec
from guestwire.drive.server import ENVIRONMENT, START_TIMEOUT, Agent, OneShots, Server, describe_exit
from guestwire.judge.outcome import CouldNotRun, Crash, DeadlineExceeded

PORT = 1024  # that the hybrid listener is asked for
LONGEST = 64  # bytes of the line that asks for it
PORTS = (10_000, 32_000)  # below those that the kernel gives to whoever connects
HELD = (1 << 20) + (512 << 10)  # bytes that a bridge may hold for a direction (BRIDGE-PRESSURE), and a Unix socket
TCP_HELD = 12 << 20  # what the two ends of a TCP connection may
PASSING_ON = 2.0  # seconds: BRIDGE-CLOSE gives bytes up after 1 s in which none is taken, and has 1 s for the close
BRIDGES = {"via-unix": 1, "via-hybrid": 1, "via-tcp": 2}
TRIES = 5  # ports, where another one took the first


def in_transit(transport: str) -> int:
    """Bytes of one direction that bridges, and the sockets they add, may hold on this transport, generously."""
    bridges = BRIDGES.get(transport, 0)
    return bridges * HELD + max(bridges - 1, 0) * TCP_HELD


def passing_on(transport: str) -> float:
    """Seconds that bridges may take on this transport to pass on a full close where bytes are stuck on the way."""
    return BRIDGES.get(transport, 0) * PASSING_ON


class Bridge:
    """One bridge, listening."""

    def __init__(self, witness: Any, connectable: Connectable, listen: str, connect: str, folder: str) -> None:
        """Raises Crash or DeadlineExceeded where it does not come to listen, OSError where it cannot be started."""
        self._witness = witness
        self.label = connectable.label
        self.path = template.path_of(listen)
        own: dict[str, str | bytes] = {"HOME": folder, "TMPDIR": folder}
        env = ENVIRONMENT | own | connectable.environment
        self.pid: int = witness.start(StartSpec(template.bridge(connectable.argv, listen, connect), env=env))
        try:
            self._wait(listen)
        except BaseException:
            self.stop()
            raise

    def _wait(self, listen: str) -> None:
        """Until it listens, as the kernel says: a connection would be one to the agent already."""
        end = time.monotonic() + START_TIMEOUT
        while not _listens(listen):
            self.check_alive()
            if time.monotonic() > end:
                raise DeadlineExceeded(f"the bridge {self.label} listens within {START_TIMEOUT:g} s", self._stderr())
            time.sleep(0.003)

    def _stderr(self) -> str:
        text: str = self._witness.stderr(self.pid).decode(errors="replace")
        return text[-400:]

    def check_alive(self) -> None:
        """Raise Crash if it ended."""
        status = self._witness.poll(self.pid)
        if status is not None:
            what = f"it {describe_exit(status)}; stderr: {self._stderr()!r}"
            raise Crash(f"the bridge {self.label} lives", f"{what} (the bridge, not the agent)")

    def counts(self) -> tuple[int, int, int] | None:
        """(descriptors, threads, children), None when it is gone."""
        found: tuple[int, int, int] | None = self._witness.counts(self.pid)
        return found

    def stop(self) -> None:
        """Kill it."""
        self._witness.stop(self.pid)


def _listens(address: str) -> bool:
    """Whether somebody listens on `unix:PATH` or `tcp:127.0.0.1:PORT`."""
    kind, _, rest = address.partition(":")
    if kind == "unix":  # flags 00010000: it accepts
        lines = Path("/proc/net/unix").read_text(errors="replace").splitlines()
        return any(line.endswith(f" {rest}") and line.split()[3] == "00010000" for line in lines if rest in line)
    port = f"0100007F:{int(rest.rpartition(':')[2]):04X}"  # state 0A: listening
    return any(f": {port} " in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines())


class Via(Agent):
    """An agent and the bridges before it."""

    def __init__(self, witness: Any, inner: Server | OneShots, folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._witness = witness
        self.inner = inner
        self.bridges: list[Bridge] = []
        self._noted: list[tuple[int, int, int] | None] = []
        self.path = str(self._folder / "bridge.sock")
        self.folders = (*inner.folders, str(self._folder))

    @property
    def serves(self) -> bool:
        """Whether one process of the agent serves all conversations."""
        return isinstance(self.inner, Server)

    @property
    def pid(self) -> int | None:  # type: ignore[override]
        """The agent's."""
        return self.inner.pid

    def pids(self) -> list[int]:
        return [*self.inner.pids(), *(bridge.pid for bridge in self.bridges)]

    def readers(self) -> list[int]:
        return [*(bridge.pid for bridge in self.bridges), *self.inner.readers()]

    def add(self, connectable: Connectable, listen: str, connect: str) -> None:
        """Another bridge. Raises what Bridge does."""
        self.bridges.append(Bridge(self._witness, connectable, listen, connect, str(self._folder)))

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self.path)
        except OSError as error:
            sock.close()
            self.check_bridges()
            raise Crash("the bridge accepts connections", str(error)) from None
        return sock

    def note(self) -> None:
        """What the bridges hold now is what they may hold."""
        self._noted = [bridge.counts() for bridge in self.bridges]

    def held(self) -> str:
        """What the bridges hold beyond that, "" for nothing."""
        told = []
        for bridge, before in zip(self.bridges, self._noted, strict=False):
            named = zip(("descriptors", "threads", "children"), bridge.counts() or (), before or (), strict=False)
            told += [
                f"the bridge {bridge.label} {now} {name} ({was} after warm-up)" for name, now, was in named if now > was
            ]
        return ", ".join(told)

    def check_bridges(self) -> None:
        """Raise Crash if a bridge ended."""
        for bridge in self.bridges:
            bridge.check_alive()

    def blame(self) -> Crash | None:
        """The bridge that ended, if one did: a connection ends before the process does."""
        for bridge in self.bridges:
            self._witness.wait(bridge.pid, 0.2)
        try:
            self.check_bridges()
        except Crash as crash:
            return crash
        return None

    def check_alive(self) -> None:
        self.check_bridges()
        self.inner.check_alive()

    def stop(self) -> None:
        for bridge in self.bridges:
            bridge.stop()
        self.inner.stop()
        for name in os.listdir(self._folder):
            with contextlib.suppress(OSError):
                os.unlink(self._folder / name)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


class HybridShots(OneShots):
    """A hybrid listener whose connections get an agent each."""

    def __init__(self, witness: Any, spec: StartSpec, folder: Path) -> None:
        super().__init__(witness, spec)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self.path = str(self._folder / "hybrid.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1024)
        self._listener.settimeout(START_TIMEOUT)
        self.folders = (str(self._folder),)

    def accept(self) -> None:
        """The bridge's next connection: the handshake, and an agent. Raises DeadlineExceeded, Crash."""
        try:
            theirs = self._listener.accept()[0]
        except TimeoutError:
            raise DeadlineExceeded(f"the bridge dials within {START_TIMEOUT:g} s of its client", "nothing") from None
        with theirs:
            theirs.settimeout(START_TIMEOUT)
            line = b""
            with contextlib.suppress(OSError):
                while not line.endswith(b"\n") and len(line) < LONGEST and (byte := theirs.recv(1)):
                    line += byte
            if line != b"CONNECT %d\n" % PORT:
                raise Crash(f"the bridge's line: CONNECT {PORT}", repr(line))
            theirs.sendall(b"OK 1073741824\n")
            theirs.settimeout(None)
            self.serve(theirs)

    def close(self) -> None:
        """No more connections."""
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


class ViaHybrid(Via):
    """Each connection is followed through the bridge, so that its agent is known."""

    inner: HybridShots

    def connect(self) -> socket.socket:
        sock = super().connect()
        try:
            self.inner.accept()
        except BaseException:
            sock.close()
            self.check_bridges()
            raise
        return sock

    def stop(self) -> None:
        super().stop()
        self.inner.close()


def start(witness: Any, connectable: Connectable, transport: str, spec: StartSpec, folder: Path) -> Agent:
    """An agent, serving, behind its bridges if the transport has them. Raises what server.start() does, and Crash or
    DeadlineExceeded for a bridge that does not come up."""
    if connectable.in_guest:
        return guest.start(witness, spec)
    bridge = connectable.through
    if bridge is None or not transport.startswith("via-"):
        return server.start(witness, connectable, transport, spec, folder)
    made: Via
    if transport == "via-hybrid":
        shots = HybridShots(witness, spec, folder)
        made = ViaHybrid(witness, shots, folder)
        targets = [f"hybrid:{shots.path}:{PORT}"]
    else:
        inner = server.start(witness, connectable, "unix", spec, folder)
        assert isinstance(inner, Server)
        made = Via(witness, inner, folder)
        targets = [f"unix:{inner.path}"]
    try:
        if transport == "via-tcp":
            targets.append(_on_a_free_port(made, bridge, targets[0]))
        made.add(bridge, f"unix:{made.path}", targets[-1])
    except OSError as error:
        made.stop()
        raise CouldNotRun(f"{bridge.text!r} cannot be started: {error}") from None
    except BaseException:
        made.stop()
        raise
    return made


def _on_a_free_port(made: Via, bridge: Connectable, connect: str) -> str:
    """The address of a bridge that listens on a port which nobody else had."""
    for number, port in enumerate(_free_ports(), 1):
        address = f"tcp:127.0.0.1:{port}"
        try:
            made.add(bridge, address, connect)
            return address
        except Crash:
            if number == TRIES:
                raise
    raise AssertionError("unreachable")


def _free_ports() -> Iterator[int]:
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
