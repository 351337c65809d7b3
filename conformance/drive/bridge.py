"""The bench for a bridge: a client on one side, a scripted guest on the other, the bridge under judgement between them.

The row's transport is the hop, LISTEN-TARGET: `unix-hybrid` listens on a Unix socket and dials a guest behind a hybrid socket.
A case that is about other addresses names them when it starts the bridge.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from guestwire.drive.bridge_guest import Guest
from guestwire.drive.link import PATIENCE, Link
from guestwire.drive.program import Program, Running
from guestwire.judge.outcome import CouldNotRun, DeadlineExceeded, Violation, expect

START_TIMEOUT = 10.0  # seconds from exec to the first accepted connection
LISTENING = "00010000"  # of a Unix socket's flags in /proc/net/unix

Value = TypeVar("Value")
_hosts = itertools.count(1)


def hosts_of_its_own() -> str:
    """A loopback address that no other case of this run uses, so that its ports are free."""
    number = next(_hosts)
    return f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + number // 250 % 5}.{number % 250 + 1}"


def free_port(host: str) -> int:
    """A port there that nobody uses."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        try:
            sock.bind((host, 0))
        except OSError as error:
            raise CouldNotRun(f"needs the address {host}: {error}") from None
        port: int = sock.getsockname()[1]
        return port


def is_listening(address: str) -> bool:
    """Whether somebody listens there, by /proc: connecting would make a client."""
    kind, _, rest = address.partition(":")
    if kind == "hybrid":
        rest = rest.rpartition(":")[0]
    if kind in ("unix", "hybrid"):
        lines = (line.split() for line in Path("/proc/net/unix").read_text(errors="replace").splitlines())
        return any(words[3] == LISTENING and words[7:] == [rest] for words in lines)
    host, _, port = rest.rpartition(":")
    return any(name == host.strip("[]") for name in tcp_listeners(int(port)))


def tcp_listeners(port: int) -> list[str]:
    """The addresses that somebody listens on at that port."""
    found = []
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                host, _, number = words[1].partition(":")
                if words[3] == "0A" and int(number, 16) == port:
                    parts = struct.pack(
                        f"={len(host) // 8}I", *(int(host[i : i + 8], 16) for i in range(0, len(host), 8))
                    )
                    found.append(socket.inet_ntop(family, parts))
    return found


def wait_for(probe: Callable[[], Value], what: str, within: float = PATIENCE) -> Value:
    """What the probe returns once that is true. Raises DeadlineExceeded."""
    end = time.monotonic() + within
    while not (value := probe()):
        if time.monotonic() > end:
            raise DeadlineExceeded(f"{what} within {within:g} s", "not")
        time.sleep(0.005)
    return value


class Bridge:
    """One start of the bridge under judgement."""

    def __init__(self, bench: BridgeBench, running: Running, listen: str) -> None:
        self._bench = bench
        self.running = running
        self.listen = listen

    @property
    def pid(self) -> int:
        return self.running.pid

    def lines(self) -> list[str]:
        """What it has written to stderr so far."""
        return self.running.stderr().splitlines()

    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        stats = self._bench.witness.stats(self.pid)
        if stats is None:
            raise Violation("the bridge lives", "it has ended")
        seconds: float = stats.cpu_seconds
        return seconds

    def cpu_over(self, seconds: float) -> float:
        """Processor time that it uses from now on, in so many seconds."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return self.cpu_seconds() - before

    def counts(self) -> tuple[int, int, int]:
        """(descriptors, threads, children)."""
        found: tuple[int, int, int] = self._bench.witness.counts(self.pid)
        return found

    def client(self) -> Link:
        """A connection to it, made as soon as it accepts one. Raises Violation where it has ended, DeadlineExceeded."""
        return self._bench.client(self.listen, self.running)

    def pair(self) -> tuple[Link, Link]:
        """A client, and the guest's connection that belongs to it."""
        client = self.client()
        return client, self._bench.guest.accept()

    def fast_pair(self) -> tuple[socket.socket, socket.socket]:
        """The same as bare sockets, for a case that makes thousands of them and closes them itself; on Unix sockets."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.listen.partition(":")[2])
        client.settimeout(PATIENCE)
        return client, self._bench.guest.accept_fast()

    def works(self) -> None:
        """A new client is served: a byte goes through, in each direction. Raises Violation, DeadlineExceeded."""
        client = self.client()
        self._bench.guest.listen()
        guest = self._bench.guest.accept()
        client.send(b"\x01")
        guest.gets(b"\x01")
        guest.send(b"\x02")
        client.gets(b"\x02")
        client.close()
        guest.close()

    def works_for(self, clients: list[Link]) -> None:
        """The clients that wait are served once the guest is there, in whatever order. Raises Violation, DeadlineExceeded."""
        self._bench.guest.listen()
        for index, client in enumerate(clients):
            client.send(bytes([index]))
        for _ in clients:
            guest = self._bench.guest.accept()
            index = guest.receive(1)[0]
            guest.send(b"back")
            clients[index].gets(b"back")

    def stop(self, number: int, within: float = 3.0) -> int | None:
        """Send the signal. Return: the exit status, None if it still runs after so many seconds."""
        self.running.signal(number)
        return self.running.wait(within)

    def status(self) -> dict[str, Any]:
        """What stands in the status file. Raises Violation."""
        return read_status(self._bench.status_path)


def read_status(path: str) -> dict[str, Any]:
    """Raises Violation for what is no status."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise Violation("a status file", str(error)) from None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Violation("a JSON object in the status file", repr(text))
    return found


