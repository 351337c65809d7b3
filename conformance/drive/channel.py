"""Calls of a witness in another world: pickled over a descriptor, one at a time, each with an answer. Standard library only: in a
guest there is nothing else."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import pickle
import select
import struct
import threading
import time
from typing import Any

from guestwire.drive.witness import Witness

ANSWER_WITHIN = 60.0  # seconds for any call; cases wait shorter
LARGEST = 1 << 30  # bytes of a message
_PART = 65_536  # bytes to read at once: as much is allocated each time, and a serial port gives few
PROTOCOL = 4  # of pickle: what every Python here reads
_LENGTH = struct.Struct(">I")
_VALUES = {  # the classes that an answer may name, beside builtin exceptions: all of them only hold what they are given
    "builtins": ("set", "frozenset"),
    "guestwire.drive.autopsy": ("Facts",),
    "guestwire.drive.footprint": ("Footprint",),
    "guestwire.drive.process": ("Process", "Stats"),
    "guestwire.drive.witness": ("FileInfo",),
    "guestwire.judge.outcome": ("CouldNotRun", "Crash", "DeadlineExceeded", "NotApplicable", "Violation"),
}


class Answers(pickle.Unpickler):
    """Whoever answers may be anybody's guest, and must not get to run anything here: no class is looked up but by its whole name
    in the list. (A name may have dots, and so lead from a module on to what that imports.)"""

    def find_class(self, module: str, name: str) -> Any:
        found = getattr(builtins, name, None) if module == "builtins" else None
        if name in _VALUES.get(module, ()) or (isinstance(found, type) and issubclass(found, Exception)):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"no witness answers with {module}.{name}")


class Channel:
    """One end: messages over a descriptor, which is this object's own from here on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)  # a write that a signal ends half-way would keep to itself how far it came
        self._read = bytearray()  # of messages that are not whole; kept where reading is cut off
        self._size: int | None = None  # of the message that is being read
        self._unsent = bytearray()  # of messages; kept where writing is cut off

    def send(self, message: Any) -> None:
        """Raises OSError where the other end is gone."""
        data = pickle.dumps(message, PROTOCOL)
        self._unsent += _LENGTH.pack(len(data)) + data
        while self._unsent:
            select.select([], [self._descriptor], [])
            with contextlib.suppress(BlockingIOError):
                del self._unsent[: os.write(self._descriptor, bytes(self._unsent[:_PART]))]

    def receive(self, within: float | None = None) -> bytes:
        """The next message, still pickled. Raises EOFError where the other end is gone, TimeoutError after `within` seconds."""
        end = None if within is None else time.monotonic() + within
        if self._size is None:
            self._size = _LENGTH.unpack(self._take(_LENGTH.size, end))[0]
        if self._size > LARGEST:
            raise EOFError(f"a message of {self._size} bytes")
        message = self._take(self._size, end)
        self._size = None
        return message

    def _take(self, size: int, end: float | None) -> bytes:
        while len(self._read) < size:
            left = None if end is None else max(end - time.monotonic(), 0)
            if not select.select([self._descriptor], [], [], left)[0]:
                raise TimeoutError
            try:
                part = os.read(self._descriptor, _PART)
            except BlockingIOError:
                continue
            if not part:
                raise EOFError
            self._read += part
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def close(self) -> None:
        os.close(self._descriptor)


def serve(channel: Channel, witness: Witness) -> None:
    """Answer calls until the other end is gone; then put away everything. Whoever calls is trusted."""
    try:
        while True:
            number, name, arguments, keywords = pickle.loads(channel.receive())
            try:
                answer = (number, True, getattr(witness, name)(*arguments, **keywords))
            except Exception as error:
                answer = (number, False, error)
            channel.send(answer)
    except (EOFError, OSError):
        pass
    finally:
        witness.close()


class Caller:
    """The same calls as Witness, or a class made from it, carried out at the other end."""

    def __init__(self, channel: Channel, kind: type[Witness] = Witness) -> None:
        self._channel = channel
        self._kind = kind
        self._calls = 0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self._kind, name):
            raise AttributeError(name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            with self._lock:
                self._calls += 1
                self._channel.send((self._calls, name, arguments, keywords))
                number, good, result = self._answer(name)
                while number != self._calls:  # of a call that was cut off
                    number, good, result = self._answer(name)
            if good:
                return result
            raise result

        return call

    def _answer(self, name: str) -> Any:
        try:
            return Answers(io.BytesIO(self._channel.receive(ANSWER_WITHIN))).load()
        except TimeoutError:
            raise TimeoutError(f"the witness did not answer {name} in {ANSWER_WITHIN:g} s") from None

    def hang_up(self) -> None:
        """End the channel: the other end puts away everything."""
        with contextlib.suppress(OSError):
            self._channel.close()
