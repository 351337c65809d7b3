"""The host's side of a guest's vsock, for cases about programs in that guest: ports of this host's and of the guest's.

Who dials `vsock:2:PORT` in the guest comes to a Unix socket here, which is the backend's name for that port; who dials a port of
the guest's from here goes through the backend's hybrid socket. Both ends are Unix sockets here, and AF_VSOCK in the guest.
"""

from __future__ import annotations

import socket
import time

from guestwire.drive.guest import PROGRAM, FarWitness
from guestwire.drive.program import Program
from guestwire.judge.outcome import DeadlineExceeded

HOST, LOOPBACK, OWN = 2, 1, 3  # CIDs as the guest has them
PATIENCE = (
    20.0  # seconds for what takes an emulated guest, which several cases share, up to two: the start of an interpreter
)
SLOW = 60.0  # seconds for a case that waits for several of these


class FarSide:
    """Of the guest that a case's program is in."""

    def __init__(self, program: Program) -> None:
        assert isinstance(program.witness, FarWitness)
        self._program = program
        self._witness = program.witness

    def port(self) -> int:
        """One that no other case of this run uses, here or there."""
        return next(self._witness.ports)

    def path(self, port: int) -> str:
        """Where those come who dial this port of the host's."""
        return f"{self._witness.world.hybrid}_{port}"

    def dial(self, port: int) -> socket.socket:
        """A connection to this port of the guest. Raises ConnectionRefusedError, TimeoutError."""
        try:
            return self._witness.world.connect(port)
        except TimeoutError:
            raise
        except OSError as error:  # where the guest refuses, the backend closes
            raise ConnectionRefusedError(str(error)) from None

    def dial_patiently(self, port: int) -> socket.socket:
        """The same once somebody listens there. Raises DeadlineExceeded."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self.dial(port)
            except OSError as error:
                if time.monotonic() > end:
                    what = f"port {port} of the guest listened on within {PATIENCE:g} s"
                    raise DeadlineExceeded(what, str(error)) from None
                time.sleep(0.02)

    def talk(self, cid: int, port: int, data: bytes) -> tuple[bytes, str]:
        """What a process of the guest gets there for these bytes once somebody listens, and how it ends."""
        end = time.monotonic() + PATIENCE
        while True:
            said, ended = self._witness.talk(cid, port, data)
            if ended != "ECONNRESET" or said or time.monotonic() > end:
                return said, ended
            time.sleep(0.02)

    def agent(self, port: int, **env: str) -> None:
        """An agent in the guest on this port, which serves the guest's own processes too. Killed with the case."""
        self._program.helper((PROGRAM, "--listen", f"vsock:{port}", "--allow-cid", "any"), env=env)
