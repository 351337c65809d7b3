#!/usr/bin/env -S python3 -I -S
"""The reference readiness gate: exit 0 once a service answers end to end, 1 when the time is over, 2 for a bad command line.

Written for reading: whoever doubts a clause of the contract (conformance/spec/ready-v1.md) reads how it is kept here. The
judges of what services send take bytes and say what they think of them, and do no I/O; an attempt is a generator that yields
what it waits for; one loop resumes them all and keeps the deadlines, and nothing in it ever blocks.

Standard library only, Python 3.8 or later, Linux only.
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import json
import os
import select
import signal
import socket
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, NoReturn, Optional, Tuple

    Wait = Tuple[int, int, Optional[float]]  # a descriptor, its events, and a time at which to go on all the same
    Steps = Generator[Wait, int, "Any"]  # is sent the events that came, 0 for none; raises Failed
    Address = Tuple[int, Any]  # the family and what connect() takes

VERSION = "0.1.0"

PING = b'\x01\0\0\0\x0d{"op":"ping"}'
FRAME_JSON = 1
LIMIT_FRAME_HEADER = 5
LIMIT_CONTROL_PAYLOAD = 1_048_576
LIMIT_IDENTIFICATION = 255
LIMIT_PREAMBLE_LINE = 8_192
LIMIT_PREAMBLE_LINES = 1_024
LIMIT_STATUS_LINE = 8_192
LIMIT_HANDSHAKE = 64
LIMIT_NOTIFICATION = 65_536
LIMIT_UNIX_PATH = 107
LIMIT_SHOWN = 80  # bytes of what came that a failure shows
LIMIT_LINE = 4_096  # bytes written to stderr at once: a pipe with room at all has room for them

SECONDS_TIMEOUT = 60.0
SECONDS_ATTEMPT = 5.0
SECONDS_INTERVAL = 0.2
SECONDS_MOST = 1_000_000.0
SECONDS_PROGRESS = 1.0
SECONDS_FULL_BACKLOG = 0.02  # until a Unix socket whose queue was full is tried again
SECONDS_LAST_WORDS = 0.05  # for a reader of stdout or stderr that is slow
SECONDS_COUNTS = 0.1  # an attempt that the end of all cuts off counts as the last one if it has lasted this long
PORT_MOST = 65_535
VSOCK_MOST = 4_294_967_294  # the next one means "any"

HINTS = {
    "refused": "nothing listens there yet: is the guest up, is the service started, is it this port?",
    "absent": "nothing listens there: is the guest or its forwarder started, is it this path or CID?",
    "unresolved": "the name has no address: is it spelt right, does the resolver answer?",
    "unreachable": "no connection came about: look at addresses, routes and firewalls between here and there",
    "closed": "something accepts and hangs up, as forwarders do before the guest listens: look at the service in the guest",
    "silent": "something accepts and says nothing: is it a forwarder without a guest, or a service that hangs?",
    "incomplete": "the answer began and did not end: is the guest overloaded, or --attempt-timeout too short?",
    "unexpected": "another service answers there: is it this port, and this kind of probe?",
    "waiting": "the guest has not sent READY=1: does it know this address, has its agent started?",
    "failed": "the probe itself could not be made: look at permissions and limits here",
}


class Usage(Exception):
    """A bad command line; the text says what is accepted."""


class Failed(Exception):
    """What ends an attempt: one of the words of HINTS, and a line for a person. `final`: there is no sense in another one."""

    def __init__(self, reason: str, detail: str, final: bool = False) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.final = final


# ---------------------------------------------------------------------------------------------------------------------
# Text that others wrote


def shown(data: bytes | bytearray) -> str:
    """Untrusted bytes for a person: printable ASCII stays, everything else is escaped, and what is long is cut."""
    text = "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in data[:LIMIT_SHOWN])
    return f'"{text}"' + ("..." if len(data) > LIMIT_SHOWN else "")


def word(argument: str) -> str:
    """A word of the command line as text: bytes that are not UTF-8 are escaped."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def line_of(text: str) -> str:
    """A text as one line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# ---------------------------------------------------------------------------------------------------------------------
# 2 Probes: judges of what a service sends. feed() takes bytes as they come: True is the whole answer, False wants more


class Agent:
    """READY-AGENT"""

    def __init__(self) -> None:
        self.request = PING
        self.data = bytearray()

    def feed(self, data: bytes) -> bool:
        self.data += data
        if self.data[0] != FRAME_JSON:
            raise Failed("unexpected", f"no control frame: {shown(self.data)}")
        if len(self.data) < LIMIT_FRAME_HEADER:
            return False
        length = int.from_bytes(self.data[1:LIMIT_FRAME_HEADER], "big")
        if length > LIMIT_CONTROL_PAYLOAD:
            raise Failed("unexpected", f"a frame of {length} bytes, over the cap of {LIMIT_CONTROL_PAYLOAD}")
        if len(self.data) < LIMIT_FRAME_HEADER + length:
            return False
        payload = bytes(self.data[LIMIT_FRAME_HEADER : LIMIT_FRAME_HEADER + length])
        pong = parse_object(payload)
        if pong is None or pong.get("ok") is not True or pong.get("op") != "pong":
            raise Failed("unexpected", f"no pong: {shown(payload)}")
        return True


def parse_object(payload: bytes) -> dict[str, Any] | None:
    """A JSON object, None if the bytes are none or name a member twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a member twice")
        return dict(pairs)

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        value = json.loads(payload.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Ssh:
    """READY-SSH, READY-PREAMBLE, READY-BANNER: RFC 4253, section 4.2"""

    def __init__(self) -> None:
        self.request = b""  # neither side waits for the other's
        self.line = b""
        self.skipped = 0

    def feed(self, data: bytes) -> bool:
        for piece in split_lines(data):
            self.line += piece
            if self.judge():
                return True
        return False

    def judge(self) -> bool:
        """Look at the line so far."""
        line, ended = self.line, self.line.endswith(b"\n")
        if b"\0" in line:
            raise Failed("unexpected", f"a NUL: {shown(line)}")
        if line[:4] == b"SSH-"[: len(line)] and (len(line) >= 4 or not ended):
            return self.identification(line, ended)
        if self.skipped == LIMIT_PREAMBLE_LINES:
            raise Failed("unexpected", f"more than {LIMIT_PREAMBLE_LINES} lines before the banner")
        if len(line) > LIMIT_PREAMBLE_LINE or (len(line) == LIMIT_PREAMBLE_LINE and not ended):
            raise Failed("unexpected", f"a line over {LIMIT_PREAMBLE_LINE} bytes: {shown(line)}")
        if ended:
            self.skipped += 1
            self.line = b""
        return False

    def identification(self, line: bytes, ended: bool) -> bool:
        versions = (b"SSH-2.0-", b"SSH-1.99-")
        if not any(line[: len(version)] == version[: len(line)] for version in versions):
            raise Failed("unexpected", f"another protocol version: {shown(line)}")
        if len(line) > LIMIT_IDENTIFICATION or (len(line) == LIMIT_IDENTIFICATION and not ended):
            raise Failed("unexpected", f"an identification over {LIMIT_IDENTIFICATION} bytes: {shown(line)}")
        return ended


def split_lines(data: bytes) -> list[bytes]:
    """At LF alone, ends kept."""
    pieces = [piece + b"\n" for piece in data.split(b"\n")]
    pieces[-1] = pieces[-1][:-1]
    return [piece for piece in pieces if piece]


class Prefix:
    """READY-PREFIX"""

    def __init__(self, prefix: bytes) -> None:
        self.request = b""
        self.prefix = prefix
        self.data = b""

    def feed(self, data: bytes) -> bool:
        self.data += data[: len(self.prefix)]
        if self.data[: len(self.prefix)] != self.prefix[: len(self.data)]:
            raise Failed("unexpected", f"another banner: {shown(self.data)}")
        return len(self.data) >= len(self.prefix)


class Http:
    """READY-HTTP"""

    def __init__(self, host: str, path: bytes, status: int) -> None:
        self.request = (
            b"GET " + path + b" HTTP/1.1\r\nHost: " + os.fsencode(host) + b"\r\n"
            b"User-Agent: guestwire-ready\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        self.status = status
        self.line = b""
        self.taken = 0
        self.in_header = False  # of a response 1xx

    def feed(self, data: bytes) -> bool:
        for piece in split_lines(data):
            self.taken += len(piece)
            self.line += piece
            if self.taken > LIMIT_STATUS_LINE:
                raise Failed("unexpected", f"no status line within {LIMIT_STATUS_LINE} bytes: {shown(self.line)}")
            if self.in_header:
                self.in_header = self.line not in (b"\r\n", b"\n")
            elif self.judge():
                return True
            if self.line.endswith(b"\n"):
                self.line = b""
        return False

    def judge(self) -> bool:
        """Look at the status line so far."""
        shape = b"HTTP/1.x NNN"
        start = self.line.rstrip(b"\r\n")
        for byte, wanted in zip(start, shape):
            good = {0x78: b"01", 0x4E: b"0123456789"}.get(wanted, bytes([wanted]))
            if byte not in good:
                raise Failed("unexpected", f"no HTTP: {shown(self.line)}")
        if not self.line.endswith(b"\n"):
            return False
        if len(start) < len(shape) or start[len(shape) : len(shape) + 1] not in (b"", b" "):
            raise Failed("unexpected", f"no HTTP status line: {shown(self.line)}")
        status = int(start[9:12])
        if status != self.status and status // 100 != 1:
            raise Failed("unexpected", f"status {status}, not {self.status}: {shown(self.line)}")
        self.in_header = status != self.status
        return not self.in_header


def says_ready(message: bytes) -> bool:
    """READY-NOTIFY: whether a message has the line that is waited for."""
    return b"READY=1" in message.split(b"\n")


# ---------------------------------------------------------------------------------------------------------------------
# 1 Targets (READY-TARGET)


class Target:
    """Where a probe looks. `form` is tcp, unix, hybrid or vsock."""

    def __init__(self, text: str, listening: bool) -> None:
        self.text = text
        self.form, _, rest = text.partition(":")
        self.host = ""
        self.path = b""
        self.port = 0
        self.cid = socket.VMADDR_CID_ANY
        self.addresses: list[Address] = []  # of a name: empty
        if self.form == "unix" and rest:
            self.path = os.fsencode(rest)
        elif self.form == "vsock" and listening:
            self.port = whole(text, rest, VSOCK_MOST)
        elif self.form == "vsock":
            cid, _, port = rest.partition(":")
            self.cid, self.port = whole(text, cid, VSOCK_MOST), whole(text, port, VSOCK_MOST)
            self.addresses = [(socket.AF_VSOCK, (self.cid, self.port))]
        elif self.form == "hybrid" and not listening and not rest.startswith(":"):
            path, _, port = rest.rpartition(":")
            self.path, self.port = os.fsencode(path), whole(text, port, VSOCK_MOST)
        elif self.form == "tcp" and not listening:
            self.read_tcp(rest)
        else:
            accepted = "unix:PATH or vsock:PORT" if listening else TARGETS
            raise Usage(f"{word(text)}: no such target; {accepted} is accepted")
        if len(self.path) > LIMIT_UNIX_PATH:
            raise Usage(f"{word(text)}: a path of at most {LIMIT_UNIX_PATH} bytes is accepted")
        if self.path:
            self.addresses = [(socket.AF_UNIX, self.path)]

    def read_tcp(self, rest: str) -> None:
        host, _, port = rest.rpartition(":")
        self.port = whole(self.text, port, PORT_MOST)
        bracketed = host.startswith("[") and host.endswith("]")
        self.host = host[1:-1] if bracketed else host
        if not self.host or (":" in host and not bracketed):
            raise Usage(f"{word(self.text)}: tcp:HOST:PORT or tcp:[IPV6]:PORT is accepted")
        try:
            self.addresses = look_up(self.host, self.port, socket.AI_NUMERICHOST)
        except OSError:
            if bracketed:
                raise Usage(f"{word(self.text)}: tcp:[IPV6]:PORT is accepted") from None


TARGETS = "tcp:HOST:PORT, unix:PATH, hybrid:PATH:PORT or vsock:CID:PORT"


def whole(text: str, number: str, most: int) -> int:
    """A number of a target, from 1 on."""
    value = int(number) if number.isascii() and number.isdigit() and len(number) < 11 else 0
    if not 1 <= value <= most:
        raise Usage(f"{word(text)}: a number from 1 to {most} is accepted, not {word(number)!r}; targets: {TARGETS}")
    return value


def look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """The TCP addresses of a host, each once. Raises OSError. Blocks, unless the flags say AI_NUMERICHOST."""
    found = socket.getaddrinfo(os.fsencode(host), port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


class Resolver:
    """A name being looked up, in a thread: getaddrinfo() cannot be interrupted. `fd` reads as ended once it is done."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.answer: OSError | list[Address] | None = None
        self.fd, self.end = os.pipe()
        _thread.start_new_thread(self.work, ())

    def work(self) -> None:
        try:
            self.answer = look_up(self.target.host, self.target.port)
        except OSError as error:
            self.answer = error
        except Exception as error:  # what codecs make of a strange name
            self.answer = OSError(str(error))
        os.close(self.end)


# ---------------------------------------------------------------------------------------------------------------------
# Attempts

REASONS = {  # of a connect() that failed; any other errno is `failed`
    errno.ECONNREFUSED: "refused",
    errno.ENOENT: "absent",
    errno.ENOTDIR: "absent",
    errno.ENODEV: "absent",
    errno.ETIMEDOUT: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.ECONNRESET: "closed",  # accepted, and reset before this end had looked
}


class Probe:
    """A KIND and its TARGET: its attempts, and what has become of them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.target: Target | None = None
        self.options: dict[str, str] = {}
        self.ready = False
        self.attempts = 0
        self.elapsed = 0.0
        self.reason = ""  # of the last attempt that failed
        self.detail = ""
        self.seen = ("", "")  # what the present attempt has come to: its reason and detail if it is cut off now
        self.final = False
        self.attempt_timeout = SECONDS_ATTEMPT
        self.interval = SECONDS_INTERVAL
        self.steps: Steps | None = None  # the present attempt
        self.wait: Wait = (-1, 0, None)
        self.began = 0.0
        self.deadline = 0.0  # of the present attempt
        self.next_at = 0.0  # when the next one starts
        self.resolver: Resolver | None = None
        self.turn = 0  # the address to start with: each of a name has its turn

    @property
    def place(self) -> Target:
        assert self.target is not None
        return self.target

    @property
    def name(self) -> str:
        return f"{self.kind} {word(self.place.text)}"

    @property
    def hint(self) -> str:
        return word(self.options["--hint"]) if "--hint" in self.options else HINTS[self.reason]

    # ---- one attempt, step by step

    def attempt(self) -> Steps:
        """READY-ACCEPT: only an answer counts. Returns when the service has answered."""
        if self.kind == "notify":
            yield from self.listen()
            return
        sock = yield from self.dial()
        try:
            if self.place.form == "hybrid":
                yield from self.shake_hands(sock)
            yield from self.talk(sock)
        finally:
            sock.close()

    def dial(self) -> Steps:
        """A connection to the target, or to the first address of its name that takes one; each has its share of the time."""
        addresses = self.place.addresses or (yield from self.resolve())
        failures = []
        for count in range(len(addresses)):
            index = (self.turn + count) % len(addresses)
            now = time.monotonic()
            until = now + (self.deadline - now) / (len(addresses) - count)
            try:
                sock = yield from self.connect(addresses[index], until)
            except Failed as failed:
                failures.append(failed)
                continue
            self.turn = index + 1
            return sock
        raise next((failed for failed in failures if failed.reason == "refused"), failures[-1])

    def resolve(self) -> Steps:
        """All addresses. A look-up that outlives its attempt is waited for in the next one: there is never a second thread."""
        self.seen = ("unresolved", "the name is still being looked up")
        if self.resolver is None:
            self.resolver = Resolver(self.place)
        while self.resolver.answer is None:
            yield self.resolver.fd, select.POLLIN, None
        answer = self.resolver.answer
        os.close(self.resolver.fd)
        self.resolver = None
        if isinstance(answer, OSError):
            raise Failed("unresolved", f"the name cannot be resolved: {answer.strerror or answer}")
        return answer

    def connect(self, to: Address, until: float) -> Steps:
        """One address. Never blocks; gives up at `until`."""
        family, address = to
        self.seen = ("unreachable", "no connection within the attempt")
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise Failed("failed", f"no socket: {error.strerror}") from None
        try:
            number = sock.connect_ex(address)
            while number == errno.EAGAIN:  # a Unix socket whose queue is full
                now = time.monotonic()
                if now >= until:
                    raise Failed(*self.seen)
                yield -1, 0, min(until, now + SECONDS_FULL_BACKLOG)
                number = sock.connect_ex(address)
            if number == errno.EINPROGRESS:
                if not (yield sock.fileno(), select.POLLOUT, until):
                    raise Failed(*self.seen)
                number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                reason = REASONS.get(number, "failed")
                if family == socket.AF_VSOCK and number == errno.ECONNRESET:
                    reason = "refused"  # what a guest says of a port that nobody listens on
                raise Failed(reason, os.strerror(number).lower())
        except BaseException:
            sock.close()
            raise
        self.seen = ("silent", "the connection was accepted, and nothing came")
        return sock

    def shake_hands(self, sock: socket.socket) -> Steps:
        """The hybrid proxy connects on: one line each way, read byte by byte since what follows is the service's."""
        yield from self.send(sock, f"CONNECT {self.place.port}\n".encode())
        line = b""
        while not line.endswith(b"\n"):
            line += yield from self.receive(sock, 1, line)
            if line[:3] != b"OK "[: len(line)] or (len(line) == LIMIT_HANDSHAKE and not line.endswith(b"\n")):
                raise Failed("unexpected", f"no OK after CONNECT {self.place.port}: {shown(line)}")
        self.seen = ("silent", "connected to the guest, and nothing came")

    def talk(self, sock: socket.socket) -> Steps:
        """Ask where the kind asks, and listen until the judge has what it wants."""
        judge = self.judge()
        yield from self.send(sock, judge.request)
        told = b""
        while True:
            data = yield from self.receive(sock, 65_536, told)
            told = (told + data)[: LIMIT_SHOWN + 1]
            if judge.feed(data):
                return

    def judge(self) -> Agent | Ssh | Prefix | Http:
        if self.kind == "agent":
            return Agent()
        if self.kind == "ssh":
            return Ssh()
        if self.kind == "tcp-banner":
            return Prefix(os.fsencode(self.options["--expect"]))
        tcp = self.place.form == "tcp"
        host = self.place.text.partition(":")[2] if tcp else "localhost"
        return Http(host, os.fsencode(self.options.get("--path", "/")), int(self.options.get("--status", "200")))

    def send(self, sock: socket.socket, data: bytes) -> Steps:
        """All of it; if the service hangs up meanwhile, what it has said before is still to be read."""
        while data:
            try:
                data = data[sock.send(data, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                yield sock.fileno(), select.POLLOUT, None
            except OSError:
                return

    def receive(self, sock: socket.socket, most: int, told: bytes) -> Steps:
        """Some bytes. `told` is what came before them. The end of the stream is a failure: it was wanted longer."""
        if told:
            self.seen = ("incomplete", f"the answer began and did not end: {shown(told)}")
        yield sock.fileno(), select.POLLIN, None
        try:
            data = sock.recv(most)
            end = "closed"
        except BlockingIOError:
            return b""
        except OSError as error:
            data = b""
            end = (error.strerror or str(error)).lower()
        if data:
            return data
        if told:
            raise Failed("incomplete", f"cut off after {shown(told)}: {end}")
        raise Failed("closed", f"accepted and then hung up: {end}")

    # ---- waiting to be told (READY-NOTIFY)

    def listen(self) -> Steps:
        """Until somebody says READY=1. The socket is gone afterwards."""
        self.seen = ("waiting", "no message with READY=1 yet")
        if self.place.form == "vsock":
            yield from self.listen_vsock()
            return
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        mine = None
        try:
            mine = claim(sock, self.place.path)
            while True:
                yield sock.fileno(), select.POLLIN, None
                try:
                    message = sock.recv(LIMIT_NOTIFICATION)
                except OSError:
                    continue
                if says_ready(message):
                    return
        finally:
            if mine is not None and mine == identity(self.place.path):
                os.unlink(self.place.path)
            sock.close()

    def listen_vsock(self) -> Steps:
        """Streams, one after another as they come: a message lasts until its sender hangs up, and its lines count at once."""
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock = None
        try:
            try:
                listener.bind((self.place.cid, self.place.port))
                listener.listen()
            except OSError as error:
                raise Failed("failed", f"cannot listen: {error.strerror}", final=True) from None
            while True:
                yield listener.fileno(), select.POLLIN, None
                try:
                    sock, _ = listener.accept()
                except OSError:
                    continue
                sock.setblocking(False)
                if (yield from self.hear(sock)):
                    return
                sock.close()
        finally:
            if sock is not None:
                sock.close()
            listener.close()

    def hear(self, sock: socket.socket) -> Steps:
        """Whether this sender says READY=1. One that dawdles for an attempt's time is left."""
        message = b""
        until = time.monotonic() + self.attempt_timeout
        while (yield sock.fileno(), select.POLLIN, until):
            try:
                data = sock.recv(4_096)
            except OSError:
                return False
            message += data
            whole_lines = message if not data else message[: message.rfind(b"\n") + 1]
            if says_ready(whole_lines):
                return True
            if not data or len(message) > LIMIT_NOTIFICATION:
                return False
        return False

    # ---- attempts, one after another (READY-TIMES, READY-LATER)

    def advance(self, now: float, events: dict[int, int]) -> None:
        """Start, resume or cut off, as the time and the events of descriptors ask."""
        if self.steps is None:
            if now >= self.next_at:
                self.began = now
                self.deadline = now + self.attempt_timeout if self.kind != "notify" else float("inf")
                self.attempts += 1
                self.steps = self.attempt()
                self.resume(None)
            return
        fd, _, until = self.wait
        if now >= self.deadline:
            self.steps.close()
            self.fail(Failed(*self.seen))
        elif fd in events or (until is not None and now >= until):
            self.resume(events.get(fd, 0))

    def resume(self, events: int | None) -> None:
        assert self.steps is not None
        try:
            self.wait = next(self.steps) if events is None else self.steps.send(events)
        except StopIteration:
            self.ready, self.steps = True, None
        except Failed as failed:
            self.fail(failed)
        except OSError as error:
            self.fail(Failed("failed", error.strerror or str(error)))

    def fail(self, failed: Failed) -> None:
        self.steps = None
        self.reason, self.detail, self.final = failed.reason, failed.detail, failed.final
        self.next_at = time.monotonic() + self.interval

    def give_up(self) -> None:
        """The end of all: what is under way is cut off."""
        if self.steps is None:
            return
        self.steps.close()
        self.steps = None
        if not self.reason or time.monotonic() - self.began >= SECONDS_COUNTS:
            self.reason, self.detail = self.seen

    def wakes_at(self) -> float:
        """When it wants to be looked at, whatever its descriptor says."""
        if self.steps is None:
            return self.next_at
        return min(self.deadline, float("inf") if self.wait[2] is None else self.wait[2])


def claim(sock: socket.socket, path: bytes) -> tuple[int, int, int]:
    """Bind a datagram socket of mode 0600, in a stale one's place if need be. Return: its identity. Raises Failed."""
    try:
        found = identity(path)
        if found is not None:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise Failed("failed", "something is in the way and no socket", final=True)
            number = sock.connect_ex(path)
            if number != errno.ECONNREFUSED:
                raise Failed("failed", "another process listens there", final=True)
            os.unlink(path)
        umask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(umask)
        mine = identity(path)
        assert mine is not None
        return mine
    except OSError as error:
        raise Failed("failed", f"cannot listen: {(error.strerror or str(error)).lower()}", final=True) from None


def identity(path: bytes) -> tuple[int, int, int] | None:
    """What tells one file from another, also where inode numbers are used again. None when there is nothing."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


# ---------------------------------------------------------------------------------------------------------------------
# The loop


class Bell:
    """SIGINT and SIGTERM (SIGHUP too, unless it was ignored), as bytes in a pipe that the loop watches."""

    def __init__(self) -> None:
        self.fd, end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(end, False)
        signal.set_wakeup_fd(end)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        stops = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            stops.append(signal.SIGHUP)
        for number in stops:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def rung(self) -> int:
        """The number of a signal that came, 0 for none."""
        try:
            return os.read(self.fd, 1)[0]
        except BlockingIOError:
            return 0


def watch(probes: list[Probe], timeout: float, any_will_do: bool, began: float) -> int:
    """Until the probes have answered (0), the time is over (1) or a signal came (128 and its number)."""
    bell = Bell()
    end = began + timeout
    progress = began + SECONDS_PROGRESS if os.isatty(2) else float("inf")
    events: dict[int, int] = {}
    while True:
        now = time.monotonic()
        for probe in probes:
            if not probe.ready:
                probe.advance(now, events)
                probe.elapsed = time.monotonic() - began
        enough = any if any_will_do else all
        status = bell.rung()
        if status:
            return 128 + status
        if enough(probe.ready for probe in probes):
            return 0
        if now >= end or any(probe.final for probe in probes):
            return 1
        if now >= progress:
            progress += SECONDS_PROGRESS
            tell_progress(probes, now - began)
        waiting = [probe for probe in probes if not probe.ready]
        until = min(end, progress, *(probe.wakes_at() for probe in waiting))
        events = poll(bell.fd, waiting, until - time.monotonic())


def poll(bell: int, probes: list[Probe], seconds: float) -> dict[int, int]:
    """The events of what is waited for."""
    poller = select.poll()
    poller.register(bell, select.POLLIN)
    for probe in probes:
        fd, events, _ = probe.wait
        if probe.steps is not None and fd >= 0:
            poller.register(fd, events)
    return dict(poller.poll(max(seconds, 0) * 1000 + 1))


# ---------------------------------------------------------------------------------------------------------------------
# 3 What it tells


def say(fd: int, data: bytes) -> None:
    """Write what the reader takes; one that is slow, full or gone holds up nothing."""
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    until = time.monotonic() + SECONDS_LAST_WORDS
    try:
        while data and poller.poll(max(until - time.monotonic(), 0) * 1000):
            data = data[os.write(fd, data[:LIMIT_LINE]) :]
    except OSError:
        pass


def tell_progress(probes: list[Probe], elapsed: float) -> None:
    told = "; ".join(f"{p.name}: {p.reason or p.seen[0]}, attempt {p.attempts}" for p in probes if not p.ready)
    tell_line(f"{elapsed:.0f} s: {told}")


def tell_line(text: str) -> None:
    say(2, line_of(f"ready: {text}").encode("utf-8", "backslashreplace")[: LIMIT_LINE - 1] + b"\n")


def tell_failure(probes: list[Probe], elapsed: float) -> None:
    """READY-EXIT, READY-HINT: a line for each probe that has not answered."""
    for probe in probes:
        if not probe.ready:
            times = "1 attempt" if probe.attempts == 1 else f"{probe.attempts} attempts"
            tell_line(f"{probe.name}: {probe.reason}: {probe.detail} ({times}, {elapsed:.1f} s); hint: {probe.hint}")


def tell_json(probes: list[Probe], ready: bool, elapsed: float) -> None:
    """READY-JSON"""
    report = {
        "ready": ready,
        "elapsed": round(elapsed, 3),
        "probes": [
            {
                "kind": p.kind,
                "target": word(p.place.text),
                "ready": p.ready,
                "attempts": p.attempts,
                "elapsed": round(p.elapsed, 3),
                "reason": None if p.ready else p.reason,
                "detail": None if p.ready else p.detail,
                "hint": None if p.ready else p.hint,
            }
            for p in probes
        ],
    }
    say(1, json.dumps(report).encode() + b"\n")


# ---------------------------------------------------------------------------------------------------------------------
# The command line (READY-USAGE)

USAGE = f"""usage: ready [--all | --any] KIND TARGET [KIND TARGET ...] [options]

Exit 0 once the service has answered end to end, 1 when the time is over, 2 for a bad command line.

kinds:
  agent TARGET                        a ping is answered by a pong
  ssh TARGET                          an SSH identification string comes
  tcp-banner TARGET --expect PREFIX   the first bytes that come are PREFIX
  http TARGET [--path P] [--status N] a GET of P (/) is answered with status N (200)
  notify [--listen] unix:PATH|vsock:PORT   listens there until a message says READY=1
targets: {TARGETS}
options:
  --hint TEXT            of the probe before it: what to look at if it fails
  --all, --any           each probe has to answer (the default), or one
  --timeout S            of everything (60)
  --attempt-timeout S    of one attempt (5)
  --interval S           between two attempts of a probe (0.2)
  --json                 print a JSON object at the end
  --help, --version
"""
KINDS = {
    "agent": (),
    "ssh": (),
    "tcp-banner": ("--expect",),
    "http": ("--path", "--status"),
    "notify": ("--listen",),
}
OF_A_PROBE = ("--expect", "--path", "--status", "--hint", "--listen")
TIMES = ("--timeout", "--attempt-timeout", "--interval")
FLAGS = ("--all", "--any", "--json", "--help", "--version")


class CommandLine:
    """What was asked for. Raises Usage."""

    def __init__(self, arguments: list[str]) -> None:
        self.probes: list[Probe] = []
        self.flags: list[str] = []
        self.times = {
            "--timeout": SECONDS_TIMEOUT,
            "--attempt-timeout": SECONDS_ATTEMPT,
            "--interval": SECONDS_INTERVAL,
        }
        self.given: list[str] = []
        self.rest = list(arguments)
        while self.rest:
            argument = self.rest.pop(0)
            name, equals, value = argument.partition("=")
            if argument in FLAGS:
                self.once(argument)
                self.flags.append(argument)
            elif name in TIMES:
                self.once(name)
                self.times[name] = seconds(name, self.value(name, equals, value))
            elif name in OF_A_PROBE:
                self.option(name, self.value(name, equals, value))
            elif argument.startswith("-"):
                raise Usage(f"{word(argument)}: not an option; accepted are {' '.join(OF_A_PROBE + TIMES + FLAGS)}")
            else:
                self.begin(argument)
        if "--help" not in self.flags and "--version" not in self.flags:
            self.check()

    def once(self, name: str) -> None:
        if name in self.given:
            raise Usage(f"{name}: accepted only once")
        self.given.append(name)

    def value(self, name: str, equals: str, value: str) -> str:
        if not equals:
            value = self.rest.pop(0) if self.rest else ""
        if not value:
            raise Usage(f"{name}: a value is missing, {name} VALUE is accepted")
        return value

    def begin(self, kind: str) -> None:
        if kind not in KINDS:
            raise Usage(f"{word(kind)}: not a kind of probe; accepted are {', '.join(KINDS)}")
        probe = Probe(kind)
        self.probes.append(probe)
        if self.rest and not self.rest[0].startswith("-"):
            probe.target = Target(self.rest.pop(0), listening=kind == "notify")

    def option(self, name: str, value: str) -> None:
        probe = self.probes[-1] if self.probes else None
        if probe is None or name not in (*KINDS[probe.kind], "--hint"):
            raise Usage(f"{name}: accepted after {' or '.join(k for k in KINDS if name in (*KINDS[k], '--hint'))}")
        if name in probe.options or (name == "--listen" and probe.target is not None):
            raise Usage(f"{name}: accepted only once for each probe, and --listen only where there is no TARGET")
        probe.options[name] = value
        if name == "--listen":
            probe.target = Target(value, listening=True)
        elif name == "--status" and not (
            value.isascii() and value.isdigit() and "200" <= value <= "599" and len(value) == 3
        ):
            raise Usage(f"--status {word(value)}: an HTTP status from 200 to 599 is accepted")
        elif name == "--path" and (value[0] != "/" or any(not 0x20 < b != 0x7F for b in os.fsencode(value))):
            raise Usage(f"--path {line_of(word(value))}: a path that begins with / and has no blanks is accepted")

    def check(self) -> None:
        if not self.probes:
            raise Usage(f"a probe is missing; accepted are KIND TARGET, KIND one of {', '.join(KINDS)}")
        if "--all" in self.flags and "--any" in self.flags:
            raise Usage("--all or --any is accepted, not both")
        for probe in self.probes:
            if probe.target is None:
                accepted = "unix:PATH or vsock:PORT" if probe.kind == "notify" else TARGETS
                raise Usage(f"{probe.kind}: a target is missing; {accepted} is accepted")
            if probe.kind == "tcp-banner" and "--expect" not in probe.options:
                raise Usage("tcp-banner: --expect PREFIX is missing; tcp-banner TARGET --expect PREFIX is accepted")
            probe.attempt_timeout = self.times["--attempt-timeout"]
            probe.interval = self.times["--interval"]


def seconds(name: str, value: str) -> float:
    before, point, after = value.partition(".")
    good = value.isascii() and before.isdigit() and (after.isdigit() if point else True)
    number = float(value) if good else 0.0
    if not 0 < number <= SECONDS_MOST:
        raise Usage(f"{name} {word(value)}: seconds over 0 and up to {SECONDS_MOST:.0f} are accepted, such as 5 or 0.3")
    return number


def open_standard_descriptors() -> None:
    """READY-CLEAN: else a connection could become descriptor 2, and be written to."""
    for fd in range(3):
        try:
            fcntl.fcntl(fd, fcntl.F_GETFD)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # as fd itself, the lowest that is free


def main() -> NoReturn:
    began = time.monotonic()
    open_standard_descriptors()
    try:
        asked = CommandLine(sys.argv[1:])
    except Usage as usage:
        tell_line(str(usage))
        os._exit(2)
    if "--help" in asked.flags or "--version" in asked.flags:
        say(1, USAGE.encode() if "--help" in asked.flags else f"guestwire {VERSION}\n".encode())
        os._exit(0)
    status = watch(asked.probes, asked.times["--timeout"], "--any" in asked.flags, began)
    elapsed = time.monotonic() - began
    for probe in asked.probes:
        probe.give_up()
    if "--json" in asked.flags:
        tell_json(asked.probes, status == 0, elapsed)
    if status == 1:
        tell_failure(asked.probes, elapsed)
    os._exit(status)  # without Python's farewell, which would wait for nothing good: a look-up may still be under way


if __name__ == "__main__":
    main()
