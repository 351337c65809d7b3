"""Files that tell or trick: a terminal that knows whether it was opened, and two names swapped over and over. Part of the
witness, in the agent's world."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import threading

_TIOCSPTLCK = 0x40045431
_TIOCGPTN = 0x80045430
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: str | bytes, other: str | bytes) -> None:
    """Swap two names in one step."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), f"renameat2 of {one!r} and {other!r}")


class SpecialFiles:
    """Mixed into Witness. What was begun is ended by the case; a scratch directory that is dropped ends the swapping too."""

    def __init__(self) -> None:
        self._terminals: dict[str, int] = {}
        self._swapping: threading.Thread | None = None
        self._stop = threading.Event()
        self._swaps = 0

    def open_terminal(self) -> str:
        """A new pseudo-terminal that nobody has opened: the path of its device."""
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        number: int = struct.unpack("I", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0]
        path = f"/dev/pts/{number}"
        self._terminals[path] = master
        return path

    def terminal_was_opened(self, path: str) -> bool:
        """Whether anybody opened (and closed) the terminal's device since open_terminal(), which is the end of it. Its other
        end is hung up only by the last close of an open device."""
        master = self._terminals.pop(path)
        try:
            poll = select.poll()
            poll.register(master, select.POLLIN)
            return bool(poll.poll(0))
        finally:
            os.close(master)

    def begin_exchanging(self, one: str | bytes, other: str | bytes) -> None:
        """Swap two names as fast as it goes, until end_exchanging() or until one of them is gone."""
        self._stop.clear()
        self._swaps = 0
        self._swapping = threading.Thread(target=self._exchange, args=(one, other), daemon=True)
        self._swapping.start()

    def _exchange(self, one: str | bytes, other: str | bytes) -> None:
        try:
            while not self._stop.is_set():
                exchange(one, other)
                self._swaps += 1
        except FileNotFoundError:
            pass

    def exchanged(self) -> int:
        """How many swaps there have been so far."""
        return self._swaps

    def end_exchanging(self) -> None:
        self._stop.set()
        if self._swapping is not None:
            self._swapping.join()
            self._swapping = None
