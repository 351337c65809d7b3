"""An agent on one transport: how it is started, and how a connection to it is made.

`unix` and `unix-ns` (the same in namespaces of its own) and `fd-listen` (an inherited listening socket) are servers, one process
for many conversations. On `fd-conn` every conversation starts a process of its own on one end of a socketpair. An agent that
runs already is a Remote.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from guestwire.drive.connectable import Connectable
from guestwire.drive.platform import ON_LINUX, lacking
from guestwire.drive.process import StartSpec
from guestwire.judge.outcome import CouldNotRun, Crash, DeadlineExceeded, expect

ENVIRONMENT: dict[str, str | bytes] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "LC_ALL": "C",
    "ASAN_OPTIONS": "abort_on_error=1",  # a finding reads as CRASH
    "UBSAN_OPTIONS": "print_stacktrace=1",
}
START_TIMEOUT = 10.0  # seconds from exec to the first accepted connection
EXIT_TIMEOUT = 8.0  # seconds from the end of an fd-conn conversation to exit; lingering is 5 of them


class Agent(ABC):
    """What a case's connections reach. `pid` is the agent's in the witness's world, None where it is not known."""

    pid: int | None = None
    folders: tuple[str, ...] = ()  # directories that are there for its sake alone

    def pids(self) -> list[int]:
        """Every process of it that is known."""
        return [] if self.pid is None else [self.pid]

    def readers(self) -> list[int]:
        """The processes that the newest conversation goes through."""
        return [] if self.pid is None else [self.pid]

    @abstractmethod
    def connect(self) -> socket.socket:
        """A new connection, blocking, without timeout."""

    @abstractmethod
    def check_alive(self) -> None:
        """Raise Crash if the agent ended by itself."""

    @abstractmethod
    def stop(self) -> None:
        """Kill it (or, for a running one, let it be)."""


def describe_exit(status: int) -> str:
    """An exit status as a person says it."""
    return f"ended by signal {-status}" if status < 0 else f"exited with status {status}"


class Server(Agent):
    """One process on `unix`, `unix-ns` or `fd-listen`."""

    def __init__(self, witness: Any, spec: StartSpec, transport: str, folder: Path) -> None:
        self._witness = witness
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._folder.chmod(0o755)
        self.folders = (str(self._folder),)
        self.path = str(self._folder / "agent.sock")
        if transport == "fd-listen":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(self.path)
                os.chmod(self.path, 0o666)  # SRV-PEER is the agent's to judge
                listener.listen(1024)
                listen = f"fd:{listener.fileno()}"
                started = replace(
                    spec, argv=with_listen(spec.argv, listen), pass_fds=(*spec.pass_fds, listener.fileno())
                )
                self.pid = witness.start(started)
        else:
            if spec.uid is not None:
                os.chown(self._folder, spec.uid, spec.uid)
            self.pid = witness.start(replace(spec, argv=with_listen(spec.argv, f"unix:{self.path}")))

    def wait_ready(self) -> None:
        """Until a connection is accepted. Raises Crash or DeadlineExceeded."""
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            self.check_alive()
            with contextlib.suppress(OSError), self.connect():
                return
            time.sleep(0.003)
        raise DeadlineExceeded(f"the agent accepts connections within {START_TIMEOUT:g} s of its start", self.stderr())

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self.path)
        except BaseException:
            sock.close()
            raise
        return sock

    def stderr(self) -> str:
        """The last of what the agent wrote to stderr."""
        text: str = self._witness.stderr(self.pid).decode(errors="replace")
        return text[-400:]

    def status(self) -> int | None:
        """Exit status, None while it lives."""
        result: int | None = self._witness.poll(self.pid)
        return result

    def check_alive(self) -> None:
        status = self.status()
        if status is not None:
            raise Crash("the agent lives", f"it {describe_exit(status)}; stderr: {self.stderr()!r}")

    def stop(self) -> None:
        self._witness.stop(self.pid)
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


class OneShots(Agent):
    """`fd-conn`: a process for each conversation."""

    def __init__(self, witness: Any, spec: StartSpec) -> None:
        self._witness = witness
        self._spec = spec
        self._pids: list[int] = []

    def pids(self) -> list[int]:
        return list(self._pids)

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.serve(theirs)
            except BaseException:
                ours.close()
                raise
        return ours

    def serve(self, connected: socket.socket) -> None:
        """Start a process that converses on this socket, which stays the caller's too."""
        number = connected.fileno()
        argv = with_listen(self._spec.argv, f"fd:{number}")
        self.pid = self._witness.start(replace(self._spec, argv=argv, pass_fds=(*self._spec.pass_fds, number)))
        self._pids.append(self.pid)

    def check_alive(self) -> None:
        """Here alive means: every conversation's process exits 0 in time."""
        end = time.monotonic() + EXIT_TIMEOUT
        for pid in self._pids:
            status = self._witness.wait(pid, max(end - time.monotonic(), 0.01))
            stderr = self._witness.stderr(pid).decode(errors="replace")[-400:]
            if status is None:
                raise DeadlineExceeded(
                    f"exit within {EXIT_TIMEOUT:g} s of its conversation's end", "the agent still runs"
                )
            if status < 0 or status > 2:
                raise Crash("exit status 0 after the conversation", f"it {describe_exit(status)}; stderr: {stderr!r}")
            expect(
                status == 0, "exit status 0 after the conversation", f"it {describe_exit(status)}; stderr: {stderr!r}"
            )
        self.stop()

    def stop(self) -> None:
        for pid in self._pids:
            self._witness.stop(pid)
        self._pids = []


