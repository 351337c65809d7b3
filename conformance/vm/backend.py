"""The host's end of a guest's virtio-vsock device, as a process: QEMU speaks vhost-user with it, clients speak Firecracker's
handshake (`CONNECT PORT`, answered by `OK PORT`), cases speak faults (control.py).

A connection that the guest opens to port P of the host ends in the Unix socket HYBRID_P, if somebody listens there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from guestwire.vm import vhost_user
from guestwire.vm.control import Control
from guestwire.vm.hub import Hub
from guestwire.vm.memory import QueueError
from guestwire.vm.plan import Plan
from guestwire.vm.stream import Stream
from guestwire.vm.vhost_user import Device, ProtocolError

_TICK = 0.25  # seconds between looks at deadlines
_PATIENCE = 1.0  # seconds that connections outlive a stop of the device, as the front end stops it for a pause
_BACKLOG = 1024
_LONGEST_LINE = 32  # of the handshake, bytes
_IN: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_OUT: Final = _IN | select.EPOLLOUT


def log(line: str) -> None:
    """One line on stderr."""
    print(f"vsock backend: {line}", file=sys.stderr, flush=True)


def listening(path: Path) -> socket.socket:
    """A Unix socket that does not block. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Backend:
    """The event loop and what it waits for."""

    def __init__(self, front: Path, hybrid: Path, cid: int, control: Path) -> None:
        """Listen on all three. Raises OSError."""
        self.hub = Hub(cid, self._call, self._watch)
        self.patience = _PATIENCE
        self.listeners: dict[Path, Plan] = {}
        self._hybrid = hybrid
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._doors: dict[int, Callable[[], None]] = {}  # listeners; served after all else, as they open descriptors
        self._sockets: dict[Path, socket.socket] = {}
        self._stopped: float | None = None  # when the device stopped
        self._front: socket.socket | None = None
        try:
            self._door(front, self._accept_front)
            self._door(control, functools.partial(Control.accept, self))
            self.listen(hybrid, Plan())
        except OSError:
            self.close()
            raise

    # ---- listeners

    def _door(self, path: Path, accept: Callable[[socket.socket], None]) -> None:
        listener = listening(path)
        self._sockets[path] = listener
        self._doors[listener.fileno()] = functools.partial(self._accept, listener, accept)
        self._epoll.register(listener, select.EPOLLIN)

    def _accept(self, listener: socket.socket, accept: Callable[[socket.socket], None]) -> None:
        for _ in range(_BACKLOG):
            try:
                link, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log(f"accept: {error}")
                time.sleep(0.02)  # until others have given descriptors back
                return
            accept(link)

    def listen(self, path: Path, plan: Plan) -> None:
        """Open a hybrid listener whose connections behave as planned. Raises OSError."""
        self._door(path, lambda link: self._accept_client(link, plan))
        self.listeners[path] = plan

    def unlisten(self, path: Path) -> None:
        """Close a listener; its connections live on. Raises KeyError."""
        listener = self._sockets.pop(path)
        self.listeners.pop(path, None)
        self._doors.pop(listener.fileno(), None)
        listener.close()
        path.unlink(missing_ok=True)

    def handle(self, link: socket.socket, handler: Callable[[int], None]) -> None:
        """Call `handler` with the events of `link`, once each time that they change."""
        self._handlers[link.fileno()] = handler
        self._epoll.register(link, _IN)

    # ---- streams

    def _accept_client(self, link: socket.socket, plan: Plan) -> None:
        link.setblocking(False)
        self._watch(Stream(link, plan))

    def _watch(self, stream: Stream) -> None:
        descriptor = stream.socket.fileno()
        if stream.known:
            stream.watched = stream.waits
            self._epoll.modify(descriptor, _OUT if stream.watched else _IN)
        else:
            stream.known = True
            self.handle(stream.socket, functools.partial(self._stream, stream))

    def _call(self, port: int) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            link.connect(f"{self._hybrid}_{port}")
        except OSError:
            link.close()
            raise
        return link

    def _stream(self, stream: Stream, events: int) -> None:
        if stream.closed:
            return
        stream.readable = True
        if events & select.EPOLLOUT and stream.watched:
            stream.flush()
            if not stream.waits and not stream.closed:
                self._watch(stream)
        if stream.connection is None:
            self._handshake(stream)
        else:
            self.hub.line_up(stream)
        if events & select.EPOLLHUP and not stream.closed:
            stream.hang_up()

    def _handshake(self, stream: Stream) -> None:
        """Read the client's line, and nothing behind it."""
        try:
            line = stream.socket.recv(_LONGEST_LINE, socket.MSG_PEEK)
            end = line.find(b"\n") + 1
            if line and not end and len(line) < _LONGEST_LINE:
                return  # the rest is on its way
            if not line:
                raise ConnectionError
            word, _, port = stream.socket.recv(end).partition(b" ")
            if not end or word != b"CONNECT" or not port.strip().isdigit():
                raise ValueError(f"a handshake of {line!r}")
            self.hub.connect(stream, int(port))
        except (ValueError, OSError) as error:
            if not isinstance(error, BlockingIOError):
                if str(error):
                    log(str(error))
                stream.close()

    # ---- the front end

    def _accept_front(self, link: socket.socket) -> None:
        if self._front is not None:
            log("a second front end is turned away")
            link.close()
            return
        link.settimeout(vhost_user.PATIENCE)
        self._front = link
        self.hub.device = Device(self.hub.switch.guest_cid, self._watch_kick, self._epoll.unregister)
        self._handlers[link.fileno()] = self._message
        self._epoll.register(link, select.EPOLLIN)

    def _watch_kick(self, descriptor: int) -> None:
        self._handlers[descriptor] = lambda _: None  # it wakes the loop, which looks at the rings each time
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def _message(self, _: int) -> None:
        device, link = self.hub.device, self._front
        assert device is not None
        assert link is not None
        before = device.running
        try:
            answer = device.handle(vhost_user.receive(link))
            if answer is not None:
                link.sendall(answer)
        except QueueError as error:
            self._fail(error)
        except (ProtocolError, OSError) as error:
            log(str(error))
            link.close()
            device.close()
            self._front = self.hub.device = None
            self.hub.end_all()
            return
        if device.running and not before:
            log(f"the device {'goes on' if device.resumed else 'starts'}")
            self._stopped = None
            if not device.resumed:
                self.hub.end_all()
        elif before and not device.running:
            log("the device stops")
            self._stopped = time.monotonic()

    def _fail(self, error: QueueError) -> None:
        log(f"the guest's rings are out of order, the device stands still until it is reset: {error}")
        if self.hub.device is not None:
            self.hub.device.failure = str(error)
        self.hub.end_all()

    # ---- the loop

    def run(self) -> None:
        """Serve until an exception comes."""
        busy = False
        tick = 0.0
        while True:
            timeout = 0.0 if busy else _TICK if self.hub.switch.connections else None
            doors = []
            for descriptor, events in self._epoll.poll(timeout):
                if descriptor in self._doors:
                    doors.append(descriptor)
                else:
                    self._handlers[descriptor](events)
            for descriptor in doors:
                if descriptor in self._doors:
                    self._doors[descriptor]()
            now = time.monotonic()
            if now >= tick:
                tick = now + _TICK
                self._tick(now)
            try:
                busy = self.hub.work()
            except QueueError as error:
                busy = False
                self._fail(error)

    def _tick(self, now: float) -> None:
        self.hub.expire(now)
        if self._stopped is not None and now > self._stopped + self.patience:
            self._stopped = None
            self.hub.end_all()

    def end_with(self, process: int) -> None:
        """End when this process does: `run` raises SystemExit. Raises OSError."""
        descriptor = os.pidfd_open(process)
        self._handlers[descriptor] = lambda _: sys.exit("vsock backend: the parent is gone")
        self._epoll.register(descriptor, select.EPOLLIN)

    def close(self) -> None:
        """Remove the sockets."""
        for path in list(self._sockets):
            with contextlib.suppress(OSError):
                self.unlisten(path)
        self._epoll.close()


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 after SIGTERM, 1 if the parent is gone, 2 for what cannot be listened on."""
    parser = argparse.ArgumentParser(prog="guestwire.vm.backend", description=__doc__)
    parser.add_argument("--vhost-user", required=True, type=Path, metavar="PATH", help="where QEMU connects")
    parser.add_argument("--hybrid", required=True, type=Path, metavar="PATH", help="where clients connect")
    parser.add_argument("--cid", required=True, type=int, metavar="N", help="the guest's CID")
    parser.add_argument(
        "--control", required=True, type=Path, metavar="PATH", help="where cases ask for faults and facts"
    )
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    parent = os.getppid()
    try:
        backend = Backend(options.vhost_user, options.hybrid, options.cid, options.control)
    except OSError as error:
        log(f"cannot listen: {error}")
        return 2
    with contextlib.closing(backend):
        backend.end_with(parent)
        log("ready")
        backend.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
