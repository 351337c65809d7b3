"""A hostile agent, as a host meets it: scenes played on the far end of a socket pair.

A scene is a function of that end. It may go on for ever: it is over when the host closes its own end.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

Scene = Callable[[socket.socket], None]


def says(raw: bytes) -> Scene:
    """These bytes, and then silence. Nothing is read."""

    def scene(sock: socket.socket) -> None:
        sock.sendall(raw)
        _wait_for_the_end(sock)

    return scene


def says_and_leaves(raw: bytes) -> Scene:
    """These bytes, then end of stream."""

    def scene(sock: socket.socket) -> None:
        sock.sendall(raw)
        sock.close()

    return scene


def drips(raw: bytes, pause: float) -> Scene:
    """One byte every `pause` seconds, then silence."""

    def scene(sock: socket.socket) -> None:
        for byte in raw:
            sock.send(bytes([byte]))
            time.sleep(pause)
        _wait_for_the_end(sock)

    return scene


def never_ends(raw: bytes, block: bytes) -> Scene:
    """These bytes, then the block again and again."""

    def scene(sock: socket.socket) -> None:
        sock.sendall(raw)
        while True:
            sock.sendall(block)

    return scene


def crumbles(raw: bytes, size: int) -> Scene:
    """These bytes, `size` at a time. On a socket that keeps the borders (SOCK_SEQPACKET) each piece is received by itself."""

    def scene(sock: socket.socket) -> None:
        for start in range(0, len(raw), size):
            sock.send(raw[start : start + size])
        _wait_for_the_end(sock)

    return scene


def sips(pause: float) -> Scene:
    """Reads one byte every `pause` seconds and says nothing."""

    def scene(sock: socket.socket) -> None:
        while sock.recv(1) and not _wait_for_the_end(sock, pause):
            pass

    return scene


def _wait_for_the_end(sock: socket.socket, seconds: float | None = None) -> bool:
    """Until the host has closed, without reading. Return: whether it has."""
    poll = select.poll()
    poll.register(sock, 0)  # POLLHUP comes unasked
    return bool(poll.poll(None if seconds is None else seconds * 1000))


@contextlib.contextmanager
def facing(scene: Scene, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """The host's end of a connection to a peer that plays the scene."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)

    def play() -> None:
        with theirs, contextlib.suppress(OSError):
            scene(theirs)

    thread = threading.Thread(target=play, daemon=True)
    with ours:
        thread.start()
        yield ours
    thread.join(10)
    assert not thread.is_alive(), "the peer did not notice that the host had closed"
