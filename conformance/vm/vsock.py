"""The host's end of virtio-vsock streams. No I/O in here: headers of the guest's packets go in, events and headers to send come
out; whoever moves the bytes asks `credit` before and tells `taken` after.

States of a connection: CONNECTING (we asked), ASKED (the guest asked), OPEN, CLOSING (we sent a full SHUTDOWN and wait for RST),
ENDED (forgotten).
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Any, Final

from guestwire.vm.packet import (
    BOTH,
    CREDIT_REQUEST,
    CREDIT_UPDATE,
    HEADER,
    HOST_CID,
    MODULO,
    REQUEST,
    RESPONSE,
    RST,
    RW,
    SEND,
    SHUTDOWN,
    STREAM,
)  # fmt: skip

BUFFER: Final = 256 * 1024  # bytes of credit for the guest on each connection; Linux's default as well
_FIRST_PORT: Final = 1 << 30
_LAST_PORT: Final = MODULO - 1  # the highest number stands for "any"


class State(enum.Enum):
    CONNECTING = "connecting"
    ASKED = "asked"
    OPEN = "open"
    CLOSING = "closing"
    ENDED = "ended"


class Event(enum.Enum):
    """What a packet of the guest's means. Any of them may have brought credit."""

    NOTHING = "nothing"
    ASKED = "asked"  # the guest opens a connection: accept() or reset() it
    OPENED = "opened"
    DATA = "data"  # payload for the host's side
    CREDIT = "credit"
    SHUT = "shut"  # peer_shut has grown
    ENDED = "ended"  # reset by the guest, or by us because the guest broke the rules


class Connection:
    """One stream."""

    def __init__(self, switch: Switch, address: tuple[int, int, int], state: State, buffer: int) -> None:
        self._switch = switch
        self.host_cid, self.host_port, self.guest_port = address
        self.state = state
        self.buffer = buffer
        self.owner: Any = None  # the caller's
        self.sent = self.received = 0  # bytes
        self._forwarded = self._told = 0  # of `received`, disposed of, and what the guest knows about that
        self._withheld = False
        self.peer_alloc = self.peer_forwarded = 0
        self.shut = self.peer_shut = 0  # RECEIVE and SEND: what SHUTDOWN packets have said

    @property
    def address(self) -> tuple[int, int, int]:
        """Host's CID, host's port, guest's port."""
        return self.host_cid, self.host_port, self.guest_port

    @property
    def credit(self) -> int:
        """Bytes that may be sent now."""
        if self.state is not State.OPEN:
            return 0
        return max(0, self.peer_alloc - ((self.sent - self.peer_forwarded) & MODULO))

    def header(self, operation: int, flags: int = 0, length: int = 0) -> bytes:
        """A packet's header; every one tells the guest its credit."""
        if not self._withheld:
            self._told = self._forwarded
        return HEADER.pack(
            self.host_cid, self._switch.guest_cid, self.host_port, self.guest_port, length, STREAM, operation, flags,
            self.buffer, self._told & MODULO,
        )  # fmt: skip

    def data(self, length: int) -> bytes:
        """The header for `length` bytes, which count as sent."""
        self.sent += length
        return self.header(RW, 0, length)

    def accept(self) -> None:
        """Let the guest in that asked."""
        self.state = State.OPEN
        self._send(RESPONSE)

    def taken(self, count: int) -> None:
        """`count` more bytes of the guest's were disposed of; tell it when a quarter of its credit has come together."""
        self._forwarded += count
        if 4 * (self._forwarded - self._told) >= self.buffer and not self._withheld and not self.peer_shut & SEND:
            self._send(CREDIT_UPDATE)

    def withhold(self, withheld: bool) -> None:
        """From now on tell the guest of no more credit, or do so again."""
        self._withheld = withheld
        if not withheld and self.state is State.OPEN:
            self._send(CREDIT_UPDATE)

    def shutdown(self, flags: int) -> None:
        """We receive no more, send no more, or both, which ends in a RST of the guest's."""
        if self.state is not State.OPEN or self.shut | flags == self.shut:
            return
        self.shut |= flags
        if self.shut == BOTH:
            self.state = State.CLOSING
        self._send(SHUTDOWN, self.shut)

    def reset(self) -> None:
        """End it at once. A request that the guest has not seen yet is taken back instead."""
        if self.state is State.ENDED:
            return
        outgoing = self._switch.outgoing
        request = self.header(REQUEST)
        if self.state is State.CONNECTING and request in outgoing:
            outgoing.remove(request)
        else:
            self._send(RST)
        self.end()

    def end(self) -> None:
        """Forget it without a word."""
        self.state = State.ENDED
        self._switch.connections.pop(self.address, None)

    def receive(self, operation: int, flags: int, length: int, alloc: int, forwarded: int) -> Event:
        """A packet of the guest's, with `length` bytes of payload."""
        self.peer_alloc, self.peer_forwarded = alloc, forwarded
        if operation == RST:
            self.end()
            return Event.ENDED
        if self.state is State.OPEN or self.state is State.CLOSING:
            if operation == RW:
                return self._data(length)
            if operation == CREDIT_UPDATE:
                return Event.CREDIT
            if operation == CREDIT_REQUEST:
                self._send(CREDIT_UPDATE)
                return Event.CREDIT
            if operation == SHUTDOWN:
                self.peer_shut |= flags & BOTH
                if self.state is State.OPEN:
                    return Event.SHUT
                if self.peer_shut != BOTH:
                    return Event.NOTHING
        elif self.state is State.CONNECTING and operation == RESPONSE:
            self.state = State.OPEN
            return Event.OPENED
        self.reset()
        return Event.ENDED

    def _data(self, length: int) -> Event:
        self.received += length
        if self.received - self._told > self.buffer or self.peer_shut & SEND:
            self.reset()
            return Event.ENDED
        return Event.DATA if self.state is State.OPEN else Event.NOTHING

    def _send(self, operation: int, flags: int = 0) -> None:
        self._switch.outgoing.append(self.header(operation, flags))


