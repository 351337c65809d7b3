"""The backend's control socket: a JSON object a line, answered by one: {"ok": ...} or {"error": "..."}. The orders are
the methods of _Orders; faults.py is the client."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestwire.vm.memory import QueueError
from guestwire.vm.plan import Plan
from guestwire.vm.virtqueue import Place
from guestwire.vm.vsock import Connection

if TYPE_CHECKING:
    from guestwire.vm.backend import Backend

_LONGEST = 1 << 20  # bytes in a line


class Control:
    """One client of the control socket."""

    def __init__(self, backend: Backend, link: socket.socket) -> None:
        self._orders = _Orders(backend)
        self._link = link
        self._data = b""

    @classmethod
    def accept(cls, backend: Backend, link: socket.socket) -> None:
        """Serve a client that has connected."""
        link.setblocking(False)
        backend.handle(link, cls(backend, link)._read)

    def _read(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    piece = self._link.recv(1 << 16)
                except ConnectionError:
                    piece = b""
                if not piece or len(self._data) > _LONGEST:
                    self._link.close()
                    return
                self._data += piece
                *lines, self._data = self._data.split(b"\n")
                for line in lines:
                    self._answer(line)

    def _answer(self, line: bytes) -> None:
        try:
            order = json.loads(line)
            answer = {"ok": getattr(self._orders, order.pop("do"))(**order)}
        except (ValueError, TypeError, LookupError, AttributeError, OSError, QueueError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(OSError):
            self._link.sendall(json.dumps(answer).encode() + b"\n")


class _Orders:
    """Each public method is an order; its parameters are the object's members."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def _connections(self, path: str) -> list[Connection]:
        plan = self._backend.listeners[Path(path)]
        everything = self._backend.hub.switch.connections.values()
        return [each for each in everything if each.owner is not None and each.owner.plan is plan]

    def listen(self, path: str, **plan: Any) -> None:
        """Open a hybrid listener whose connections go as planned."""
        self._backend.listen(Path(path), Plan(**plan))

    def unlisten(self, path: str) -> None:
        """Close it."""
        if Path(path) not in self._backend.listeners:
            raise LookupError(f"no listener at {path}")
        self._backend.unlisten(Path(path))

    def reset(self, path: str) -> int:
        """RST for all connections of a listener. Answers how many there were."""
        connections = self._connections(path)
        for connection in connections:
            connection.reset()
            connection.owner.close()
        return len(connections)

    def withhold(self, path: str, withheld: bool) -> int:
        """Tell the guest of no more credit on any of a listener's connections, or do so again."""
        connections = self._connections(path)
        for connection in connections:
            connection.withhold(withheld)
        return len(connections)

    def packet(self, data: str) -> None:
        """Send these bytes (hexadecimal) to the guest as a packet."""
        self._backend.hub.switch.outgoing.append(bytes.fromhex(data))

    def transport_reset(self, size: int, descriptors: int, available: int, used: int) -> None:
        """Raise the event in the queue that lies there (guest-physical addresses); all connections end."""
        self._backend.hub.transport_reset(Place(size, descriptors, available, used))

    def patience(self, seconds: float) -> None:
        """How long connections outlive a stop of the device."""
        self._backend.patience = float(seconds)

    def facts(self) -> dict[str, Any]:
        """What there is."""
        hub = self._backend.hub
        device = hub.device
        return {
            "running": device is not None and device.running,
            "failure": None if device is None else device.failure,
            "opened": hub.opened,
            "packets_from_guest": hub.from_guest,
            "packets_to_guest": hub.to_guest,
            "connections": [_fact(connection) for connection in hub.switch.connections.values()],
        }


def _fact(connection: Connection) -> dict[str, Any]:
    return {
        "host_port": connection.host_port,
        "guest_port": connection.guest_port,
        "state": connection.state.value,
        "sent": connection.sent,
        "received": connection.received,
        "credit": connection.credit,
        "pending": connection.owner.pending if connection.owner is not None else 0,
    }
