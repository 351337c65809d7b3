"""A front end and a guest in one, for tests of the vsock backend: a memfd is the guest's memory, a test drives the rings."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from guestwire.vm import vhost_user as vu
from guestwire.vm.packet import HEADER, HOST_CID, REQUEST, RESPONSE, RW

CID = 3
BASE, USER, MEMORY = 0x100000, 0x7F00_0000_0000, 8 << 20  # guest-physical, the front end's, bytes
SIZE = 128  # descriptors in a ring
ROOM = 1 << 18  # bytes of credit for the host
DEADLINE = 10.0


class Packet(NamedTuple):
    source: int
    cid: int
    source_port: int
    port: int
    length: int
    kind: int
    operation: int
    flags: int
    alloc: int
    forwarded: int
    data: bytes = b""


class RingHalf:
    """A ring as a driver sees it; `number` places it and its buffers in memory."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self.memory = memory
        self.table, self.available, self.used = (0x4000 * number + 0x1000 * part for part in range(3))
        # The device looks at any time: the index must change at once, while struct.pack_into() writes a zero first.
        self.index = memoryview(memory)[self.available : self.available + 4].cast("H")
        self.filled = self.seen = 0

    def describe(self, index: int, address: int, length: int, flags: int, following: int = 0) -> None:
        struct.pack_into("<QIHH", self.memory, self.table + 16 * index, address, length, flags, following)

    def expose(self, head: int) -> None:
        struct.pack_into("<H", self.memory, self.available + 4 + 2 * (self.filled % SIZE), head)
        self.filled = (self.filled + 1) & 0xFFFF
        self.index[1] = self.filled

    def finished(self) -> Iterator[tuple[int, int]]:
        while self.seen != struct.unpack_from("<H", self.memory, self.used + 2)[0]:
            yield struct.unpack_from("<II", self.memory, self.used + 4 + 8 * (self.seen % SIZE))
            self.seen = (self.seen + 1) & 0xFFFF


