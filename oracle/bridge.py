#!/usr/bin/env -S python3 -I -S
"""The reference bridge: a listening socket for clients, a connection of its own to the guest for each of them.

Written for reading: whoever doubts a clause of the contract (conformance/spec/bridge-v1.md) reads how it is kept here. Sections
stand in the contract's order and cite its ids. One thread and one epoll serve everybody; only names are looked up in threads.

Standard library only, Python 3.8 or later, Linux only.
"""

# ruff: noqa: SIM105 - contextlib would cost every start a millisecond
from __future__ import annotations

import _thread
import errno
import fcntl
import os
import resource
import select
import stat
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Callable
    from typing import NoReturn, Tuple, Union

    SockAddress = Union[bytes, Tuple[str, int], Tuple[int, int], Tuple[str, int, int, int], Tuple[int, bytes]]
    Way = Tuple[int, SockAddress]  # address family and what to connect to
else:  # the C halves of the two modules: the same names, without 12 ms of enum and selectors at every start
    import _signal as signal
    import _socket as socket

VERSION = "0.1.0"

CONNECT_TIMEOUT = 30.0  # seconds that a client waits for the guest
REDIAL = 0.1  # seconds between two attempts: more often than five times a second
GREETING_TIMEOUT = 10.0  # seconds for the first line of a client of `--listen hybrid:`
LINE_MOST = 64  # bytes of a handshake's line
STALL = 1.0  # seconds without progress, after which bytes of who has gone are given up
CHUNK = 262_144  # bytes held for each direction of a pair, at most
ROUNDS = 8  # chunks for one direction before others have their turn
TICK = 0.05  # seconds between two looks at whatever waits for a time
STATUS_TICK = 0.3
PARENT_TICK = 0.2
RETRY = 0.1  # seconds until accepting is tried again
SPARE = 8  # descriptors kept for files, names and the rest
BACKLOG = 4_096
FAR = float("inf")


class Fatal(Exception):
    """The bridge cannot start: one line, and the exit status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


# ---------------------------------------------------------------------------------------------------------------------
# 1 Addresses


class Address:
    """A parsed address; `kind` is unix, tcp, vsock, hybrid or fd."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text
        self.path = b""  # unix, hybrid
        self.host = ""  # tcp
        self.cid = socket.VMADDR_CID_ANY  # vsock
        self.port = 0  # tcp, vsock, hybrid
        self.fd = -1  # fd

    @property
    def family(self) -> str:
        """How its connections behave: unix, tcp or vsock."""
        return "unix" if self.kind == "hybrid" else self.kind


LISTEN_FORMS = "unix:PATH, tcp:HOST:PORT, vsock:[CID:]PORT, hybrid:PATH:PORT or fd:N"
TARGET_FORMS = "unix:PATH, tcp:HOST:PORT, vsock:CID:PORT or hybrid:PATH:PORT"
PORT_MOST = 4_294_967_294  # of vsock; the next one is VMADDR_PORT_ANY
PATH_MOST = 107  # bytes


def parse_address(name: str, text: str) -> Address:
    """BRIDGE-TARGET, BRIDGE-ADDRESS: the value of `--connect` or `--listen`."""
    listens = name == "--listen"
    refused = Fatal(2, f"{name} {text}: {LISTEN_FORMS if listens else TARGET_FORMS} is accepted")
    kind, _, rest = text.partition(":")
    found = Address(kind, text)
    if kind == "fd" and listens:
        found.fd = whole(name, rest, 0, 2**31 - 1)
    elif kind == "unix":
        found.path = os.fsencode(rest)
    elif kind == "hybrid":
        path, _, port = rest.rpartition(":")
        found.path = os.fsencode(path)
        found.port = whole(f"{name} {text}: the port", port, 1, PORT_MOST)
    elif kind == "tcp":
        host, _, port = rest.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        found.host = host[1:-1] if bracketed else host
        if not found.host or bracketed != (":" in found.host):
            raise refused
        found.port = whole(f"{name} {text}: the port", port, 1, 65_535)
    elif kind == "vsock":
        cid, colon, port = rest.rpartition(":")
        if colon or not listens:
            found.cid = whole(f"{name} {text}: the CID", cid, 0, 2**32 - 1)
        found.port = whole(f"{name} {text}: the port", port, 1, PORT_MOST)
    else:
        raise refused
    if kind in ("unix", "hybrid") and not 0 < len(found.path) <= PATH_MOST:
        raise Fatal(2, f"{name} {text}: a path of 1 to {PATH_MOST} bytes is accepted")
    return found


def whole(name: str, value: str, least: int, most: int) -> int:
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else -1
    if not least <= number <= most:
        raise Fatal(2, f"{name} {value}: an integer from {least} to {most} is accepted")
    return number


def look_up(host: str, port: int) -> list[Way]:
    """Every address of a name, or the address that it is. Raises OSError; may take long."""
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def numeric(host: str, port: int) -> list[Way]:
    """The address that it is; empty for a name."""
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [(family, address) for family, _, _, _, address in found]


