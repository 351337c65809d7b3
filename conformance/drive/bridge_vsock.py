"""The bench for a bridge in a guest: its clients and what it dials are this host's, over the guest's vsock device."""

from __future__ import annotations

import socket
import time
from typing import Any

from guestwire.drive.bridge import Bridge, BridgeBench
from guestwire.drive.bridge_guest import Guest
from guestwire.drive.far_side import HOST, PATIENCE, FarSide
from guestwire.drive.link import Link
from guestwire.drive.program import Program, Running
from guestwire.judge.outcome import DeadlineExceeded

SETTLED = 0.2  # seconds without a change in what the bridge holds


class Dialled(Guest):
    """What the bridge dials: a port of this host's."""

    def __init__(self, program: Program, path: str, port: int) -> None:
        super().__init__(program, "vsock")
        self._path = path
        self._port = port

    @property
    def address(self) -> str:
        return f"vsock:{HOST}:{self._port}"


class VsockBench(BridgeBench):
    """Given to a case as `bridge`, in a guest."""

    def __init__(self, program: Program) -> None:
        self.far = FarSide(program)
        super().__init__(program, "vsock-vsock")

    def make_guest(self) -> Dialled:
        return self.dialled(self.far.port())

    def dialled(self, port: int) -> Dialled:
        """A guest at this port of the host's."""
        return Dialled(self.program, self.far.path(port), port)

    def place(self, kind: str) -> str:  # noqa: ARG002
        return f"vsock:{self.far.port()}"

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self.listen.rpartition(":")[2])

    def connect_once(self, address: str) -> socket.socket:
        return self.far.dial(int(address.rpartition(":")[2]))

    def client(self, address: str | None = None, running: Running | None = None, within: float = PATIENCE) -> Link:
        return super().client(address, running, within)

    def refuses(self, command: tuple[str, ...], status: int, within: float = PATIENCE, **conditions: Any) -> str:
        return super().refuses(command, status, within, **conditions)

    def await_listening(self, bridge: Bridge) -> None:
        """Only a client can tell: one comes and goes, and then it holds what it holds when nobody uses it. The guest has to
        listen."""
        client = self.client(bridge.listen, bridge.running)
        guest = self.guest.accept()
        client.close()
        guest.closed_in_full(PATIENCE)
        guest.close()
        self._settle(bridge)
        bridge.running.serves()

    def _settle(self, bridge: Bridge) -> None:
        before, since = self.witness.counts(bridge.pid), time.monotonic()
        end = since + PATIENCE
        while time.monotonic() - since < SETTLED:
            time.sleep(0.02)
            now = self.witness.counts(bridge.pid)
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() > end:
                raise DeadlineExceeded(f"what the bridge holds the same for {SETTLED:g} s", str(now))
