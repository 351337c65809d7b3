"""The guest's rings on one side, streams on the other: moves packets while both have room.

A pass does a bounded amount of work, so that neither a guest nor a client can keep the loop to itself.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from guestwire.vm.memory import QueueError
from guestwire.vm.packet import SIZE, TRANSPORT_RESET
from guestwire.vm.plan import Plan
from guestwire.vm.stream import Stream
from guestwire.vm.vhost_user import RX, TX, Device
from guestwire.vm.virtqueue import Place, Virtqueue, scatter, split
from guestwire.vm.vsock import Connection, Event, State, Switch

CONNECT_SECONDS: Final = 5.0  # for the guest's answer to a request
CLOSE_SECONDS: Final = 8.0  # for the guest's RST after a full SHUTDOWN, as Linux has it
_PASS = 128  # packets of each kind in a pass
_MOST_OUTGOING = 1024  # beyond, the guest's packets wait until it has taken the answers to the earlier ones


class Hub:
    """All streams of one guest. `call` opens the socket of a service of the host's, by port, or raises OSError; `watch` is
    told of new streams, and of those that wait for their socket to take more."""

    def __init__(self, guest_cid: int, call: Callable[[int], socket.socket], watch: Callable[[Stream], None]) -> None:
        self.switch = Switch(guest_cid)
        self.device: Device | None = None
        self.opened = self.from_guest = self.to_guest = 0  # connections, packets, packets
        self._call = call
        self._watch = watch
        self._line: deque[Stream] = deque()  # streams with data for the guest

    # ---- the host's side

    def connect(self, stream: Stream, guest_port: int) -> None:
        """Ask the guest for a connection. Raises ValueError."""
        plan = stream.plan
        connection = self.switch.open(guest_port, plan.host_cid, plan.host_port, plan.buffer)
        connection.owner, stream.connection = stream, connection

    def line_up(self, stream: Stream) -> None:
        """The stream may have data that the guest has credit for."""
        if stream.readable and not stream.queued and not stream.closed:
            stream.queued = True
            self._line.append(stream)

    def end_all(self) -> None:
        """The guest has forgotten all connections."""
        for connection in self.switch.clear():
            if connection.owner is not None:
                connection.owner.ended_by_guest()

    def expire(self, now: float) -> None:
        """End what has waited for too long. `now` is monotonic."""
        for connection in list(self.switch.connections.values()):
            stream: Stream = connection.owner
            if connection.state is State.OPEN:
                stream.deadline = None
            elif stream.deadline is None:
                stream.deadline = now + (CLOSE_SECONDS if connection.state is State.CLOSING else CONNECT_SECONDS)
            elif stream.deadline <= now:
                connection.reset()
                stream.close()

    def transport_reset(self, place: Place) -> None:
        """Raise the event that a restored guest gets, in the event queue that lies at `place`. Raises QueueError.

        The front end keeps that queue to itself, but its rings are in the guest's memory, too, and the interrupt of the
        receive queue makes the guest look at all of them.
        """
        device = self.device
        if device is None or not device.running:
            raise QueueError("no guest's driver runs")
        queue = Virtqueue(device.memory, place, 0, writable=True)
        queue.position = queue.given
        chain = queue.take()
        if chain is None:
            raise QueueError("the guest has no buffer for an event")
        scatter(chain[1], TRANSPORT_RESET)
        queue.give(chain[0], len(TRANSPORT_RESET))
        self.end_all()
        queue.publish(device.rings[RX].call)

    # ---- the guest's side

    def work(self) -> bool:
        """A pass. Return: whether there may be more to do at once. Raises QueueError."""
        device = self.device
        if device is None or not device.running:
            return False
        receive, transmit = device.rings[RX], device.rings[TX]
        assert receive.queue is not None
        assert transmit.queue is not None
        before = receive.queue.position, transmit.queue.position
        try:
            self._take(transmit.queue)
            self._give(receive.queue)
        finally:
            transmit.queue.publish(transmit.call)
            receive.queue.publish(receive.call)
        return before != (receive.queue.position, transmit.queue.position)

    def _take(self, queue: Virtqueue) -> None:
        outgoing = self.switch.outgoing
        for _ in range(_PASS):
            if len(outgoing) >= _MOST_OUTGOING:
                return
            chain = queue.take()
            if chain is None:
                return
            head, buffers = chain
            header, payload = split(buffers, SIZE)
            present = sum(map(len, payload))
            event, connection, length = self.switch.receive(
                header[0] if len(header) == 1 else b"".join(header), present
            )
            if connection is not None:
                self._react(event, connection, payload, length)
            queue.give(head, 0)
            self.from_guest += 1

    def _react(self, event: Event, connection: Connection, payload: list[memoryview], length: int) -> None:
        stream: Stream = connection.owner
        if event is Event.DATA:
            stream.deliver(payload, length)
            if stream.waits and not stream.watched:
                self._watch(stream)
        elif event is Event.OPENED:
            self.opened += 1
            stream.answer(f"OK {connection.host_port}\n".encode())
        elif event is Event.ASKED:
            self._answer(connection)
            return
        elif event is Event.SHUT:
            stream.shut_by_guest()
        elif event is Event.ENDED:
            stream.ended_by_guest()
        if stream.readable:
            self.line_up(stream)

    def _answer(self, connection: Connection) -> None:
        try:
            link = self._call(connection.host_port)
        except OSError:
            connection.reset()
            return
        self.opened += 1
        connection.owner = stream = Stream(link, Plan())
        stream.connection = connection
        connection.accept()
        self._watch(stream)

    def _give(self, queue: Virtqueue) -> None:
        start = queue.position
        self._speak(queue)
        for _ in range(len(self._line)):
            stream = self._line[0]
            if not queue.ahead(1) or (queue.position - start) & 0xFFFF >= _PASS:
                break
            self._line.popleft()
            if stream.pull(queue):
                self._line.append(stream)
            else:
                stream.queued = False
        self._speak(queue)  # clients may have ended
        self.to_guest += (queue.position - start) & 0xFFFF

    def _speak(self, queue: Virtqueue) -> None:
        outgoing = self.switch.outgoing
        while outgoing:
            chain = queue.take()
            if chain is None:
                return
            head, buffers = chain
            queue.give(head, scatter(buffers, outgoing.popleft()))