class Guest:
    """`buffers` receive buffers of `size` bytes; with `whole`, header and data share a descriptor, as newer kernels have it."""

    def __init__(self, front: Path, *, buffers: int = 32, size: int = 4096, whole: bool = False) -> None:
        self.file = os.memfd_create("guest")
        os.ftruncate(self.file, MEMORY)
        self.memory = mmap.mmap(self.file, MEMORY)
        self.size, self.whole = size, whole
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.received: list[Packet] = []
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(DEADLINE)
        self.link.connect(str(front))
        self.ask(vu.SET_OWNER)
        assert struct.unpack("<Q", self.ask(vu.GET_FEATURES, reply=True))[0] & (1 << 32 | 1 << 30)
        assert struct.unpack("<Q", self.ask(vu.GET_PROTOCOL_FEATURES, reply=True))[0] & 1 << 9
        self.ask(vu.SET_PROTOCOL_FEATURES, struct.pack("<Q", 1 << 9 | 1 << 3))
        self.buffers = buffers
        self.renew()

    def ask(
        self, request: int, payload: bytes = b"", descriptors: tuple[int, ...] = (), *, reply: bool = False
    ) -> bytes:
        """Return: the payload of the reply; without `reply`, an acknowledgement is waited for."""
        head = struct.pack("<III", request, 1 if reply else 1 | 8, len(payload))
        socket.send_fds(self.link, [head + payload], list(descriptors))
        answered, flags, size = struct.unpack("<III", self.link.recv(12, socket.MSG_WAITALL))
        assert (answered, flags) == (request, 5)
        body = self.link.recv(size, socket.MSG_WAITALL)
        if not reply:
            assert body == bytes(8), body
        return body

    def renew(self) -> None:
        """A driver that starts: rings are empty, all buffers are the device's."""
        self.memory[:0x10000] = bytes(0x10000)
        self.rx, self.tx, self.events = (RingHalf(self.memory, number) for number in range(3))
        self.next_buffer = 0x10000
        for number in range(self.buffers):
            self.offer(2 * number)

    def allocate(self, size: int) -> int:
        place = self.next_buffer
        self.next_buffer += -(-size // 64) * 64
        assert self.next_buffer <= MEMORY - 0x400000
        return BASE + place

    def offer(self, head: int) -> None:
        """A new receive buffer."""
        start = self.allocate(44 + self.size)
        if self.whole:
            self.rx.describe(head, start, 44 + self.size, 2)
        else:
            self.rx.describe(head, start, 44, 2 | 1, head + 1)
            self.rx.describe(head + 1, start + 44, self.size, 2)
        self.rx.expose(head)

    def start(self, positions: tuple[int, int] = (0, 0)) -> None:
        region = struct.pack("<II", 1, 0) + struct.pack("<QQQQ", BASE, MEMORY, USER, 0)
        self.ask(vu.SET_MEM_TABLE, region, (self.file,))
        for number, ring in enumerate((self.rx, self.tx)):
            self.ask(vu.SET_VRING_NUM, struct.pack("<II", number, SIZE))
            self.ask(vu.SET_VRING_BASE, struct.pack("<II", number, positions[number]))
            places = (USER + ring.table, USER + ring.used, USER + ring.available, 0)
            self.ask(vu.SET_VRING_ADDR, struct.pack("<IIQQQQ", number, 0, *places))
            self.ask(vu.SET_VRING_KICK, struct.pack("<Q", number), (self.kicks[number],))
            self.ask(vu.SET_VRING_CALL, struct.pack("<Q", number), (self.calls[number],))
        for number in range(2):
            self.ask(vu.SET_VRING_ENABLE, struct.pack("<II", number, 1))

    def stop(self) -> tuple[int, int]:
        """Return: where the rings stood."""
        answers = [self.ask(vu.GET_VRING_BASE, struct.pack("<II", number, 0), reply=True) for number in range(2)]
        rx, tx = (struct.unpack("<II", answer)[1] for answer in answers)
        return rx, tx

    def kick(self, number: int) -> None:
        os.eventfd_write(self.kicks[number], 1)

    def send(self, operation: int, port: int, host_port: int, data: bytes = b"", **fields: int) -> None:
        """A packet to the host; fields override those of the header."""
        header = {
            "source": CID, "cid": HOST_CID, "source_port": port, "port": host_port, "length": len(data), "kind": 1,
            "operation": operation, "flags": 0, "alloc": ROOM, "forwarded": 0, **fields,
        }  # fmt: skip
        self.send_raw(HEADER.pack(*header.values()), data)

    def send_raw(self, *parts: bytes) -> None:
        """One descriptor for each part. Waits until the device has taken the chain."""
        heads = [(2 * self.tx.filled + number) % SIZE for number in range(len(parts))]
        place = MEMORY - 0x400000
        for number, part in enumerate(parts):
            self.memory[place : place + len(part)] = part
            last = number == len(parts) - 1
            self.tx.describe(heads[number], BASE + place, len(part), 0 if last else 1, heads[(number + 1) % len(heads)])
            place += len(part)
        self.tx.expose(heads[0])
        self.kick(1)
        self.wait_for(lambda: list(self.tx.finished()), 1)

    def wait_for(self, progress, number: int) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + DEADLINE
        while not progress():
            assert time.monotonic() < end, f"the device does not move; rings: {self.standing()}"
            select.select([self.calls[number]], [], [], 0.5)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.calls[number])

    def standing(self) -> list[tuple[int, int, int, int]]:
        """Of each ring: chains made available and seen as used, as this side and as the memory has it."""
        return [
            (ring.filled, *struct.unpack_from("<H", self.memory, ring.available + 2), ring.seen,
             *struct.unpack_from("<H", self.memory, ring.used + 2))
            for ring in (self.rx, self.tx)
        ]  # fmt: skip

    def poll(self) -> list[Packet]:
        """Packets that have come; their buffers are offered anew."""
        packets = []
        for head, length in self.rx.finished():
            address, first, _, following = struct.unpack_from("<QIHH", self.memory, self.rx.table + 16 * head)
            pieces = self.memory[address - BASE : address - BASE + min(first, length)]
            if first < length:
                address = struct.unpack_from("<Q", self.memory, self.rx.table + 16 * following)[0]
                pieces += self.memory[address - BASE : address - BASE + length - first]
            packets.append(Packet._make((*HEADER.unpack(pieces[:44]), pieces[44:])))
            self.rx.expose(head)
        if packets:
            self.kick(0)
        return packets

    def receive(self, operation: int | None = None) -> Packet:
        """The next packet, which must be of this kind."""

        def more() -> bool:
            self.received += self.poll()
            return bool(self.received)

        if not self.received:
            self.wait_for(more, 0)
        packet = self.received.pop(0)
        assert operation in (None, packet.operation), packet
        return packet

    def read(self, total: int) -> bytes:
        """`total` bytes of RW packets."""
        data = b""
        while len(data) < total:
            data += self.receive(RW).data
        return data

    def silent(self, seconds: float = 0.2) -> bool:
        """No packet comes for so long."""
        time.sleep(seconds)
        self.received += self.poll()
        return not self.received

    def close(self) -> None:
        self.link.close()
        for descriptor in (*self.kicks, *self.calls, self.file):
            os.close(descriptor)


class World:
    """A backend process in a folder."""

    def __init__(self, folder: Path) -> None:
        self.front, self.hybrid, self.control = (
            folder / name for name in ("vhost.sock", "hybrid.sock", "control.sock")
        )
        self.log = folder / "backend.log"
        self.arguments = [
            sys.executable, "-m", "guestwire.vm.backend", "--vhost-user", str(self.front), "--hybrid", str(self.hybrid),
            "--cid", str(CID), "--control", str(self.control),
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stderr=log)
        end = time.monotonic() + DEADLINE
        while "ready" not in self.log.read_text():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.01)

    def dial(self, port: int = 1024, path: Path | None = None) -> socket.socket:
        """A client that has said where to."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(DEADLINE)
        client.connect(str(path or self.hybrid))
        client.sendall(b"CONNECT %d\n" % port)
        return client

    def close(self) -> None:
        """The backend ends, and has said nothing that it should not."""
        self.process.terminate()
        try:
            assert self.process.wait(DEADLINE) == 0
        finally:
            self.process.kill()
            self.process.wait()
            said = self.log.read_text()
        assert "Traceback" not in said, said
        assert not any(path.exists() for path in (self.front, self.hybrid, self.control))


def line(client: socket.socket) -> bytes:
    """The answer to a handshake."""
    data = b""
    while not data.endswith(b"\n"):
        piece = client.recv(1)
        if not piece:
            break
        data += piece
    return data


def pair(world: World, guest: Guest, path: Path | None = None) -> tuple[socket.socket, int]:
    """A connection to port 1024 of the guest. Return: the client, and its port as the guest sees it."""
    client = world.dial(path=path)
    request = guest.receive(REQUEST)
    guest.send(RESPONSE, 1024, request.source_port)
    assert line(client) == b"OK %d\n" % request.source_port
    return client, request.source_port
