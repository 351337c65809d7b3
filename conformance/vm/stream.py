"""One client of the guest's, or one service that the guest has called: a Unix socket, and the connection it is the host's end of.

Data for the client that its socket does not take waits here, never more than the connection's buffer, because the guest gets
credit only for what the socket has taken. Data for the guest waits in the socket until the guest has room.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections import deque
from typing import Final

from guestwire.vm.memory import QueueError
from guestwire.vm.packet import BOTH, RECEIVE, SEND, SIZE
from guestwire.vm.plan import Plan
from guestwire.vm.virtqueue import Virtqueue, scatter, split
from guestwire.vm.vsock import Connection, State

MOST_AT_ONCE: Final = 64 * 1024  # bytes read for one client before the next has its turn
_POLL_HUP = select.POLLHUP


class Stream:
    """A connection's Unix side."""

    def __init__(self, link: socket.socket, plan: Plan) -> None:
        """`link` does not block; this owns it."""
        self.socket = link
        self.plan = plan
        self.connection: Connection | None = None  # None until the client has said where to
        self.deadline: float | None = None  # of a state that must not last
        self.known = self.watched = (
            False  # somebody waits for the socket's events; calls `flush` when the socket can be written to
        )
        self.readable = self.queued = False  # may have data for the guest; stands in the line of those that do
        self.eof = self.hung = False  # the client sends no more; has closed
        self.closed = False
        self._ended = False  # the guest's end is gone: close when all is flushed
        self._pending: deque[memoryview | bytes] = deque()
        self._burst = 1

    @property
    def waits(self) -> bool:
        """Whether `flush` is wanted when the socket can be written to."""
        return bool(self._pending) and not self.closed

    @property
    def pending(self) -> int:
        """Bytes that wait for the client."""
        return sum(map(len, self._pending))

    # ---- the guest's data, to the client

    def answer(self, line: bytes) -> None:
        """Our own word, before any of the guest's."""
        with contextlib.suppress(OSError):
            self.socket.send(line)

    def deliver(self, views: list[memoryview], length: int) -> None:
        """`length` bytes that stand in `views`, which are valid only now."""
        for view in views:
            piece = view if len(view) <= length else view[:length]
            length -= len(piece)
            if not self._pending:
                piece = piece[self._write(piece) :]
            if piece and not self.closed:
                self._pending.append(bytes(piece))
            if not length:
                return

    def flush(self) -> None:
        """Write what waits, then pass on what the guest has said after it."""
        while self._pending and not self.closed:
            piece = self._pending[0]
            done = self._write(piece)
            if done < len(piece):
                if done and self._pending:
                    self._pending[0] = memoryview(piece)[done:]
                return
            if self._pending:
                self._pending.popleft()
        self._settle()

    def _write(self, piece: memoryview | bytes) -> int:
        """Return: how much is disposed of: written, or dropped because nobody will read it."""
        try:
            done = self.socket.send(piece)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the client reads no more
            self._pending.clear()
            if self.connection is not None:
                self.connection.shutdown(RECEIVE)
            return len(piece)
        if self.connection is not None:
            self.connection.taken(done)
        return done

    def shut_by_guest(self) -> None:
        """The guest receives or sends no more."""
        connection = self.connection
        if connection is not None and connection.peer_shut & RECEIVE:
            self._shut(socket.SHUT_RD)
        self._settle()

    def ended_by_guest(self) -> None:
        """The guest, or the device, has reset the connection."""
        self._ended = True
        self._settle()

    def _settle(self) -> None:
        connection = self.connection
        if self._pending or self.closed:
            return
        if self._ended or connection is None:
            self.close()
        elif connection.peer_shut == BOTH:
            connection.reset()
            self.close()
        elif connection.peer_shut & SEND:
            self._shut(socket.SHUT_WR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(how)

    def close(self) -> None:
        """The client reads the end of what it got: first drop what it has sent, or it would read ECONNRESET."""
        if not self.closed:
            self.closed = True
            self._pending.clear()
            self._shut(socket.SHUT_RD)
            with contextlib.suppress(OSError):
                while self.socket.recv(MOST_AT_ONCE):
                    pass
            self.socket.close()

    # ---- the client's data, to the guest

    def hang_up(self) -> None:
        """The client has closed. What it sent before is still the guest's."""
        self.hung = True
        if self.connection is None or self.connection.state is State.CONNECTING:
            self._abandon()
        elif self.eof or self.connection.peer_shut & RECEIVE:
            self._finish()

    def _abandon(self) -> None:
        if self.connection is not None:
            self.connection.reset()
        self.close()

    def _finish(self) -> None:
        """The client has closed and all of its data is with the guest."""
        if self.connection is not None:
            self.connection.shutdown(BOTH)
        self.close()

    def pull(self, ring: Virtqueue) -> bool:
        """Move the client's data into the guest's receive buffers. Return: whether to come again as soon as the guest has
        buffers; else wait for credit, or for the client. Raises QueueError."""
        connection = self.connection
        if self.closed or self.eof or connection is None or not self.readable or connection.peer_shut & RECEIVE:
            return False
        budget = connection.credit
        if self.plan.reset_after is not None:
            budget = min(budget, self.plan.reset_after - connection.sent)
        if not budget:
            self._look_for_end(connection)
            return False
        if not ring.ahead(self._burst):
            return True
        views, rooms = self._room(ring, budget)
        try:
            count = self.socket.recvmsg_into(views)[0]
        except (BlockingIOError, InterruptedError):
            self.readable = False
            return False
        except OSError:  # ECONNRESET: the client closed with data of the guest's unread
            count = 0
        if not count:
            self._end_of_client()
            return False
        self._burst = min(2 * len(rooms), 16) if count == sum(rooms) else 1
        self._send(ring, count, rooms)
        return not self.closed

    def _room(self, ring: Virtqueue, budget: int) -> tuple[list[memoryview], list[int]]:
        """Where to read `budget` bytes to, and how many bytes of that are in each of the chains that wait."""
        views: list[memoryview] = []
        rooms: list[int] = []
        most = self.plan.fragment or MOST_AT_ONCE
        for _, (_, buffers) in zip(range(self._burst), ring.chains, strict=False):
            room = 0
            for view in split(buffers, SIZE)[1]:
                piece = view[: min(most - room, budget)]
                if piece:
                    views.append(piece)
                    room += len(piece)
                    budget -= len(piece)
            if not room:
                raise QueueError("a receive buffer without room for data")
            rooms.append(room)
            if not budget:
                break
        return views, rooms

    def _send(self, ring: Virtqueue, count: int, rooms: list[int]) -> None:
        connection = self.connection
        assert connection is not None
        for room in rooms:
            chain = ring.take()
            assert chain is not None
            head, buffers = chain
            length = min(room, count)
            header = connection.data(length)
            if len(buffers[0]) >= SIZE:
                buffers[0][:SIZE] = header
            else:
                scatter(buffers, header)
            ring.give(head, SIZE + length)
            count -= length
            if not count:
                break
        if self.plan.reset_after is not None and connection.sent >= self.plan.reset_after:
            connection.reset()
            self.close()

    def _look_for_end(self, connection: Connection) -> None:
        """The guest has no room. It is to know all the same that the client is gone."""
        try:
            if not self.socket.recv(1, socket.MSG_PEEK):
                self._end_of_client()
        except (BlockingIOError, InterruptedError):
            self.readable = False
        except OSError:
            self._end_of_client()
        if self.hung:
            connection.shutdown(RECEIVE)

    def _end_of_client(self) -> None:
        self.eof = True
        if self.hung or _has_hung_up(self.socket):
            self._finish()
        elif self.connection is not None:
            self.connection.shutdown(SEND)


def _has_hung_up(link: socket.socket) -> bool:
    """Whether the client has closed, not only shut down its sending side."""
    poller = select.poll()
    poller.register(link, 0)
    return any(events & _POLL_HUP for _, events in poller.poll(0))
