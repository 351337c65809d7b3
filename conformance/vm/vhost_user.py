"""The vhost-user protocol, from the back end's side: messages of the front end (QEMU), descriptors that come with them, and
what they make of the device: guest memory, two rings, and whether they run.

The device's event queue stays with QEMU; see control.py for how an event is raised all the same.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from guestwire.vm.memory import Memory, QueueError, Region, mapped
from guestwire.vm.virtqueue import Place, Virtqueue

RX, TX = 0, 1  # the guest's receive and transmit queue
PATIENCE: Final = 5.0  # seconds for the rest of a message

_HEAD: Final = struct.Struct("<III")  # request, flags, size of the payload
_VERSION, _REPLY, _NEED_REPLY = 1, 4, 8
_MAX_PAYLOAD, _MAX_FDS = 4096, 8
_FEATURES = 1 << 32 | 1 << 30  # VIRTIO_F_VERSION_1, VHOST_USER_F_PROTOCOL_FEATURES
_PROTOCOL_FEATURES = 1 << 9 | 1 << 3  # CONFIG, REPLY_ACK

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE) = range(1, 6)
(SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE) = range(8, 12)
(SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR) = range(12, 15)
(GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE) = range(15, 19)
GET_CONFIG: Final = 24


class ProtocolError(Exception):
    """The front end said what the protocol does not allow, or left."""


class Message(NamedTuple):
    """One message; who takes it owns the descriptors."""

    request: int
    flags: int
    payload: bytes
    descriptors: list[int]


def receive(channel: socket.socket) -> Message:
    """The next message of a channel that has a timeout. Raises ProtocolError, OSError."""
    head, ancillary, _, _ = channel.recvmsg(_HEAD.size, socket.CMSG_SPACE(_MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    try:
        head += _exactly(channel, _HEAD.size - len(head)) if head else b""
        if not head:
            raise ProtocolError("the front end left")
        request, flags, size = _HEAD.unpack(head)
        if flags & 3 != _VERSION or size > _MAX_PAYLOAD:
            raise ProtocolError(f"message {request} with flags {flags:#x} and {size} bytes")
        return Message(request, flags, _exactly(channel, size), list(descriptors))
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise ProtocolError("the front end left in the middle of a message")
        data += piece
    return data


class Ring:
    """What the front end has said of one ring."""

    def __init__(self, writable: bool) -> None:
        self.size = self.position = 0
        self.user: tuple[int, int, int] | None = None  # descriptors, used, available: the front end's addresses
        self.kick = self.call = -1
        self.enabled = False
        self.queue: Virtqueue | None = None  # while it runs
        self.resumed = False  # it goes on where it was stopped
        self._stopped: tuple[Place, int] | None = None
        self._writable = writable

    def start(self, memory: Memory) -> None:
        """Run, if all is known that it takes. Raises QueueError."""
        if self.queue is None and self.enabled and self.kick >= 0 and self.user is not None and self.size:
            place = self._place(memory, self.user)
            self.queue = Virtqueue(memory, place, self.position, self._writable)
            self.resumed = self._stopped == (place, self.position)

    def _place(self, memory: Memory, user: tuple[int, int, int]) -> Place:
        sizes = (16 * self.size, 4 + 8 * self.size, 4 + 2 * self.size)
        descriptors, used, available = (memory.guest_address(*pair) for pair in zip(user, sizes, strict=True))
        return Place(self.size, descriptors, available, used)

    def stop(self) -> None:
        """Run no more; `position` says where to go on."""
        if self.queue is not None:
            self.queue.publish(self.call)
            self.position = self.queue.position
            self._stopped = (self.queue.place, self.position)
        self.queue = None


class Device:
    """The device that a front end configures. One object serves one front end."""

    def __init__(self, cid: int, watch: Callable[[int], None], unwatch: Callable[[int], None]) -> None:
        """`watch` and `unwatch` are told of eventfds on which the guest's kicks arrive."""
        self._config = struct.pack("<Q", cid)
        self._watch, self._unwatch = watch, unwatch
        self.memory = Memory()
        self.rings = [Ring(writable=True), Ring(writable=False)]
        self.failure: str | None = None  # why the device is out of order, until its rings are stopped

    @property
    def running(self) -> bool:
        """Whether both rings run."""
        return self.failure is None and all(ring.queue is not None and ring.enabled for ring in self.rings)

    @property
    def resumed(self) -> bool:
        """Whether the rings that run go on where they were stopped: the machine was paused. Else the guest began anew."""
        return all(ring.resumed for ring in self.rings)

    def handle(self, message: Message) -> bytes | None:
        """Do as a message says. Return: the answer, if it wants one. Raises ProtocolError, QueueError."""
        request, flags, payload, descriptors = message
        try:
            answer = self._answer(request, payload, descriptors)
        except (struct.error, IndexError, OSError, ValueError) as error:
            raise ProtocolError(f"message {request}: {error}") from None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if answer is None:
            if not flags & _NEED_REPLY:
                return None
            answer = bytes(8)
        return _HEAD.pack(request, _VERSION | _REPLY, len(answer)) + answer

    def _answer(self, request: int, payload: bytes, descriptors: list[int]) -> bytes | None:
        if request == GET_FEATURES:
            return struct.pack("<Q", _FEATURES)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("<Q", _PROTOCOL_FEATURES)
        if request == GET_QUEUE_NUM:
            return struct.pack("<Q", len(self.rings))
        if request == GET_CONFIG:
            offset, size, _ = struct.unpack_from("<III", payload)
            return payload[:12] + self._config[offset : offset + size].ljust(size, b"\0")
        if request == SET_MEM_TABLE:
            self._set_memory(payload, descriptors)
        elif request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
            (word,) = struct.unpack("<Q", payload)
            self._set_eventfd(request, word, descriptors)
        elif SET_VRING_NUM <= request <= GET_VRING_BASE or request == SET_VRING_ENABLE:
            return self._set_ring(request, payload)
        elif request not in (SET_FEATURES, SET_PROTOCOL_FEATURES, SET_OWNER, RESET_OWNER):
            raise ProtocolError(f"unknown message {request}")
        return None

    def _set_memory(self, payload: bytes, descriptors: list[int]) -> None:
        (count,) = struct.unpack_from("<I", payload)
        regions = [Region(*struct.unpack_from("<QQQQ", payload, 8 + 32 * number)) for number in range(count)]
        self.memory = Memory([(region, mapped(descriptors[number], region)) for number, region in enumerate(regions)])
        for ring in self.rings:
            if ring.queue is not None:
                ring.stop()
                ring.start(self.memory)

    def _set_eventfd(self, request: int, word: int, descriptors: list[int]) -> None:
        """The low byte of `word` is the ring's number. This takes over the descriptor."""
        ring = self.rings[word & 0xFF]
        if request == SET_VRING_ERR:
            return
        fresh = descriptors.pop(0) if descriptors else -1
        if fresh >= 0:
            os.set_blocking(fresh, False)
        if request == SET_VRING_CALL:
            _close(ring.call)
            ring.call = fresh
            return
        self._drop_kick(ring)
        ring.kick = fresh
        if fresh >= 0:
            self._watch(fresh)
        ring.start(self.memory)

    def _set_ring(self, request: int, payload: bytes) -> bytes | None:
        number, value = struct.unpack_from("<II", payload)
        ring = self.rings[number]
        if request == SET_VRING_NUM:
            ring.size = value
        elif request == SET_VRING_BASE:
            ring.position = value & 0xFFFF
        elif request == SET_VRING_ADDR:
            descriptors, used, available = struct.unpack_from("<QQQ", payload, 8)
            ring.user = (descriptors, used, available)
        elif request == SET_VRING_ENABLE:
            ring.enabled = bool(value)
            if value:
                ring.start(self.memory)
        else:
            self._stop(ring)
            return struct.pack("<II", number, ring.position)
        return None

    def _stop(self, ring: Ring) -> None:
        ring.stop()
        self._drop_kick(ring)
        self.failure = None

    def _drop_kick(self, ring: Ring) -> None:
        if ring.kick >= 0:
            self._unwatch(ring.kick)
            _close(ring.kick)
            ring.kick = -1

    def close(self) -> None:
        """The front end is gone."""
        for ring in self.rings:
            with contextlib.suppress(OSError, QueueError):
                self._stop(ring)
            _close(ring.call)
            ring.call = -1


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
