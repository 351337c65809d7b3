"""The vsock backend and guests that break the rules: rings, buffers and packets that mean nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from guestwire.tests.vm_guest import BASE, MEMORY, SIZE, Guest, World, line, pair
from guestwire.vm.faults import Faults
from guestwire.vm.packet import (
    REQUEST,
    RESPONSE,
    RST,
    RW,
)

BUFFER = 1 << 18


def _index(guest: Guest) -> None:
    guest.tx.describe(0, BASE, 44, 1, SIZE)
    guest.tx.expose(0)


def _head(guest: Guest) -> None:
    guest.tx.expose(65535)


def _loop(guest: Guest) -> None:
    guest.tx.describe(0, BASE, 4, 1, 1)
    guest.tx.describe(1, BASE, 4, 1, 0)
    guest.tx.expose(0)


def _before(guest: Guest) -> None:
    guest.tx.describe(0, BASE - 100, 44, 0)
    guest.tx.expose(0)


def _behind(guest: Guest) -> None:
    guest.tx.describe(0, BASE + MEMORY - 43, 44, 0)
    guest.tx.expose(0)


def _wrapping(guest: Guest) -> None:
    guest.tx.describe(0, 2**64 - 1, 2**32 - 1, 0)
    guest.tx.expose(0)


def _direction(guest: Guest) -> None:
    guest.tx.describe(0, BASE, 44, 2)
    guest.tx.expose(0)


def _indirect(guest: Guest) -> None:
    guest.tx.describe(0, BASE, 48, 4)
    guest.tx.expose(0)


def _short(guest: Guest) -> None:
    guest.tx.describe(0, BASE, 43, 0)
    guest.tx.expose(0)


def _jump(guest: Guest) -> None:
    guest.tx.index[1] = guest.tx.filled + SIZE + 1


BROKEN = [_index, _head, _loop, _before, _behind, _wrapping, _direction, _indirect, _short, _jump]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__[1:])
def test_a_broken_ring(world: World, guest: Guest, faults: Faults, broken: Callable[[Guest], None]) -> None:
    client, _ = pair(world, guest)
    broken(guest)
    guest.kick(1)
    with client:
        assert client.recv(1) == b""
    facts = faults.facts()
    assert not facts["running"]
    assert facts["failure"]
    guest.stop()
    guest.renew()
    guest.start()
    pair(world, guest)[0].close()


@pytest.mark.parametrize("place", [(BASE + MEMORY, 4096), (BASE + MEMORY - 100, 4096), (0, 1), (BASE, 44)])
def test_a_broken_receive_buffer(world: World, faults: Faults, place: tuple[int, int]) -> None:
    guest = Guest(world.front, buffers=2)
    guest.rx.describe(2, *place, 2)
    guest.start()
    with world.dial() as client:
        guest.send(RESPONSE, 1024, guest.receive(REQUEST).source_port)
        with contextlib.suppress(BrokenPipeError):  # it may have been found out by now
            client.sendall(b"for a buffer that is none")
        while client.recv(100):
            pass
    assert faults.facts()["failure"]
    guest.close()


@pytest.mark.parametrize(
    "fields", [{"length": 6}, {"kind": 2}, {"operation": 77}, {"operation": 0}, {"operation": RESPONSE}]
)
def test_a_packet_that_means_nothing(world: World, guest: Guest, fields: dict[str, int]) -> None:
    client, port = pair(world, guest)
    guest.send(**{"operation": RW, "port": 1024, "host_port": port, "data": b"five.", **fields})  # type: ignore[arg-type]
    with client:
        assert guest.receive(RST).source_port == port
        assert client.recv(100) == b""
    pair(world, guest)[0].close()


def test_a_guest_that_never_answers(world: World, guest: Guest) -> None:
    with world.dial() as client:
        port = guest.receive(REQUEST).source_port
        assert line(client) == b""
        assert guest.receive(RST).source_port == port