class BridgeBench:
    """Given to a case as `bridge`."""

    def __init__(self, program: Program, hop: str = "") -> None:
        """`hop`: other than the row's."""
        self.program = program
        self.witness = program.witness
        self.hop = hop or program.transport
        self.client_kind, _, self.guest_kind = self.hop.partition("-")
        self.guest = self.make_guest()
        self.socket_path = f"{program.folder}/client"
        self.status_path = f"{program.folder}/status"
        self.listen = self.place(self.client_kind)
        program.keep(self.status_path)  # of a failed start; what becomes of it at an orderly stop is a case of its own

    def become(self, client_kind: str, guest_kind: str) -> None:
        """Another hop than the row's."""
        self.client_kind, self.guest_kind = client_kind, guest_kind
        self.guest = self.make_guest()
        self.listen = self.place(client_kind)

    def make_guest(self) -> Guest:
        """What the bridge dials."""
        return Guest(self.program, self.guest_kind, host=hosts_of_its_own())

    def place(self, kind: str) -> str:
        """An address of that kind to listen at."""
        if kind == "tcp":
            host = hosts_of_its_own()
            return f"tcp:{host}:{free_port(host)}"
        return f"unix:{self.socket_path}"

    # ---- the bridge

    def command(self, *options: str, listen: str | None = None, connect: str | None = None) -> tuple[str, ...]:
        """Its command line, from the hop's addresses or others."""
        return (*self.program.bridge(listen or self.listen, connect or self.guest.address), *options)

    def command_without_listen(self, *options: str) -> tuple[str, ...]:
        """The same with nothing to listen on."""
        words = list(self.program.bridge("LISTEN", self.guest.address))
        index = next((index for index, word in enumerate(words) if "LISTEN" in word), None)
        if index is None:
            raise CouldNotRun("its command line names no place for what to listen on")
        del words[index]
        if index and words[index - 1].startswith("-"):
            del words[index - 1]
        return (*words, *options)

    def bare(self, *options: str) -> tuple[str, ...]:
        """Its command line with no address at all."""
        argv = self.program.argv
        marked = {index for index, word in enumerate(argv) if "{" in word}
        marked |= {index - 1 for index in marked if argv[index - 1].startswith("-")}
        return (*(word for index, word in enumerate(argv) if index not in marked), *options)

    def start(self, *options: str, listen: str | None = None, connect: str | None = None, **conditions: Any) -> Bridge:
        """The bridge, listening. Raises DeadlineExceeded, Crash."""
        bridge = self.launch(self.command(*options, listen=listen, connect=connect), listen, **conditions)
        self.await_listening(bridge)
        return bridge

    def launch(self, command: tuple[str, ...], listen: str | None = None, **conditions: Any) -> Bridge:
        """The bridge, just started."""
        return Bridge(self, self.program.start(command, **conditions), listen or self.listen)

    def await_listening(self, bridge: Bridge) -> None:
        """Until it listens and holds what it holds when nobody uses it."""
        end = time.monotonic() + START_TIMEOUT
        while not is_listening(bridge.listen):
            status = bridge.running.poll()
            told = f"exit status {status}, stderr {bridge.running.stderr()[-400:]!r}"
            expect(status is None, f"it listens on {bridge.listen}", told)
            if time.monotonic() > end:
                raise DeadlineExceeded(f"it listens on {bridge.listen} within {START_TIMEOUT:g} s", "not")
            time.sleep(0.002)
        before = None
        while before != (before := self.witness.counts(bridge.pid)) and time.monotonic() < end:
            time.sleep(0.01)
        bridge.running.serves()

    def refuses(self, command: tuple[str, ...], status: int, within: float = PATIENCE, **conditions: Any) -> str:
        """It ends at once with that exit status and one line on stderr, which is returned. Raises Violation, DeadlineExceeded."""
        running = self.program.start(command, **conditions)
        found = running.wait(within)
        if found is None:
            raise DeadlineExceeded(f"exit status {status} within {within:g} s", "it still runs")
        said = running.stderr()
        expect(found == status, f"exit status {status}", f"{found}; stderr: {said!r}")
        expect(said.strip() and said.count("\n") == 1 and said.endswith("\n"), "one line on stderr", said)
        return said

    # ---- a client

    def client(self, address: str | None = None, running: Running | None = None, within: float = START_TIMEOUT) -> Link:
        """A connection to the bridge, made as soon as it accepts one. Raises DeadlineExceeded, Violation where it has ended."""
        end = time.monotonic() + within
        while True:
            try:
                sock = self.connect_once(address or self.listen)
            except (ConnectionRefusedError, FileNotFoundError, BlockingIOError) as error:
                ended = None if running is None else running.poll()
                expect(ended is None, "a connection accepted", f"{error}; its exit status is {ended}")
                if time.monotonic() > end:
                    raise DeadlineExceeded(f"a connection accepted within {within:g} s", str(error)) from None
                time.sleep(0.005)
                continue
            except TimeoutError:
                raise DeadlineExceeded(f"a connection accepted within {PATIENCE:g} s", "none") from None
            sock.settimeout(None)
            self.program.at_end(sock.close)
            return Link(sock, "client")

    def connect_once(self, address: str) -> socket.socket:
        """A connection there, now. Raises OSError."""
        kind, _, rest = address.partition(":")
        if kind == "tcp":
            host, _, port = rest.rpartition(":")
            return socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(rest.rpartition(":")[0] if kind == "hybrid" else rest)
        except BaseException:
            sock.close()
            raise
        return sock

    # ---- both

    @property
    def passes_half_close_to_guest(self) -> bool:
        return self.guest_kind != "hybrid"
