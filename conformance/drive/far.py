"""The witness in a guest: serves its calls on virtio-serial ports, one process for each port that a host has opened.

    python3 -m guestwire.drive.far PORT... SCRATCH

Standard library only. Imported once and forked: under emulation a start of Python costs a second.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import select
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from guestwire.drive import autopsy, process
from guestwire.drive.channel import PROTOCOL, Channel, serve
from guestwire.drive.process import StartSpec, become_subreaper
from guestwire.drive.witness import Witness

LOOK = 0.05  # seconds between two looks for hosts
UNKNOWN = 255  # exit status of a process whose parent keeps it to itself


class Found:
    """A process that somebody else started, for Witness as if it had: an agent of the guest's init. `log` takes its output."""

    def __init__(self, pid: int, log: str) -> None:
        self.pid = pid
        self._log = Path(log)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]
        env = dict(os.fsdecode(line).partition("=")[::2] for line in lines)
        self.spec = StartSpec(tuple(map(os.fsdecode, words)), env, os.readlink(f"/proc/{pid}/cwd"))

    def poll(self) -> int | None:
        found = process.read_process(self.pid)
        return UNKNOWN if found is None or found.state in "ZX" else None

    def wait(self, timeout: float) -> int | None:
        end = time.monotonic() + timeout
        while (status := self.poll()) is None and time.monotonic() < end:
            time.sleep(0.005)
        return status

    def stderr(self) -> bytes:
        try:
            return self._log.read_bytes()
        except OSError:
            return b""

    def stdout(self) -> bytes:
        return b""

    def stop(self) -> None:
        if self.poll() is None:
            process.kill_tree(self.pid)
            self.wait(5)


class GuestWitness(Witness):
    """What a guest's witness can do beside."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._listeners: dict[int, socket.socket] = {}

    def listen_on(self, port: int) -> None:
        """Open a vsock port for start_with(). Raises OSError."""
        self._listeners[port] = made = socket.socket(socket.AF_VSOCK)
        made.bind((socket.VMADDR_CID_ANY, port))
        made.listen()

    def start_with(self, spec: StartSpec, port: int, connected: bool) -> int:
        """Start an agent that inherits that port's socket, or the first connection to it, as descriptor {number} of its command
        line; its pid. Nobody else keeps it."""
        with self._listeners.pop(port) as listener:
            listener.settimeout(5)
            with listener.accept()[0] if connected else listener as given:
                given.setblocking(True)
                number = given.fileno()
                argv = tuple(word.replace("{number}", str(number)) for word in spec.argv)
                return self.start(replace(spec, argv=argv, pass_fds=(*spec.pass_fds, number)))

    def find(self, program: str, log: str) -> int | None:
        """The oldest process of this file, which init has started with this log; from now on like one that was started here."""
        for each in sorted(process.processes(), key=lambda each: each.pid):
            try:
                if os.readlink(f"/proc/{each.pid}/exe") == program:
                    self._agents[each.pid] = Found(each.pid, log)  # type: ignore[assignment]
                    return each.pid
            except OSError:
                continue
        return None

    def talk(
        self, cid: int, port: int, data: bytes, uid: int = 0, source: int = 0, within: float = 5.0
    ) -> tuple[bytes, str]:
        """What a process of this user gets for these bytes that it sends over vsock, from a port that is given or any; and how
        it ends: "eof", or what the last call came to, ECONNRESET say."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, pickle.dumps(_talked(cid, port, data, uid, source, within), PROTOCOL))
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, "rb") as answer:
            said = answer.read()
        os.waitpid(child, 0)
        told: tuple[bytes, str] = pickle.loads(said)
        return told

    def talk_unix(self, path: str, data: bytes, within: float = 5.0) -> tuple[bytes, str]:
        """The same over a Unix socket, from here: all that comes before the end."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(within)
            return _exchanged(sock, path, data)

    def shift_clock(self, seconds: float) -> None:
        """Set the guest's clock forward, or back."""
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)

    def log(self, path: str) -> bytes:
        """The last of a file that may not be there."""
        try:
            return Path(path).read_bytes()[-autopsy.STDERR :]
        except OSError:
            return b""


def _talked(cid: int, port: int, data: bytes, uid: int, source: int, within: float) -> tuple[bytes, str]:
    try:
        with socket.socket(socket.AF_VSOCK) as sock:
            if source:
                sock.bind((socket.VMADDR_CID_ANY, source))
            if uid:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            sock.settimeout(within)
            return _exchanged(sock, (cid, port), data)
    except OSError as error:
        return b"", _named(error)


def _exchanged(sock: socket.socket, address: str | tuple[int, int], data: bytes) -> tuple[bytes, str]:
    """What comes back for these bytes, and how it ends."""
    received = b""
    try:
        sock.connect(address)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
        while part := sock.recv(65_536):
            received += part
        return received, "eof"
    except OSError as error:
        return received, _named(error)


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def _is_open(port: int) -> bool:
    """Whether a host has the port's other end open."""
    poll = select.poll()
    poll.register(port, 0)
    return not poll.poll(0)


def main(words: list[str]) -> int:
    """Until the guest is switched off."""
    *names, folder = words
    os.makedirs(folder, exist_ok=True)
    ports = [os.open(name, os.O_RDWR | os.O_CLOEXEC) for name in names]
    serving: dict[int, int] = {}  # pid: port
    while True:
        for port in ports:
            if port not in serving.values() and _is_open(port):
                pid = os.fork()
                if pid == 0:
                    become_subreaper()
                    serve(Channel(port), GuestWitness(Path(folder)))
                    os._exit(0)
                serving[pid] = port
        time.sleep(LOOK)
        while serving and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            serving.pop(ended, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
