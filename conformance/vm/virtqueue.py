"""Split virtqueues in shared guest memory, from the device's side. The guest is not trusted: each descriptor is read once, and
checked; what it points to is only ever reached through Memory.

Hosts are little-endian, as every machine that QEMU's KVM guests run on today.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from typing import Final, NamedTuple

from guestwire.vm.memory import Memory, QueueError

_DESCRIPTOR: Final = struct.Struct("<QIHH")  # address, length, flags, next
_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_NO_INTERRUPT = 1
_MAX_SIZE = 32768
_ONE = struct.pack("<Q", 1)
_barrier = threading.Lock()

Chain = tuple[int, list[memoryview]]
"""The index that names the chain in the used ring, and the buffers in their order."""


def _fence() -> None:
    """Taking a lock is an atomic operation, hence a memory barrier towards the guest's processors."""
    with _barrier:
        pass


class Place(NamedTuple):
    """Where a ring lies: guest-physical addresses, and the number of descriptors."""

    size: int
    descriptors: int
    available: int
    used: int


class Virtqueue:
    """One ring while it runs. Taking chains and giving them back shows in the guest only at `publish`."""

    def __init__(self, memory: Memory, place: Place, position: int, writable: bool) -> None:
        """`position` counts the chains taken so far, modulo 2^16. `writable`: the device fills the buffers. Raises QueueError."""
        size = place.size
        if not 0 < size <= _MAX_SIZE or size & (size - 1):
            raise QueueError(f"a ring of {size} descriptors")
        if place.descriptors % 16 or place.available % 2 or place.used % 4:
            raise QueueError(f"a ring out of alignment: {place}")
        self.place = place
        self.position = position
        self.chains: deque[Chain] = deque()  # looked at, not taken yet
        self._memory = memory
        self._writable = writable
        self._table = memory.view(place.descriptors, 16 * size)
        self._available = memory.view(place.available, 4 + 2 * size).cast("H")  # flags, index, heads
        used = memory.view(place.used, 4 + 8 * size)
        self._used_index = used[:4].cast("H")  # flags, index
        self._used = used[4:].cast("I")  # (head, length) each
        self._filled = self._published = self._used_index[1]

    @property
    def given(self) -> int:
        """Chains given back since the ring was made, modulo 2^16: where to go on if all that were taken have been."""
        return self._filled

    def ahead(self, count: int) -> int:
        """Look at chains until `count` of them wait in `chains`. Return: how many do, less if the guest has made no more
        available. Raises QueueError."""
        chains = self.chains
        missing = count - len(chains)
        if missing > 0:
            size = self.place.size
            seen = self.position + len(chains)
            fresh = (self._available[1] - seen) & 0xFFFF
            if fresh > size - len(chains):
                raise QueueError(f"{fresh} chains available in a ring of {size}")
            if fresh:
                _fence()  # the heads only after the index
                for step in range(min(fresh, missing)):
                    head = self._available[2 + (seen + step) % size]
                    chains.append((head, self._buffers(head)))
        return len(chains)

    def take(self) -> Chain | None:
        """The next chain, or None. It is the caller's until given back. Raises QueueError."""
        if not self.chains and not self.ahead(1):
            return None
        self.position = (self.position + 1) & 0xFFFF
        return self.chains.popleft()

    def _buffers(self, index: int) -> list[memoryview]:
        buffers: list[memoryview] = []
        size = self.place.size
        for _ in range(size):
            if index >= size:
                raise QueueError(f"descriptor {index} in a ring of {size}")
            address, length, flags, following = _DESCRIPTOR.unpack_from(self._table, 16 * index)
            if flags & _INDIRECT or bool(flags & _WRITE) is not self._writable:
                raise QueueError(f"descriptor {index} has flags {flags:#x}")
            buffers.append(self._memory.view(address, length))
            if not flags & _NEXT:
                return buffers
            index = following
        raise QueueError("a chain of descriptors without an end")

    def give(self, head: int, length: int) -> None:
        """Give a chain back, into which `length` bytes were written."""
        slot = 2 * (self._filled % self.place.size)
        self._used[slot] = head
        self._used[slot + 1] = length
        self._filled = (self._filled + 1) & 0xFFFF

    def publish(self, call: int) -> None:
        """Show the guest what was given back; interrupt it through the eventfd `call` (-1: none) if it wants that."""
        if self._published == self._filled:
            return
        _fence()  # the entries before the index
        self._used_index[1] = self._published = self._filled
        _fence()  # the index before the question whether an interrupt is wanted
        if call >= 0 and not self._available[0] & _NO_INTERRUPT:
            os.write(call, _ONE)


def split(buffers: list[memoryview], at: int) -> tuple[list[memoryview], list[memoryview]]:
    """The first `at` bytes, and the rest. Raises QueueError if there are fewer."""
    if buffers and len(buffers[0]) == at:
        return buffers[:1], buffers[1:]
    front: list[memoryview] = []
    for number, buffer in enumerate(buffers):
        if len(buffer) >= at:
            return [*front, buffer[:at]], [buffer[at:], *buffers[number + 1 :]]
        front.append(buffer)
        at -= len(buffer)
    raise QueueError(f"a chain that lacks {at} bytes of the header")


def scatter(buffers: list[memoryview], data: bytes) -> int:
    """Write as much of `data` as fits. Return: how much that was."""
    written = 0
    for buffer in buffers:
        piece = data[written : written + len(buffer)]
        buffer[: len(piece)] = piece
        written += len(piece)
        if written == len(data):
            break
    return written


def gather(buffers: list[memoryview]) -> bytes:
    """The bytes of all buffers."""
    return bytes(buffers[0]) if len(buffers) == 1 else b"".join(buffers)