def is_loopback(way: Way) -> bool:
    """BRIDGE-REMOTE."""
    family, address = way
    if family == socket.AF_INET:
        return socket.inet_pton(family, str(address[0]))[:1] == b"\x7f"
    packed = socket.inet_pton(socket.AF_INET6, str(address[0]).partition("%")[0])
    return packed == bytes(15) + b"\x01" or packed[:13] == bytes(10) + b"\xff\xff\x7f"


# ---------------------------------------------------------------------------------------------------------------------
# 2 Listening


class Listener:
    """What clients connect to."""

    def __init__(self, address: Address, allow_remote: bool) -> None:
        self.address = address
        self.inode: tuple[int, int] | None = None  # of the socket file that was made
        if address.kind in ("unix", "hybrid"):
            self.family = "unix"
            self.sock = self.listen_unix()
        elif address.kind == "fd":
            self.sock = self.inherited()
        elif address.kind == "vsock":
            self.family = "vsock"
            self.sock = self.bound(socket.AF_VSOCK, (address.cid, address.port))
        else:
            self.family = "tcp"
            self.sock = self.listen_tcp(allow_remote)
        self.sock.setblocking(False)

    def failure(self, error: OSError | str) -> Fatal:
        reason = error if isinstance(error, str) else error.strerror or str(error)
        return Fatal(1, f"cannot listen on {self.address.text}: {reason}")

    def bound(self, family: int, address: SockAddress) -> socket.socket:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            if family != socket.AF_VSOCK:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
        except OSError as error:
            raise self.failure(error) from None
        return sock

    def listen_tcp(self, allow_remote: bool) -> socket.socket:
        """BRIDGE-REMOTE: every address of a name counts; then the first one is taken."""
        try:
            ways = look_up(self.address.host, self.address.port)
        except (OSError, UnicodeError) as error:
            raise self.failure(str(error)) from None
        if not allow_remote and not all(map(is_loopback, ways)):
            raise Fatal(
                2, f"--listen {self.address.text}: loopback is accepted, another address only with --allow-remote"
            )
        return self.bound(*ways[0])

    def inherited(self) -> socket.socket:
        wanted = f"--listen fd:{self.address.fd}: a listening stream socket is accepted"
        try:
            sock = socket.socket(fileno=self.address.fd)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise Fatal(2, f"{wanted}, this is none: {error.strerror}") from None
        families = {socket.AF_UNIX: "unix", socket.AF_INET: "tcp", socket.AF_INET6: "tcp", socket.AF_VSOCK: "vsock"}
        if not listens or sock.type != socket.SOCK_STREAM or sock.family not in families:
            raise Fatal(2, f"{wanted}, this is none")
        self.family = families[sock.family]
        return sock

    def listen_unix(self) -> socket.socket:
        """BRIDGE-TAKEN, BRIDGE-MODE. The folder is locked meanwhile, or of two that start together on a stale socket the second
        would replace what the first has just made."""
        path = self.address.path
        lock = self.lock(os.path.dirname(path) or b".")
        umask = os.umask(0o177)
        try:
            self.make_way(path)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(path)
            status = os.lstat(path)
            self.inode = (status.st_dev, status.st_ino)
            sock.listen(BACKLOG)
        except OSError as error:
            self.remove()
            raise self.failure(error) from None
        finally:
            os.umask(umask)
            if lock is not None:
                os.close(lock)
        return sock

    def lock(self, folder: bytes) -> int | None:
        """A descriptor that holds the lock; None where the folder cannot be opened."""
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return None
        end = time.monotonic() + 2
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except OSError:
                if time.monotonic() > end:
                    os.close(fd)
                    return None
                time.sleep(0.01)

    def make_way(self, path: bytes) -> None:
        """A stale socket goes; a live one, or what is no socket, stays."""
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise self.failure("something is in the way that is no socket")
        except FileNotFoundError:
            return
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            pass  # its queue is full, or it is no stream socket: it lives
        finally:
            probe.close()
        raise self.failure("another process serves it")

    def remove(self) -> None:
        """BRIDGE-STOP: only while it is still what was made."""
        try:
            status = os.lstat(self.address.path)
            if self.inode == (status.st_dev, status.st_ino):
                os.unlink(self.address.path)
        except OSError:
            pass


class Resolver:
    """Looks a name up in a thread, one at a time, for all who wait for it."""

    def __init__(self, host: str, port: int, wake: Callable[[], None]) -> None:
        self.host = host
        self.port = port
        self.wake = wake
        self.running = False
        self.ways: list[Way] = numeric(host, port)
        self.known_until = FAR if self.ways else 0.0
        self.failure = ""

    def answer(self) -> list[Way] | None:
        """Every address; None while it is being looked up, in which case wake() is called. Raises OSError."""
        if self.running:
            return None
        if time.monotonic() >= self.known_until:
            self.running = True
            _thread.start_new_thread(self.work, ())
            return None
        if self.failure:
            raise OSError(errno.EHOSTUNREACH, self.failure)
        return list(self.ways)

    def work(self) -> None:
        self.failure = ""
        try:
            self.ways = look_up(self.host, self.port)
        except (OSError, UnicodeError) as error:
            self.failure = getattr(error, "strerror", "") or str(error)
        self.known_until = time.monotonic() + 1
        self.running = False
        self.wake()


