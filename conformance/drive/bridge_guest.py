"""The guest behind a bridge, scripted: it listens when it is told to, and answers as it is told to."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time

from guestwire.drive.link import PATIENCE, Link
from guestwire.drive.program import Program, Running
from guestwire.judge.outcome import DeadlineExceeded, Violation, expect_equal

PORT = 1024  # behind a hybrid socket
ANSWER = b"OK 1073741824\n"  # of such a socket, as two virtual machine monitors give it
HANDSHAKE = f"CONNECT {PORT}\n".encode()
BACKLOG = 4096
ECHO = """
import os, socket, sys, threading
def serve(sock):
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.close()
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    sock = listener.accept()[0]
    if sys.argv[2] == "hybrid":
        while sock.recv(1) != b"\\n":
            pass
        sock.sendall(b"OK 1\\n")
    threading.Thread(target=serve, args=(sock,), daemon=True).start()
"""


class Guest:
    """One guest at a place of its own; `kind` is unix, hybrid or tcp. It listens only once it is told to."""

    def __init__(self, program: Program, kind: str, name: str = "guest", host: str = "127.0.0.1") -> None:
        self.kind = kind
        self._program = program
        self._path = f"{program.scratch}/{name}"
        self._host = host
        self._port = 0
        self._listener: socket.socket | None = None
        if kind == "tcp":
            self._bind()  # nobody else gets this port meanwhile
        program.at_end(self.leave)

    @property
    def address(self) -> str:
        """As `--connect` takes it."""
        if self.kind == "tcp":
            host = f"[{self._host}]" if ":" in self._host else self._host
            return f"tcp:{host}:{self._port}"
        return f"unix:{self._path}" if self.kind == "unix" else f"hybrid:{self._path}:{PORT}"

    @property
    def port(self) -> int:
        return self._port

    def _bind(self) -> socket.socket:
        if self.kind == "tcp":
            listener = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            self._port = listener.getsockname()[1]
        else:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self._path)
        self._listener = listener
        return listener

    def listen(self) -> None:
        """From now on it is there."""
        (self._listener or self._bind()).listen(BACKLOG)

    def leave(self) -> None:
        """It is there no more. Connections live on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def accept(self, within: float = PATIENCE) -> Link:
        """The next connection, its handshake done. Raises DeadlineExceeded, Violation."""
        link = self.accept_raw(within)
        if self.kind == "hybrid":
            self.shake(link)
        return link

    def accept_raw(self, within: float = PATIENCE) -> Link:
        """The next connection, before any handshake. Raises DeadlineExceeded."""
        assert self._listener is not None
        self._listener.settimeout(within)
        try:
            sock = self._listener.accept()[0]
        except TimeoutError:
            raise DeadlineExceeded(f"the guest dialled within {within:g} s", "it was not") from None
        sock.settimeout(None)
        self._program.at_end(sock.close)
        return Link(sock, "guest")

    def accept_fast(self) -> socket.socket:
        """The next connection as a bare socket, which the case closes itself."""
        assert self._listener is not None
        self._listener.settimeout(PATIENCE)
        sock = self._listener.accept()[0]
        sock.settimeout(PATIENCE)
        return sock

    def shake(self, link: Link, answer: bytes = ANSWER) -> None:
        """A hybrid socket's part of the handshake. Raises Violation, DeadlineExceeded."""
        expect_equal(link.receive(len(HANDSHAKE)), HANDSHAKE, "the handshake's line")
        link.send(answer)

    def nobody_dials(self, seconds: float) -> None:
        """Raises Violation."""
        with contextlib.suppress(DeadlineExceeded):
            self.accept_raw(seconds).abandon()
            raise Violation(f"no dial for {seconds:g} s", "one")

    def dials(self, count: int, within: float) -> int:
        """Refuse every dial until so many have come or the time is over. Return: how many came."""
        end, came = time.monotonic() + within, 0
        with contextlib.suppress(DeadlineExceeded):
            while came < count:
                self.accept_raw(max(end - time.monotonic(), 0.001)).abandon()
                came += 1
        return came

    def in_a_process(self) -> Running:
        """A guest that echoes, in a process that can be killed. It has taken this one's place."""
        self.listen()
        assert self._listener is not None
        number = self._listener.fileno()
        running = self._program.helper(
            (sys.executable, "-I", "-S", "-c", ECHO, str(number), self.kind), pass_fds=(number,)
        )
        self.leave_to_others()
        return running

    def leave_to_others(self) -> None:
        """Close this process's copy of the listening socket alone."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