def ask_for(sock: socket.socket, port: int) -> None:
    """The handshake of a hybrid socket. Raises OSError where nobody answers for the port."""
    sock.sendall(f"CONNECT {port}\n".encode())
    line = b""
    while not line.endswith(b"\n") and len(line) < 64:
        byte = sock.recv(1)  # one by one: what follows the line is the agent's
        if not byte:
            break
        line += byte
    if not line.startswith(b"OK "):
        raise OSError(f"no OK after CONNECT {port}: {line!r}")


class Remote(Agent):
    """An agent that runs already. Behind a Unix socket its pid is known (SO_PEERCRED of whoever listens)."""

    reached: ClassVar[set[str]] = set()  # by this process: who accepts no more has crashed or hangs

    def __init__(self, connectable: Connectable) -> None:
        self._to = connectable
        with self.connect() as sock:
            if connectable.kind == "unix" and hasattr(socket, "SO_PEERCRED"):
                credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                self.pid = struct.unpack("3i", credentials)[0] or None

    def connect(self) -> socket.socket:
        try:
            made = self._dial()
        except OSError as error:
            if self._to.text not in self.reached:
                raise CouldNotRun(f"no connection to {self._to.text}: {error}; is the agent running?") from None
            kind = DeadlineExceeded if isinstance(error, TimeoutError) else Crash
            raise kind("the agent still accepts connections", str(error)) from None
        self.reached.add(self._to.text)
        return made

    def _dial(self) -> socket.socket:
        if self._to.kind == "tcp":
            sock = socket.create_connection((self._to.host, self._to.port), START_TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # cases send frames piece by piece
            sock.settimeout(None)
            return sock
        if self._to.kind == "vsock" and not hasattr(socket, "AF_VSOCK"):
            raise OSError("this platform has no vsock")
        sock = socket.socket(socket.AF_VSOCK if self._to.kind == "vsock" else socket.AF_UNIX)
        sock.settimeout(START_TIMEOUT)
        try:
            if self._to.kind == "vsock":
                sock.connect((self._to.cid, self._to.port))
            else:
                sock.connect(self._to.path)
            if self._to.kind == "hybrid":
                ask_for(sock, self._to.port)
        except BaseException:
            sock.close()
            raise
        sock.settimeout(None)
        return sock

    def check_alive(self) -> None:
        with self._dial_or_crash():
            pass

    def _dial_or_crash(self) -> socket.socket:
        try:
            return self._dial()
        except OSError as error:
            raise Crash("the agent still accepts connections", str(error)) from None

    def stop(self) -> None:
        pass


def with_listen(argv: tuple[str, ...], listen: str | None) -> tuple[str, ...]:
    """The command line that listens there: the {listen} of a descriptor's template filled in, else `--listen` appended. Options
    that name already how to listen (cases about the command line do that) replace the template's; None drops it."""
    marked = {index for index, word in enumerate(argv) if "{listen}" in word}
    marked |= {index - 1 for index in marked if argv[index] == "{listen}" and argv[index - 1].startswith("-")}
    others = tuple(word for index, word in enumerate(argv) if index not in marked)
    if listen is None or any(word.startswith("--listen") for word in others):
        return others
    return tuple(word.replace("{listen}", listen) for word in argv) if marked else (*argv, "--listen", listen)


def start(witness: Any, connectable: Connectable, transport: str, spec: StartSpec, folder: Path) -> Agent:
    """An agent, serving. Raises Crash, DeadlineExceeded or, where it cannot be started at all, CouldNotRun."""
    if connectable.runs_already:
        return Remote(connectable)
    if not ON_LINUX:
        raise CouldNotRun(lacking("starting an agent"))
    try:
        if transport == "fd-conn":
            return OneShots(witness, spec)
        server = Server(witness, spec, transport, folder)
    except OSError as error:
        raise CouldNotRun(f"{spec.argv[0]} cannot be started: {error}") from None
    try:
        server.wait_ready()
    except BaseException:
        server.stop()
        raise
    return server