class Switch:
    """All connections of one guest. `outgoing` holds packets to send before any data."""

    def __init__(self, guest_cid: int) -> None:
        self.guest_cid = guest_cid
        self.connections: dict[tuple[int, int, int], Connection] = {}
        self.outgoing: deque[bytes] = deque()
        self._port = _FIRST_PORT

    def open(
        self, guest_port: int, host_cid: int = HOST_CID, host_port: int | None = None, buffer: int = BUFFER
    ) -> Connection:
        """Ask the guest for a connection. Raises ValueError if there is no such port, or `host_port` has a connection already."""
        if not 0 <= guest_port <= MODULO:
            raise ValueError(f"port {guest_port}")
        if host_port is None:
            host_port = self._free(host_cid, guest_port)
        address = (host_cid, host_port, guest_port)
        if address in self.connections:
            raise ValueError(f"there is a connection from {host_cid}:{host_port} to port {guest_port}")
        connection = self.connections[address] = Connection(self, address, State.CONNECTING, buffer)
        self.outgoing.append(connection.header(REQUEST))
        return connection

    def _free(self, cid: int, guest_port: int) -> int:
        while True:
            self._port = self._port + 1 if self._port < _LAST_PORT else _FIRST_PORT
            if (cid, self._port, guest_port) not in self.connections:
                return self._port

    def receive(self, header: bytes | memoryview, present: int) -> tuple[Event, Connection | None, int]:
        """A packet of the guest's, behind whose header stand `present` bytes. Return: what it means, for whom, and how many bytes
        of payload it has."""
        source, cid, guest_port, port, length, kind, operation, flags, alloc, forwarded = HEADER.unpack(header)
        if source != self.guest_cid:
            return Event.NOTHING, None, 0  # not ours to answer
        connection = self.connections.get((cid, port, guest_port))
        if kind == STREAM and length <= present and (length == 0 or operation == RW):
            if connection is not None:
                return connection.receive(operation, flags, length, alloc, forwarded), connection, length
            if operation == REQUEST and cid == HOST_CID:
                connection = Connection(self, (cid, port, guest_port), State.ASKED, BUFFER)
                connection.peer_alloc, connection.peer_forwarded = alloc, forwarded
                self.connections[connection.address] = connection
                return Event.ASKED, connection, 0
        elif connection is not None:
            connection.reset()
            return Event.ENDED, connection, 0
        if operation != RST:
            self.outgoing.append(HEADER.pack(cid, source, port, guest_port, 0, kind, RST, 0, 0, 0))
        return Event.NOTHING, None, 0

    def clear(self) -> list[Connection]:
        """The guest has forgotten everything. Return: the connections that ended so, which are all but those that it has not
        been asked for yet."""
        waiting = set(self.outgoing)
        self.outgoing.clear()
        ended = []
        for connection in list(self.connections.values()):
            request = connection.header(REQUEST)
            if connection.state is State.CONNECTING and request in waiting:
                self.outgoing.append(request)
            else:
                connection.end()
                ended.append(connection)
        return ended