class Pair:
    """A client, and its guest once there is one. `dialled` is a connection that is being made."""

    def __init__(self, client: End, now: float, timeout: float) -> None:
        self.client = client
        self.guest: End | None = None
        self.dialled: socket.socket | None = None
        self.ways: list[Way] = []  # still to be tried in this attempt
        self.line = bytearray()  # of a handshake
        self.early = b""  # came right behind the client's handshake
        self.greets = False  # its client has yet to say which port it wants
        self.patience = now + timeout
        self.redial_at = 0.0
        self.reason = ""  # of the last attempt
        self.progress = 0
        self.give_up_at = 0.0
        self.reset = False
        self.closed = False


# ---------------------------------------------------------------------------------------------------------------------
# 3 Copying


class End:
    """One connection of a pair."""

    def __init__(self, sock: socket.socket, family: str, can_half_close: bool = True) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.family = family
        self.can_half_close = can_half_close
        self.outbox = bytearray()  # on its way there
        self.taken = 0  # bytes that went there
        self.ended = False  # everything from there has been read
        self.told = False  # the other's end has been passed on to it
        self.gone = False  # it has closed, and takes nothing any more
        self.mask: int | None = None  # what epoll reports of it; None: nothing
        if family == "tcp":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def has_left(self) -> bool:
        """BRIDGE-CLOSE: whether who has sent an end of stream is gone altogether. A send of nothing tells; TCP cannot say, nor
        can a socket that has been shut down on this side."""
        if self.family == "tcp" or self.told:
            return False
        try:
            self.sock.send(b"", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            return True
        return False

    def unsent(self) -> int:
        """Bytes that the kernel still holds for it, which closing could destroy: on TCP alone."""
        if self.family != "tcp":
            return 0
        try:
            return int.from_bytes(fcntl.ioctl(self.fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except OSError:
            return 0


class Bridge:
    """Everything from the first client to the stop. A pair is in `waiting` until its guest is connected."""

    def __init__(self, options: Options, log: Log) -> None:
        self.options = options
        self.log = log
        self.target = options.connect
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.graveyard: list[socket.socket] = []
        self.pairs: set[Pair] = set()
        self.waiting: dict[Pair, None] = {}
        self.leaving: dict[Pair, None] = {}  # one of the two has gone
        self.half_closed: dict[End, Pair] = {}  # on vsock, where nothing tells when it goes
        self.scratch = memoryview(bytearray(CHUNK))
        self.accepted = self.to_guest = self.to_client = 0
        self.accepting = False
        self.accept_at = 0.0
        self.stopping = False
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_read, False)
        os.set_blocking(self.wake_write, False)
        self.handlers[self.wake_read] = self.woken
        self.epoll.register(self.wake_read, select.EPOLLIN)
        self.resolver = Resolver(self.target.host, self.target.port, self.wake) if self.target.kind == "tcp" else None
        self.listener: Listener | None = None
        self.most_pairs = 0

    def attach(self, listener: Listener) -> None:
        self.listener = listener
        self.handlers[listener.sock.fileno()] = self.accept
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        own = len(os.listdir("/proc/self/fd"))
        self.most_pairs = max((limit - own - SPARE) // 2, 1) if limit != resource.RLIM_INFINITY else 2**30
        self.accept_more()

    def wake(self) -> None:
        """From a signal or a thread: the loop turns once more."""
        try:
            os.write(self.wake_write, b"\0")
        except BlockingIOError:
            pass  # so many wake-ups are pending that one is certain

    def woken(self, _: int) -> None:
        try:
            os.read(self.wake_read, 4096)
        except BlockingIOError:
            pass

    # -- the loop -----------------------------------------------------------------------------------------------------

    def serve(self, status: Status | None, parent: int) -> None:
        """Until SIGTERM, SIGINT or, with `parent` not 0, the end of that process."""
        status_at = parent_at = tick_at = 0.0
        while not self.stopping:
            now = time.monotonic()
            if now >= tick_at:
                tick_at = now + TICK
                self.tick(now)
            if status and now >= status_at:
                status_at = now + STATUS_TICK
                status.write(self.facts())
            if parent and now >= parent_at:
                parent_at = now + PARENT_TICK
                self.stopping = os.getppid() != parent
            until = [tick_at if self.something_waits() else FAR, status_at if status else FAR, parent_at or FAR]
            self.turn(min(until))

    def something_waits(self) -> bool:
        return bool(self.waiting or self.leaving or self.half_closed or not self.accepting)

    def turn(self, until: float) -> None:
        """What epoll reports, at the latest until then. A descriptor is closed only between two turns, so that no event of the
        same turn meets another that was given its number."""
        if self.graveyard:
            for sock in self.graveyard:
                sock.close()
            self.graveyard.clear()
            self.accept_more()
        timeout = -1.0 if until == FAR else max(until - time.monotonic(), 0.0) + 0.001
        for fd, events in self.epoll.poll(timeout):
            handler = self.handlers.get(fd)
            if handler:
                handler(events)

    def tick(self, now: float) -> None:
        for pair in list(self.waiting):
            if now >= pair.patience:
                self.give_up_waiting(pair)
            elif now >= pair.redial_at and not pair.dialled and not pair.greets:
                self.dial(pair)
        for end, pair in list(self.half_closed.items()):
            if end.has_left():
                end.gone = True
                self.carry_both(pair)
        for pair in list(self.leaving):
            self.watch_leaving(pair, now)
        if not self.accepting and now >= self.accept_at:
            self.accept_more()

    def facts(self) -> dict[str, object]:
        """BRIDGE-STATUS."""
        return {
            "connections": len(self.pairs) - len(self.waiting),
            "waiting": len(self.waiting),
            "accepted": self.accepted,
            "bytes_to_guest": self.to_guest,
            "bytes_to_client": self.to_client,
        }

    # -- clients ------------------------------------------------------------------------------------------------------

    def accept_more(self) -> None:
        """BRIDGE-SHORTAGE: accept as long as there are two descriptors for each pair."""
        wanted = len(self.pairs) < self.most_pairs and time.monotonic() >= self.accept_at
        if wanted != self.accepting and self.listener:
            self.accepting = wanted
            if wanted:
                self.epoll.register(self.listener.sock.fileno(), select.EPOLLIN)
            else:
                self.epoll.unregister(self.listener.sock.fileno())

    def accept(self, _: int) -> None:
        assert self.listener is not None
        for _ in range(64):
            if len(self.pairs) >= self.most_pairs:
                break
            try:
                fd, _ = self.listener.sock._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor or memory
                self.accept_at = time.monotonic() + RETRY
                break
            sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            self.admit(sock, self.listener)
        self.accept_more()

    def admit(self, sock: socket.socket, listener: Listener) -> None:
        now = time.monotonic()
        self.accepted += 1
        pair = Pair(End(sock, listener.family), now, self.options.connect_timeout)
        self.pairs.add(pair)
        self.waiting[pair] = None
        if listener.address.kind == "hybrid":
            pair.greets = True
            pair.patience = now + GREETING_TIMEOUT
        self.register(pair.client, lambda events: self.on_waiting(pair, events), select.EPOLLIN if pair.greets else 0)
        if not pair.greets:
            self.dial(pair)

    def on_waiting(self, pair: Pair, events: int) -> None:
        """BRIDGE-WAIT: its bytes stay where they are; only that it hangs up is of interest."""
        if pair.greets and events & select.EPOLLIN:
            self.read_greeting(pair)
        elif events & (select.EPOLLHUP | select.EPOLLERR):
            self.mute(pair.client)
            pair.client.gone = True
            pair.patience = min(pair.patience, time.monotonic() + STALL)
            if not pair.dialled:  # an attempt under way may still take what it has sent
                self.close(pair)

    def read_greeting(self, pair: Pair) -> None:
        """BRIDGE-ADDRESS: `CONNECT PORT\\n` from a client of `--listen hybrid:`."""
        try:
            data = pair.client.sock.recv(LINE_MOST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(pair)
            return
        pair.line += data
        line, newline, rest = bytes(pair.line).partition(b"\n")
        if not newline and len(line) < LINE_MOST:
            return
        if line != b"CONNECT %d" % self.options.listen.port or not newline:
            self.refuse_greeting(pair)
            return
        pair.early = rest
        pair.line.clear()
        pair.greets = False
        pair.patience = time.monotonic() + self.options.connect_timeout
        self.set_mask(pair.client, 0)
        self.dial(pair)

    def refuse_greeting(self, pair: Pair) -> None:
        self.log.line(f"a client did not begin with CONNECT {self.options.listen.port}")
        self.close(pair)

    # -- the guest ----------------------------------------------------------------------------------------------------

    def dial(self, pair: Pair) -> None:
        """One attempt, at every address in turn."""
        pair.redial_at = time.monotonic() + REDIAL
        target = self.target
        try:
            if self.resolver:
                ways = self.resolver.answer()
                if ways is None:
                    pair.redial_at = 0.0  # at the next tick after the answer
                    return
                pair.ways = ways
            elif target.kind == "vsock":
                pair.ways = [(socket.AF_VSOCK, (target.cid, target.port))]
            else:
                pair.ways = [(socket.AF_UNIX, target.path)]
            self.dial_next(pair)
        except (OSError, RuntimeError) as error:
            self.missed(pair, error)

    def dial_next(self, pair: Pair) -> None:
        while pair.ways:
            family, address = pair.ways.pop(0)
            sock = None
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.setblocking(False)
                self.begin(pair, sock, sock.connect_ex(address))
                return
            except OSError as error:
                if sock:
                    sock.close()
                self.missed(pair, error)
        if pair.client.gone and not pair.closed:
            self.close(pair)

    def begin(self, pair: Pair, sock: socket.socket, number: int) -> None:
        """Raises OSError where connecting failed at once."""
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
        pair.dialled = sock
        self.handlers[sock.fileno()] = lambda _: self.on_connected(pair)
        self.epoll.register(sock.fileno(), select.EPOLLOUT)
        if number == 0:
            self.on_connected(pair)

    def missed(self, pair: Pair, error: OSError | RuntimeError | str) -> None:
        pair.reason = error if isinstance(error, str) else getattr(error, "strerror", "") or str(error)

    def on_connected(self, pair: Pair) -> None:
        sock = pair.dialled
        assert sock is not None
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.attempt_failed(pair, os.strerror(number))
        elif self.target.kind != "hybrid":
            self.connected(pair)
        else:
            try:
                sock.send(b"CONNECT %d\n" % self.target.port, socket.MSG_NOSIGNAL)
            except OSError as error:
                self.attempt_failed(pair, error.strerror or "")
                return
            pair.line.clear()
            self.handlers[sock.fileno()] = lambda _: self.read_answer(pair)
            self.epoll.modify(sock.fileno(), select.EPOLLIN)

    def read_answer(self, pair: Pair) -> None:
        """BRIDGE-HYBRID: byte for byte, for what follows the line is the guest's."""
        assert pair.dialled is not None
        while not pair.line.endswith(b"\n"):
            try:
                byte = pair.dialled.recv(1)
            except BlockingIOError:
                return
            except OSError:
                byte = b""
            if not byte or len(pair.line) >= LINE_MOST:
                self.attempt_failed(pair, "the proxy's answer has no end" if byte else "the proxy closed")
                return
            pair.line += byte
        if pair.line.startswith(b"OK "):
            self.connected(pair)
        else:
            self.attempt_failed(pair, "the proxy refused")

    def attempt_failed(self, pair: Pair, reason: str) -> None:
        self.drop_dialled(pair)
        self.missed(pair, reason)
        pair.redial_at = max(pair.redial_at, time.monotonic() + REDIAL / 2)
        self.dial_next(pair)

    def drop_dialled(self, pair: Pair) -> None:
        if pair.dialled:
            self.forget(pair.dialled.fileno())
            self.graveyard.append(pair.dialled)
            pair.dialled = None

    def give_up_waiting(self, pair: Pair) -> None:
        if pair.greets:
            self.refuse_greeting(pair)
            return
        if not pair.client.gone:
            reason = pair.reason or "no answer"
            self.log.line(f"no connection to {self.target.text} within {self.options.connect_timeout:g} s: {reason}")
        self.close(pair)

    def connected(self, pair: Pair) -> None:
        sock = pair.dialled
        assert sock is not None
        pair.dialled = None
        del self.waiting[pair]
        pair.guest = End(sock, self.target.family, can_half_close=self.target.kind != "hybrid")
        pair.guest.outbox += pair.early
        pair.early = b""
        if self.options.listen.kind == "hybrid":
            pair.client.outbox += b"OK %d\n" % self.options.listen.port
        pair.guest.mask = select.EPOLLOUT
        self.set_mask(pair.guest, 0)
        for end in (pair.client, pair.guest):
            if end.mask is not None:
                self.handlers[end.fd] = lambda events, end=end: self.on_end(pair, end, events)  # type: ignore[misc]
        self.carry_both(pair)

    # -- a pair -------------------------------------------------------------------------------------------------------

    def on_end(self, pair: Pair, end: End, events: int) -> None:
        if events & (select.EPOLLHUP | select.EPOLLERR):
            self.hung_up(pair, end, events)
        if not pair.closed:
            self.carry_both(pair)

    def hung_up(self, pair: Pair, end: End, events: int) -> None:
        """epoll would report it for ever, so it reports nothing any more: what is still to be read there is read as the other
        side takes it. On a socket that was shut down on this side a hang-up may be a half-close from there, which ends nothing
        but what has ended."""
        self.mute(end)
        if end.family != "tcp":
            end.gone = end.gone or not end.told
        elif events & select.EPOLLERR:
            end.gone = True
            if not end.ended:
                self.was_reset(pair, end)

    def was_reset(self, pair: Pair, end: End) -> None:
        """BRIDGE-RESET. What TCP has still to give after that is nobody's; on the other kinds everything has been read."""
        if not pair.reset:
            pair.reset = True
            self.log.line(f"the {'client' if end is pair.client else 'guest'} reset its connection")
        if end.family == "tcp" and not pair.closed:
            other = pair.guest if end is pair.client else pair.client
            if other:
                self.carry(pair, end, other)
            self.close(pair)

    def carry_both(self, pair: Pair) -> None:
        client, guest = pair.client, pair.guest
        assert guest is not None
        for source, sink in ((client, guest), (guest, client)):
            if not pair.closed:
                self.carry(pair, source, sink)
        if not pair.closed:
            self.settle(pair, client, guest)

    def carry(self, pair: Pair, source: End, sink: End) -> None:
        """BRIDGE-BYTES, BRIDGE-PRESSURE: nothing is read before everything read earlier has been taken."""
        rounds = 0
        while rounds < ROUNDS or source.mask is None:
            rounds += 1
            if sink.outbox and not self.flush(sink):
                return
            if source.ended:
                return
            try:
                size = source.sock.recv_into(self.scratch)
            except BlockingIOError:
                return
            except OSError:
                source.ended = source.gone = True
                self.mute(source)
                self.was_reset(pair, source)
                return
            if size == 0:
                source.ended = True
                source.gone = source.gone or source.has_left()
                return
            if not sink.gone:
                self.give(sink, self.scratch[:size])
                if sink is pair.guest:
                    self.to_guest += size
                else:
                    self.to_client += size

    def give(self, sink: End, data: memoryview) -> None:
        try:
            sent = sink.sock.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.takes_no_more(sink)
            return
        sink.taken += sent
        sink.outbox += data[sent:]

    def flush(self, sink: End) -> bool:
        """Return: whether nothing is left."""
        if not sink.gone:
            try:
                sent = sink.sock.send(sink.outbox, socket.MSG_NOSIGNAL)
                sink.taken += sent
                del sink.outbox[:sent]
            except BlockingIOError:
                return False
            except OSError:
                self.takes_no_more(sink)
        if sink.gone:
            sink.outbox.clear()
        return not sink.outbox

    def takes_no_more(self, end: End) -> None:
        """Sending failed: whoever was there has closed. Whether that was a reset is told by reading."""
        end.gone = True
        end.outbox.clear()

    def settle(self, pair: Pair, client: End, guest: End) -> None:
        """BRIDGE-HALF, BRIDGE-CLOSE, BRIDGE-DONE: what follows from how far both directions are."""
        for source, sink in ((client, guest), (guest, client)):
            if sink.gone:
                sink.outbox.clear()
            over = source.ended and not sink.outbox
            if over and not source.gone and not sink.gone and not sink.told and sink.can_half_close:
                self.tell_end(sink)
            if over and source.gone and self.delivered(sink):
                self.close(pair)
                return
        if client.gone and guest.gone:
            self.close(pair)
            return
        if client.ended and guest.ended and not client.outbox and not guest.outbox:
            self.close(pair)
            return
        if (client.gone or guest.gone) and pair not in self.leaving:
            self.leaving[pair] = None
            pair.progress = -1
        for end, other in ((client, guest), (guest, client)):
            if end.family == "vsock" and end.ended and not end.told:
                self.half_closed[end] = pair
            if end.mask is not None:
                reads = select.EPOLLIN if not end.ended and not other.outbox else 0
                self.set_mask(end, reads | (select.EPOLLOUT if end.outbox else 0))

    def tell_end(self, sink: End) -> None:
        sink.told = True
        self.half_closed.pop(sink, None)
        try:
            sink.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has gone, which reading tells

    def delivered(self, sink: End) -> bool:
        """Whether closing destroys nothing: TCP gives up what is on its way once the other side sends into a closed one."""
        if sink.gone or sink.ended or not sink.unsent():
            return True
        if not sink.told:
            self.tell_end(sink)
        return False

    def watch_leaving(self, pair: Pair, now: float) -> None:
        """BRIDGE-CLOSE: bytes of who has gone have as long as somebody takes them."""
        assert pair.guest is not None
        progress = sum(end.taken - end.unsent() for end in (pair.client, pair.guest) if not end.gone)
        if progress != pair.progress:
            pair.progress = progress
            pair.give_up_at = now + STALL
        elif now >= pair.give_up_at:
            self.close(pair)
            return
        self.carry_both(pair)

    def close(self, pair: Pair, orderly: bool = True) -> None:
        """Both connections, or the client's alone while it waits. What has come and is nobody's any more is taken from the
        kernel first, which would make a reset of it."""
        if pair.closed:
            return
        pair.closed = True
        self.pairs.discard(pair)
        self.waiting.pop(pair, None)
        self.leaving.pop(pair, None)
        self.drop_dialled(pair)
        for end in (pair.client, pair.guest):
            if end is None:
                continue
            self.half_closed.pop(end, None)
            self.mute(end)
            if pair.reset and end.family == "tcp":
                linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
                end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif orderly and not end.ended and not end.gone:
                self.drain(end)
            self.graveyard.append(end.sock)

    def drain(self, end: End) -> None:
        try:
            for _ in range(ROUNDS):
                if not end.sock.recv_into(self.scratch):
                    return
        except OSError:
            pass

    # -- epoll --------------------------------------------------------------------------------------------------------

    def register(self, end: End, handler: Callable[[int], None], mask: int) -> None:
        self.handlers[end.fd] = handler
        self.epoll.register(end.fd, mask)
        end.mask = mask

    def set_mask(self, end: End, mask: int) -> None:
        if end.mask is not None and end.mask != mask:
            end.mask = mask
            self.epoll.modify(end.fd, mask)

    def mute(self, end: End) -> None:
        if end.mask is not None:
            end.mask = None
            self.forget(end.fd)

    def forget(self, fd: int) -> None:
        self.handlers.pop(fd, None)
        try:
            self.epoll.unregister(fd)
        except OSError:
            pass


# ---------------------------------------------------------------------------------------------------------------------
# 4 Life cycle


class Log:
    """BRIDGE-LOG: lines that cannot be written at once are lost; the last one is kept for the status file."""

    def __init__(self) -> None:
        self.fd = 2
        self.last: str | None = None
        self.last_time: int | None = None

    def reopen(self) -> None:
        """A description of our own may be non-blocking without becoming so for whoever shares stderr with us."""
        try:
            mode = os.fstat(2).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                self.fd = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            pass

    def line(self, text: str) -> None:
        self.last = " ".join(text.split())[:900]
        self.last_time = int(time.time())
        try:
            writable = select.poll()
            writable.register(self.fd, select.POLLOUT)
            if writable.poll(0):
                os.write(self.fd, f"bridge: {self.last}\n".encode("utf-8", "replace"))
        except OSError:
            pass


def json_text(value: object) -> str:
    """A string, an integer, a boolean or None in JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value)
    text = str(value).encode("utf-8", "replace").decode("utf-8").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in text) + '"'


class Status:
    """BRIDGE-STATUS: the file, replaced as a whole."""

    def __init__(self, path: bytes, options: Options, log: Log) -> None:
        self.path = path
        self.options = options
        self.log = log
        self.text = ""
        self.inode: tuple[int, int] | None = None

    def write(self, facts: dict[str, object], listening: bool = True) -> bool:
        """Return: whether it stands there now. It is written again where it has changed, or somebody else's stands there."""
        members: dict[str, object] = {
            "listening": listening,
            "address": self.options.listen.text,
            "target": self.options.connect.text,
            "pid": os.getpid(),
            **facts,
            "last_error": self.log.last,
            "last_error_time": self.log.last_time,
        }
        text = "{" + ", ".join(f"{json_text(name)}: {json_text(value)}" for name, value in members.items()) + "}\n"
        return (text == self.text and self.is_ours()) or self.replace(text)

    def replace(self, text: str) -> bool:
        part = self.path + b".%d.part" % os.getpid()
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            self.fails(error)
            return False
        try:
            os.fchmod(fd, 0o600)
            os.write(fd, text.encode("utf-8", "replace"))
            status = os.fstat(fd)
            os.rename(part, self.path)
            self.inode = (status.st_dev, status.st_ino)
            self.text = text
        except OSError as error:
            self.fails(error)
            try:
                os.unlink(part)
            except OSError:
                pass
            return False
        finally:
            os.close(fd)
        return True

    def fails(self, error: OSError) -> None:
        reason = f"--status {os.fsdecode(self.path)}: {error.strerror}"
        if self.log.last != reason:
            self.log.line(reason)

    def is_ours(self) -> bool:
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return self.inode == (status.st_dev, status.st_ino)

    def remove(self) -> None:
        if self.is_ours():
            try:
                os.unlink(self.path)
            except OSError:
                pass


def tell_ready(options: Options, log: Log) -> None:
    """BRIDGE-READY."""
    number = options.ready_fd
    if number is not None:
        try:
            writable = select.poll()
            writable.register(number, select.POLLOUT)
            if not writable.poll(0):
                raise BlockingIOError(errno.EAGAIN, "it is full")
            os.write(number, b"READY=1\n")
        except OSError as error:
            log.line(f"--ready-fd: {error.strerror}")
        if number > 2:
            os.close(number)
        else:  # nothing else may take its place
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            os.close(null)
    error_text = notify(b"READY=1")
    if error_text:
        log.line(f"NOTIFY_SOCKET: {error_text}")


def notify(message: bytes) -> str:
    """systemd's notification protocol (sd_notify(3)). Return: what went wrong."""
    address = os.environb.get(b"NOTIFY_SOCKET", b"")
    if not address:
        return ""
    try:
        if address[:1] not in (b"/", b"@") or len(address) < 2:
            return "an address of an unknown kind"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name = b"\0" + address[1:] if address[:1] == b"@" else address
            sock.sendto(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, name)
        finally:
            sock.close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def starter() -> int:
    """BRIDGE-PARENT: the process that started this one; -1 if it has ended already. Then this one has been given to another
    parent, which shows where that lives in another session and this one has none of its own."""
    parent = os.getppid()
    if parent == 0:
        return 0  # beyond what can be seen from here
    try:
        ours, theirs = os.getsid(0), os.getsid(parent)
    except OSError:
        return -1
    return -1 if ours not in (theirs, os.getpid()) else parent


def open_standard_descriptors() -> None:
    """BRIDGE-START."""
    for fd in range(3):
        try:
            fcntl.fcntl(fd, fcntl.F_GETFD)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # as fd itself, the lowest that is free


def raise_limit() -> None:
    """BRIDGE-SHORTAGE."""
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # as many as there are, then


def set_signals(bridge: Bridge) -> None:
    """BRIDGE-START: whatever was ignored or blocked before."""

    def stop(_: int, __: object) -> None:
        bridge.stopping = True

    signal.set_wakeup_fd(bridge.wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))


# ---------------------------------------------------------------------------------------------------------------------
# The command line

USAGE = f"""\
bridge.py {VERSION}: a socket for clients of a guest that is reachable otherwise

  --listen ADDRESS        {LISTEN_FORMS};
                          without it LISTEN_PID and LISTEN_FDS=1 hand over descriptor 3
  --connect TARGET        {TARGET_FORMS}
  --allow-remote          listen on another address than loopback
  --connect-timeout S     a client waits S seconds for the guest (default: {CONNECT_TIMEOUT:g})
  --exit-with-parent      stop when the process that started it has ended
  --ready-fd N            write READY=1 to this descriptor once connections are accepted, and close it
  --status PATH           keep a JSON object there that says how things are
  --version, --help
"""

VALUED = ("--listen", "--connect", "--connect-timeout", "--ready-fd", "--status")
FLAGS = ("--allow-remote", "--exit-with-parent", "--version", "--help")
SECONDS_MOST = 1_000_000


class Options:
    """The command line, judged: whatever an option says is checked before anything is bound."""

    listen: Address
    connect: Address

    def __init__(self) -> None:
        self.allow_remote = False
        self.connect_timeout = CONNECT_TIMEOUT
        self.exit_with_parent = False
        self.ready_fd: int | None = None
        self.status: bytes | None = None

    def set(self, name: str, value: str) -> None:
        if name == "--listen":
            self.listen = parse_address(name, value)
        elif name == "--connect":
            self.connect = parse_address(name, value)
        elif name == "--connect-timeout":
            self.connect_timeout = seconds(name, value)
        elif name == "--status":
            self.status = os.fsencode(value)
        else:
            self.ready_fd = whole(name, value, 0, 2**31 - 1)
            try:
                fcntl.fcntl(self.ready_fd, fcntl.F_GETFD)
            except OSError:
                raise Fatal(2, f"{name} {value}: an open descriptor is accepted, this is none") from None


def seconds(name: str, value: str) -> float:
    before, point, after = value.partition(".")
    good = value.isascii() and before.isdigit() and (after.isdigit() if point else True)
    number = float(value) if good else 0.0
    if not 0 < number <= SECONDS_MOST:
        raise Fatal(2, f"{name} {value}: seconds over 0 and up to {SECONDS_MOST} are accepted, such as 5 or 0.3")
    return number


def parse_command_line(arguments: list[str]) -> Options:
    """BRIDGE-USAGE. Raises Fatal; ends the process for --version and --help."""
    options = Options()
    seen = set()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in VALUED and (name not in FLAGS or equals):
            raise Fatal(2, f"{argument}: not an option; accepted are {' '.join(VALUED + FLAGS)}")
        if name in seen:
            raise Fatal(2, f"{name}: accepted only once")
        seen.add(name)
        if name in VALUED:
            if not equals:
                value = next(rest, "")
            if not value:
                raise Fatal(2, f"{name}: a value is missing, {name} VALUE is accepted")
            options.set(name, value)
        elif name == "--allow-remote":
            options.allow_remote = True
        elif name == "--exit-with-parent":
            options.exit_with_parent = True
        else:
            say(USAGE if name == "--help" else f"bridge.py {VERSION}\n")
            os._exit(0)
    if "--connect" not in seen:
        raise Fatal(2, f"--connect is missing: {TARGET_FORMS} is accepted")
    if "--listen" not in seen:
        options.listen = activated()
    return options


def activated() -> Address:
    """BRIDGE-ADDRESS: socket activation (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        return parse_address("--listen", "fd:3")
    raise Fatal(2, f"--listen is missing: {LISTEN_FORMS} is accepted, or socket activation with one socket")


def say(text: str) -> None:
    try:
        os.write(1, text.encode())
    except OSError:
        pass


def main() -> NoReturn:
    open_standard_descriptors()
    sys.stderr = None  # what Python itself would say there could stall: the log alone writes
    log = Log()
    status = None
    try:
        options = parse_command_line(sys.argv[1:])
        status = Status(options.status, options, log) if options.status else None
        parent = starter() if options.exit_with_parent else 0
        log.reopen()
        if parent >= 0:
            run(options, log, status, parent)
    except Fatal as fatal:
        fail(fatal, log, status)
    except Exception as error:  # no descriptor for the loop itself, say
        fail(Fatal(1, f"cannot serve: {type(error).__name__}: {error}"), log, status)
    os._exit(0)  # without Python's farewell, which would wait for a look-up


def fail(fatal: Fatal, log: Log, status: Status | None) -> NoReturn:
    """BRIDGE-START, BRIDGE-STATUS: told on stderr and, unless the command line was at fault, in the status file."""
    if fatal.text:
        log.line(fatal.text)
    if status and fatal.status == 1:
        status.write(dict.fromkeys(NUMBERS, 0), listening=False)
    os._exit(fatal.status)


NUMBERS = ("connections", "waiting", "accepted", "bytes_to_guest", "bytes_to_client")


def run(options: Options, log: Log, status: Status | None, parent: int) -> None:
    raise_limit()
    bridge = Bridge(options, log)
    set_signals(bridge)
    listener = Listener(options.listen, options.allow_remote)
    try:
        bridge.attach(listener)
        if status and not status.write(bridge.facts()):
            raise Fatal(1, "")  # it is said already
        tell_ready(options, log)
        bridge.serve(status, parent)
        notify(b"STOPPING=1")
    finally:
        listener.remove()
        if status:
            status.remove()
    for pair in list(bridge.pairs):  # BRIDGE-STOP
        bridge.close(pair, orderly=False)


if __name__ == "__main__":
    main()
