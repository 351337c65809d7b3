"""Scripted services for a readiness gate to look at: a listener each, with a thread for every visit, and a record of what came.

What a service does to a visit is an act: a function of the Visit, run in a thread of its own. The acts of a service are for its
first, second, ... visit; the last one is for all that follow. After its act a visit lasts until the gate leaves.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from guestwire.judge.outcome import CouldNotRun, DeadlineExceeded

LONGEST = 60.0  # seconds that a visit may last: no case does
HYBRID_PORT = 1024
VSOCK_HOST = 2  # the CID of the host, as a guest has it
FORMS = ("tcp", "tcp6", "unix", "hybrid")  # what any machine has; vsock is a guest's
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset


class Gone(Exception):
    """The gate has left."""


@dataclass
class Visit:
    """One connection. Times are monotonic seconds; `ended` is when the gate closed its end, None while it has not."""

    sock: socket.socket
    peer: str
    began: float
    ended: float | None = None
    received: bytearray = field(default_factory=bytearray)

    def send(self, data: bytes) -> None:
        """Raises Gone."""
        try:
            self.sock.sendall(data)
        except OSError:
            self._left()

    def pause(self, seconds: float) -> None:
        """Read what comes for so long. Raises Gone."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.sock], [], [], left)[0]:
                self.read()

    def read(self) -> None:
        """Read something. Raises Gone."""
        try:
            data = self.sock.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._left()
        self.received += data

    def read_until(self, end: bytes) -> None:
        """Raises Gone."""
        while end not in self.received:
            self.read()

    def _left(self) -> None:
        if self.ended is None:
            self.ended = time.monotonic()
        raise Gone

    def close(self, reset: bool = False) -> None:
        """Hang up."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


Act = Callable[[Visit], None]


def silent(visit: Visit) -> None:
    """Says nothing."""


def hangs_up(visit: Visit) -> None:
    """Accepts and closes."""
    visit.close()


def resets(visit: Visit) -> None:
    """Accepts, and resets once the gate may have come to read; on a Unix socket that is a close with something unread."""
    visit.pause(0.05)
    visit.close(reset=True)


def says(*pieces: bytes, every: float = 0.0) -> Act:
    """Says these pieces, a send for each, with a pause between them."""

    def act(visit: Visit) -> None:
        for index, piece in enumerate(pieces):
            if index and every:
                visit.pause(every)
            visit.send(piece)

    return act


def bytewise(data: bytes, every: float = 0.0) -> Act:
    """Says it byte by byte."""
    return says(*(bytes([byte]) for byte in data), every=every)


def then_hangs_up(act: Act) -> Act:
    """Does that, and closes."""

    def both(visit: Visit) -> None:
        act(visit)
        visit.close()

    return both


def asked(act: Act, end: bytes) -> Act:
    """Does that once what came has `end` in it."""

    def when_asked(visit: Visit) -> None:
        visit.read_until(end)
        act(visit)

    return when_asked


class Service:
    """A listener that plays its acts. `target` is what a gate is given to look at."""

    def __init__(self, form: str, place: str, acts: Iterable[Act], port: int = 0, listening: bool = True) -> None:
        """`place` is a path (unix, hybrid) or an address (tcp, tcp6); for vsock the path of a backend's for those who dial this
        port of the host's (vm/backend.py)."""
        self.form = form
        self.place = place
        self.port = port
        self.visits: list[Visit] = []
        self._acts = list(acts)
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = self._made()
        if form.startswith("tcp"):
            self._bind()
        if listening:
            self.open()

    @property
    def target(self) -> str:
        if self.form == "vsock":
            return f"vsock:{VSOCK_HOST}:{self.port}"
        if self.form == "unix":
            return f"unix:{self.place}"
        if self.form == "hybrid":
            return f"hybrid:{self.place}:{HYBRID_PORT}"
        return f"tcp:[{self.place}]:{self.port}" if self.form == "tcp6" else f"tcp:{self.place}:{self.port}"

    def _made(self) -> socket.socket:
        family = {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6}.get(self.form, socket.AF_UNIX)
        listener = socket.socket(family)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return listener

    def _bind(self) -> None:
        try:
            self._listener.bind((self.place, self.port))
        except OSError as error:
            self._listener.close()
            raise CouldNotRun(f"no listener at {self.place}: {error}; the loopback interface has to have it") from None
        self.port = self._listener.getsockname()[1]

    def open(self) -> None:
        """Listen, if it does not yet."""
        if not self.form.startswith("tcp"):
            self._listener.bind(self.place)
        self._listener.listen(64)
        self._spawn(self._accept)

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            sock.settimeout(LONGEST)
            if self.form.startswith("tcp"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            visit = Visit(sock, str(peer[0]) if peer else "", time.monotonic())
            act = self._acts[min(len(self.visits), len(self._acts) - 1)]
            self.visits.append(visit)
            self._spawn(lambda visit=visit, act=act: self._play(visit, act))  # type: ignore[misc]

    def _play(self, visit: Visit, act: Act) -> None:
        with contextlib.suppress(Gone, OSError, ValueError):  # a ValueError: closed meanwhile
            if self.form == "hybrid":
                visit.read_until(b"\n")
                visit.send(b"OK 1073741824\n")
            act(visit)
            while visit.sock.fileno() >= 0:
                visit.read()

    # ---- what a case asks

    def visited(self, count: int = 1, within: float = 10.0) -> list[Visit]:
        """The visits, once there are so many. Raises DeadlineExceeded."""
        self._wait(lambda: len(self.visits) >= count, within, f"{count} connections to {self.target}")
        return self.visits

    def left(self, within: float = 10.0) -> list[Visit]:
        """The visits, once the gate has closed every one that the service has not. Raises DeadlineExceeded."""
        self._wait(self.is_left, within, f"every connection to {self.target} closed by the gate")
        return self.visits

    def is_left(self) -> bool:
        """Whether there was a visit and none lasts."""
        return bool(self.visits) and all(v.ended is not None or v.sock.fileno() < 0 for v in self.visits)

    def _wait(self, condition: Callable[[], bool], within: float, what: str) -> None:
        until = time.monotonic() + within
        while not condition():
            if time.monotonic() > until:
                raise DeadlineExceeded(f"{what} within {within:g} s", f"{len(self.visits)} connections came")
            time.sleep(0.002)

    def close(self) -> None:
        """End everything."""
        self._closed.set()
        for sock in (self._listener, *(visit.sock for visit in self.visits)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept() or recv(), as close() alone would not
            with contextlib.suppress(OSError):
                sock.close()
        for thread in self._threads:
            thread.join(1)
        if not self.form.startswith("tcp"):
            with contextlib.suppress(OSError):
                os.unlink(self.place)
