"""One connection to an agent, driven through the host functions, every wait under the case's deadline."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import re
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from guestwire import protocol
from guestwire.drive.process import is_busy
from guestwire.judge.outcome import DeadlineExceeded, NotApplicable, Violation, expect, short

CHUNKINGS = ("whole", "bytewise", "boundaries", "trailing", "drip")
DRIPS = 8  # pieces of a slow drip, so that its time is bounded
PAUSE = 0.002  # seconds between pieces, where the kernel does not tell whether a piece was read
APART = 12  # bytes of a stream sent byte by byte that come surely one by one: a header, and the next frame's first ones
BYTE_BY_BYTE = 4096  # bytes; of longer streams the first and the last EDGE ones: what lies between is payload
EDGE = 1024
READ_WITHIN = (
    0.25  # seconds to wait for an agent to take a piece in; one that will not read it yet is within its rights
)
KEPT = 256 << 20  # bytes of one response; a hostile agent must not fill the host's memory
Frame = tuple[int, bytes]
_control = functools.lru_cache(maxsize=8)(protocol.parse_control)  # an answer is looked at from several sides


def frame(kind: int, payload: bytes) -> bytes:
    """The bytes of one frame; the length is not checked."""
    return struct.pack(">BI", kind, len(payload)) + payload


def split(raw: bytes) -> list[bytes]:
    """Raw frames cut at every header boundary: each header and each payload apart, a rest that is no frame as it is."""
    parts: list[bytes] = []
    while len(raw) >= 5:
        length = struct.unpack(">I", raw[1:5])[0]
        parts += [raw[:5], raw[5 : 5 + length]]
        raw = raw[5 + length :]
    return [part for part in [*parts, raw] if part]


def drip(raw: bytes) -> list[bytes]:
    """Raw bytes in DRIPS pieces at most, of 3 bytes at least, wherever that cuts them."""
    size = max(3, -(-len(raw) // DRIPS))
    return [raw[start : start + size] for start in range(0, len(raw), size)]


@dataclass
class Answer:
    """Everything an agent sent on one conversation. `ended` is "eof" or "reset"."""

    frames: list[Frame] = field(default_factory=list)
    ended: str = ""
    received: dict[int, int] = field(
        default_factory=dict
    )  # bytes for each frame type, also where payloads are not kept

    def stream(self, kind: int) -> bytes:
        """The payloads of one type, joined."""
        return b"".join(payload for type_, payload in self.frames if type_ == kind)

    @property
    def stdout(self) -> bytes:
        return self.stream(protocol.FRAME_STDOUT)

    @property
    def stderr(self) -> bytes:
        return self.stream(protocol.FRAME_STDERR)

    @property
    def data(self) -> bytes:
        return self.stream(protocol.FRAME_DATA)

    @property
    def controls(self) -> list[dict[str, Any]]:
        """The control frames, read strictly."""
        return [_control(payload) for type_, payload in self.frames if type_ == protocol.FRAME_JSON]

    @property
    def terminal(self) -> dict[str, Any]:
        """The one control frame that ends a response (all but get_file's)."""
        expect(self.frames, "a response", f"end of stream ({self.ended}) without a frame")
        kind, payload = self.frames[-1]
        expect(kind == protocol.FRAME_JSON, "a terminal control frame at the end", f"frame type {kind}")
        expect(len(self.controls) == 1, "one control frame", self.controls)
        return _control(payload)


class Conversation:
    """One connection. `left()` gives the seconds the case has left. A request for an operation that the agent is declared to
    lack is not sent: NotApplicable. `pids` are the agent's, and those of bridges before it, where /proc shows them here."""

    def __init__(
        self,
        sock: socket.socket,
        left: Callable[[], float],
        lacked: frozenset[str] = frozenset(),
        pids: Sequence[int] = (),
    ) -> None:
        self.sock = sock
        self._pids = tuple(pids)
        self._left = left
        self._lacked = lacked
        self.settled = False  # read to its end, or given up on purpose

    # ---- sending

    def _timeout(self, doing: str, limit: float | None = None) -> float:
        left = self._left() if limit is None else min(limit, self._left())
        if left <= 0:
            raise DeadlineExceeded(f"{doing} within the case's deadline", "no time left")
        return left

    def _check_lacked(self, data: bytes) -> None:
        for name in self._lacked:
            if re.search(rb'"op"\s*:\s*"' + name.encode() + b'"', data):
                raise NotApplicable(f"uses {name}, which the agent lacks by its descriptor")

    def send_raw(self, data: bytes, tolerate: bool = False) -> None:
        """Send bytes as they are. With `tolerate`, an agent that closed meanwhile is no failure: the answer will tell."""
        self._check_lacked(data)
        self.sock.settimeout(self._timeout("sending"))
        try:
            self.sock.sendall(data)
        except TimeoutError:
            raise DeadlineExceeded(f"{len(data)} bytes taken by the agent", "it stopped reading") from None
        except (BrokenPipeError, ConnectionResetError) as error:
            if not tolerate:
                raise Violation(f"{len(data)} bytes taken by the agent", f"connection broken: {error}") from None

    def send_chunked(self, raw: bytes, chunking: str) -> None:
        """Send raw frames under one of CHUNKINGS; errors are tolerated, the answer tells. What is longer than BYTE_BY_BYTE goes
        byte by byte at its beginning and its end only."""
        self._check_lacked(raw)
        if chunking == "bytewise":
            edge = len(raw) if len(raw) <= BYTE_BY_BYTE else EDGE
            for start in range(min(edge, len(raw))):
                self.send_raw(raw[start : start + 1], tolerate=True)
                if start < APART:
                    self.let_read()
            self.send_raw(raw[edge:-edge], tolerate=True)
            for start in range(max(edge, len(raw) - edge), len(raw)):
                self.send_raw(raw[start : start + 1], tolerate=True)
        elif chunking in ("boundaries", "drip"):
            for part in split(raw) if chunking == "boundaries" else drip(raw):
                self.send_raw(part, tolerate=True)
                self.let_read()
        else:
            self.send_raw(
                raw + (frame(protocol.FRAME_DATA, b"trailing") if chunking == "trailing" else b""), tolerate=True
            )

    def let_read(self) -> None:
        """Wait until the agent has read what was sent and sleeps again, so that the next piece comes to it apart; not longer than
        READ_WITHIN."""
        if sys.platform != "linux" or self.sock.family != socket.AF_UNIX:
            time.sleep(PAUSE)
            return
        end = time.monotonic() + min(READ_WITHIN, self._left())
        with contextlib.suppress(OSError):  # the agent has closed
            while struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0] and time.monotonic() < end:
                time.sleep(0.0001)
        while any(map(is_busy, self._pids)) and time.monotonic() < end:
            time.sleep(0.0001)

    def send_frame(self, kind: int, payload: bytes = b"") -> None:
        """protocol.send_frame under the deadline."""
        self._check_lacked(payload)
        try:
            protocol.send_frame(self.sock, kind, payload, timeout=self._timeout("sending a frame"))
        except TimeoutError:
            raise DeadlineExceeded(
                f"a frame of {len(payload)} bytes taken by the agent", "it stopped reading"
            ) from None
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Violation(f"a frame of {len(payload)} bytes taken by the agent", f"broken: {error}") from None

    def send_json(self, request: dict[str, Any]) -> None:
        """protocol.send_json under the deadline."""
        self._check_lacked(b'"op":"%s"' % str(request.get("op")).encode(errors="replace"))
        try:
            protocol.send_json(self.sock, request, timeout=self._timeout("sending a request"))
        except TimeoutError:
            raise DeadlineExceeded("a request taken by the agent", "it stopped reading") from None
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Violation("a request taken by the agent", f"connection broken: {error}") from None

    def half_close(self) -> None:
        """Shut down the host's sending side."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """The host hangs up, whatever is still to come."""
        self.settled = True
        self.sock.close()

    # ---- receiving

    def recv_frame(self, within: float | None = None, what: str = "a frame") -> Frame:
        """The next frame, checked by check_frame(). Its absence within `within` seconds (default: the case's deadline) or
        an end of stream is a violation."""
        try:
            received = protocol.recv_frame(self.sock, timeout=self._timeout(f"reading {what}", within))
        except TimeoutError:
            limit = "the case's deadline" if within is None else f"{within:g} s"
            raise DeadlineExceeded(f"{what} within {limit}", "nothing came") from None
        except protocol.EndOfStream as error:
            raise Violation(what, str(error)) from None
        except ConnectionError as error:
            raise Violation(what, f"connection broken: {error}") from None
        except ValueError as error:
            raise Violation(what, str(error)) from None
        check_frame(received)
        return received

    def recv_json(self, within: float | None = None, what: str = "a control frame") -> dict[str, Any]:
        """The next frame, which is a control frame."""
        kind, payload = self.recv_frame(within, what)
        expect(kind == protocol.FRAME_JSON, what, f"frame type {kind} with {short(payload[:80])}")
        return _control(payload)

    def answer(self, within: float | None = None, keep: bool = True) -> Answer:
        """Everything up to the end of stream. Every frame is checked, and a frame after the terminal one is a violation.
        Without `keep`, payloads of STDOUT, STDERR and DATA are counted and dropped."""
        self.settled = True
        end = time.monotonic() + (self._left() if within is None else min(within, self._left()))
        answer = Answer()
        kept = 0
        while True:
            try:
                received = protocol.recv_frame(self.sock, timeout=max(end - time.monotonic(), 0.001))
            except TimeoutError:
                got = [(kind, short(payload, 120)) for kind, payload in answer.frames[-3:]]
                raise DeadlineExceeded("the whole response and end of stream in time", f"waiting after {got}") from None
            except protocol.EndOfStream as error:
                expect(not error.partial, "end of stream between frames", str(error))
                answer.ended = "eof"
            except ConnectionResetError:
                answer.ended = "reset"
            except ValueError as error:
                raise Violation("a frame within the cap", str(error)) from None
            if answer.ended:
                self.sock.close()
                return answer
            check_frame(received)
            expect(not _terminated(answer), "nothing after the terminal frame", (received[0], received[1][:80]))
            kind, payload = received
            answer.received[kind] = answer.received.get(kind, 0) + len(payload)
            dropped = not keep and kind in (protocol.FRAME_STDOUT, protocol.FRAME_STDERR, protocol.FRAME_DATA)
            if not dropped:
                kept += len(payload)
                expect(kept <= KEPT, f"a response of at most {KEPT} bytes", "it goes on")
                answer.frames.append(received)

    def silence(self, seconds: float) -> None:
        """Nothing may come, not even end of stream, for that long."""
        self.sock.settimeout(seconds)
        try:
            got = self.sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        except OSError as error:
            raise Violation(f"silence for {seconds:g} s", str(error)) from None
        raise Violation(f"silence for {seconds:g} s", "a byte came" if got else "end of stream")

    def end_of_stream(self, within: float | None = None) -> None:
        """The agent has shut down its sending side. The host's stays open: the conversation lingers."""
        self.sock.settimeout(self._timeout("reading end of stream", within))
        try:
            got = self.sock.recv(64)
        except TimeoutError:
            raise DeadlineExceeded("end of stream in time", "nothing came") from None
        except OSError as error:
            raise Violation("end of stream", f"connection broken: {error}") from None
        expect(not got, "end of stream", got)

    def gone(self) -> bool:
        """Whether the agent has closed the connection: a byte sent meets EPIPE or a reset. Reading cannot tell that from an
        agent that has shut down its sending side only."""
        self.sock.settimeout(0)
        try:
            self.sock.send(b"\0")
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    def wait_gone(self, within: float) -> float:
        """Ask gone() every 20 ms. Return: seconds until it was so; a violation if it is not within `within` seconds."""
        start = time.monotonic()
        while not self.gone():
            if time.monotonic() - start > within:
                raise DeadlineExceeded(f"the connection closed by the agent within {within:g} s", "it is open")
            time.sleep(0.02)
        self.close()
        return time.monotonic() - start

    def closed_silently(self, within: float | None = None) -> float:
        """The agent closes without a word (end of stream or reset). Return: seconds it took."""
        start = time.monotonic()
        answer = self.answer(within)
        expect(not answer.frames, "closed without a word", answer.frames)
        return time.monotonic() - start


def _terminated(answer: Answer) -> bool:
    """Whether the last frame ended the response: EOF, or a control frame other than get_file's header."""
    if not answer.frames:
        return False
    kind, payload = answer.frames[-1]
    if kind == protocol.FRAME_JSON:
        control = _control(payload)
        return not (control.get("ok") is True and "size" in control and "mode" in control)
    return kind == protocol.FRAME_EOF


def check_frame(received: Frame) -> None:
    """What holds for every frame an agent sends: FRAME-TYPES, FRAME-CHUNK, FRAME-EOF-EMPTY, JSON-OUT."""
    kind, payload = received
    if kind == protocol.FRAME_JSON:
        try:
            _control(payload)
        except ValueError as error:
            raise Violation("a control frame within the JSON profile", f"{error}: {short(payload)}") from None
    elif kind in (protocol.FRAME_STDOUT, protocol.FRAME_STDERR, protocol.FRAME_DATA):
        expect(1 <= len(payload) <= protocol.CHUNK_SIZE, "a payload of 1 to 65,536 bytes", f"{len(payload)} bytes")
    elif kind == protocol.FRAME_EOF:
        expect(not payload, "an EOF frame without payload", payload[:80])
    else:
        raise Violation("a frame type from 1 to 5", f"type {kind}")
