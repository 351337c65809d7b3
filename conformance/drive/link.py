"""One end of a connection as a bridge's case holds it: the client's, or the guest's. Every wait has a deadline."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from guestwire.judge.outcome import DeadlineExceeded, Violation, expect, short

PATIENCE = 6.0  # seconds for what a quiet machine does in a tenth of one
SECOND = 3.0  # seconds for what the contract wants within one
STALLED = 0.25  # seconds in which nothing is taken: then nothing will be

Result = TypeVar("Result")


class Link:
    """A connected stream socket. `who` names it in verdicts: client or guest."""

    def __init__(self, sock: socket.socket, who: str) -> None:
        self.sock = sock
        self.who = who
        self.is_tcp = sock.family != socket.AF_UNIX
        if self.is_tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # ---- bytes

    def send(self, data: bytes, within: float = PATIENCE) -> None:
        """All of it. Raises DeadlineExceeded, Violation."""
        self.sock.settimeout(within)
        try:
            self.sock.sendall(data)
        except TimeoutError:
            raise DeadlineExceeded(f"{len(data)} bytes of the {self.who} taken within {within:g} s", "not") from None
        except OSError as error:
            raise Violation(f"{len(data)} bytes of the {self.who} taken", str(error)) from None

    def receive(self, size: int, within: float = PATIENCE) -> bytes:
        """Exactly so many bytes. Raises DeadlineExceeded, Violation."""
        end, came = time.monotonic() + within, bytearray()
        while len(came) < size:
            part = self._part(min(size - len(came), 1 << 20), end, f"{size} bytes at the {self.who}", len(came))
            expect(part, f"{size} bytes at the {self.who}", f"an end of stream after {len(came)}")
            came += part
        return bytes(came)

    def gets(self, data: bytes, within: float = PATIENCE) -> None:
        """These bytes come next. Raises DeadlineExceeded, Violation."""
        came = self.receive(len(data), within)
        if came != data:
            at = next(index for index, pair in enumerate(zip(came, data, strict=True)) if pair[0] != pair[1])
            raise Violation(f"{short(data, 80)} at the {self.who}", f"{short(came, 80)}, which differs at byte {at}")

    def rest(self, within: float = PATIENCE) -> bytes:
        """Everything up to the end of the stream. Raises DeadlineExceeded, and Violation for a reset."""
        end, came = time.monotonic() + within, bytearray()
        while part := self._part(1 << 20, end, f"an end of stream at the {self.who}", len(came)):
            came += part
        return bytes(came)

    def _part(self, most: int, end: float, what: str, came: int) -> bytes:
        self.sock.settimeout(max(end - time.monotonic(), 0.001))
        try:
            return self.sock.recv(most)
        except TimeoutError:
            raise DeadlineExceeded(f"{what} in time", f"{came} bytes came, and nothing more") from None
        except OSError as error:
            raise Violation(what, f"{error} after {came} bytes") from None

    def ends(self, within: float = PATIENCE) -> None:
        """The stream ends in order, and nothing comes before. Raises DeadlineExceeded, Violation."""
        came = self.rest(within)
        expect(not came, f"an end of stream at the {self.who}", came)

    def ends_early(self, within: float = SECOND) -> str:
        """The stream ends, by a reset or in order, whatever comes before. Return: "reset" or "end"."""
        end = time.monotonic() + within
        while True:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                if not self.sock.recv(1 << 20):
                    return "end"
            except TimeoutError:
                raise DeadlineExceeded(f"an end of the {self.who}'s stream within {within:g} s", "none") from None
            except OSError:
                return "reset"

    def fill(self, most: int = 64 << 20) -> int:
        """Send until nothing more is taken for a while. Return: how many bytes were taken. They are pattern(size)."""
        self.sock.setblocking(False)
        sent = 0
        block = memoryview(pattern(1 << 20))
        while sent < most:
            try:
                sent += self.sock.send(block[sent % 256 : (sent % 256) + 65536])
            except BlockingIOError:
                if not select.select([], [self.sock], [], STALLED)[1]:
                    break
            except OSError as error:
                raise Violation(f"the {self.who}'s bytes taken, or left", str(error)) from None
        self.sock.setblocking(True)
        return sent

    # ---- ends

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """In full: what has come and was not read would make a reset of it, so it is read, as far as it is there."""
        self.sock.setblocking(False)
        with contextlib.suppress(OSError):
            while self.sock.recv(1 << 20):
                pass
        self.sock.close()

    def abandon(self) -> None:
        """Close, with whatever is unread."""
        self.sock.close()

    def reset(self) -> None:
        """TCP: a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def is_open(self) -> bool:
        """Whether the other side would still take something: no full close has come. On TCP nothing tells."""
        try:
            self.sock.send(b"", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def stays_open(self, seconds: float) -> None:
        """No full close, no end of stream and no byte for so long. Raises Violation."""
        self.is_silent(seconds)
        expect(self.is_open(), f"the {self.who}'s connection open", "closed in full")

    def stays_writable(self, seconds: float) -> None:
        """No full close for so long; it may have been half-closed. Raises Violation."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            expect(self.is_open(), f"no full close at the {self.who}", "one")
            time.sleep(0.02)

    def is_silent(self, seconds: float) -> None:
        """Nothing comes for so long, no end of stream either. Raises Violation."""
        self.sock.settimeout(seconds)
        try:
            came = self.sock.recv(4096)
        except TimeoutError:
            return
        except OSError as error:
            raise Violation(f"nothing at the {self.who} for {seconds:g} s", str(error)) from None
        raise Violation(f"nothing at the {self.who} for {seconds:g} s", short(came) if came else "an end of stream")

    def closed_in_full(self, within: float = SECOND) -> None:
        """A full close comes within so long; on TCP, where only sending tells, something is sent. What comes is not read.
        Raises DeadlineExceeded."""
        end = time.monotonic() + within
        while True:
            try:
                self.sock.send(b"?" if self.is_tcp else b"", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                pass
            except OSError:
                return
            if time.monotonic() > end:
                raise DeadlineExceeded(f"a full close at the {self.who} within {within:g} s", "none")
            time.sleep(0.01)


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes of every value, whose order shows what is missing."""
    block = bytes(range(256))
    start = seed % 256
    return ((block[start:] + block[:start]) * (size // 256 + 1))[:size]


def noise(size: int) -> bytes:
    """Bytes that nothing repeats."""
    return os.urandom(size)


class Meanwhile(Generic[Result]):
    """A call in a thread of its own, joined within a deadline; what it raises is raised there."""

    result: Result

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:
            self._error = error

    def join(self, within: float = 4 * PATIENCE) -> Result:
        """What it returned. Raises what it raised, and DeadlineExceeded."""
        self._thread.join(within)
        if self._thread.is_alive():
            raise DeadlineExceeded(f"both directions done within {within:g} s", "not")
        if self._error is not None:
            raise self._error
        return self.result
