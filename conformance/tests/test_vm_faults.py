"""What cases ask of the vsock backend: faults on listeners of their own."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

import pytest

from guestwire.tests.vm_guest import BASE, DEADLINE, SIZE, Guest, World, line, pair
from guestwire.vm.faults import Faults, Refused
from guestwire.vm.packet import (
    CREDIT_UPDATE,
    HEADER,
    REQUEST,
    RESPONSE,
    RST,
    RW,
)
from guestwire.vm.plan import Plan
from guestwire.vm.virtqueue import Place

BUFFER = 1 << 18


def test_a_forged_source(world: World, guest: Guest, faults: Faults, tmp_path: Path) -> None:
    with faults.listener(tmp_path / "forged", Plan(host_cid=77, host_port=1023)) as path:
        client = world.dial(path=path)
        request = guest.receive(REQUEST)
        assert (request.source, request.source_port) == (77, 1023)
        guest.send(RESPONSE, 1024, 1023, cid=77)
        assert line(client) == b"OK 1023\n"
        with world.dial(path=path) as second:
            assert second.recv(1) == b""
        with client:
            guest.send(RW, 1024, 1023, b"hello", cid=77)
            assert client.recv(100) == b"hello"
    assert not path.exists()


def test_one_byte_packets(world: World, guest: Guest, faults: Faults, tmp_path: Path) -> None:
    data = os.urandom(2000)
    with faults.listener(tmp_path / "bytes", Plan(fragment=1)) as path:
        client, _ = pair(world, guest, path)
        with client:
            client.sendall(data)
            got = b""
            while len(got) < len(data):
                packet = guest.receive(RW)
                assert packet.length == 1
                got += packet.data
    assert got == data


def test_a_reset_in_the_middle(world: World, guest: Guest, faults: Faults, tmp_path: Path) -> None:
    with faults.listener(tmp_path / "reset", Plan(reset_after=5)) as path:
        client, port = pair(world, guest, path)
        with client:
            client.sendall(b"0123456789")
            assert guest.receive(RW).data == b"01234"
            assert guest.receive(RST).source_port == port
            assert client.recv(1) == b""


def test_a_reset_when_the_case_says_so(world: World, guest: Guest, faults: Faults, tmp_path: Path) -> None:
    other, _ = pair(world, guest)
    with faults.listener(tmp_path / "reset", Plan()) as path, other:
        client, port = pair(world, guest, path)
        assert faults.reset(path) == 1
        assert guest.receive(RST).source_port == port
        with client:
            assert client.recv(1) == b""
        other.sendall(b"unharmed")
        assert guest.receive(RW).data == b"unharmed"


def test_credit_that_is_withheld(world: World, guest: Guest, faults: Faults, tmp_path: Path) -> None:
    with faults.listener(tmp_path / "mean", Plan(buffer=1000)) as path:
        client, port = pair(world, guest, path)
        assert faults.withhold(path) == 1
        with client:
            guest.send(RW, 1024, port, bytes(1000))
            assert len(client.recv(2000)) == 1000
            assert guest.silent()
            faults.withhold(path, False)
            update = guest.receive(CREDIT_UPDATE)
            assert (update.alloc, update.forwarded) == (1000, 1000)


def test_a_raw_packet(guest: Guest, faults: Faults) -> None:
    packet = HEADER.pack(5, 6, 7, 8, 9, 10, 11, 12, 13, 14) + b"something"
    faults.packet(packet)
    got = guest.receive(11)
    assert (got.source, got.forwarded, got.data) == (5, 14, b"something")


def test_the_event_after_a_restore(world: World, guest: Guest, faults: Faults) -> None:
    client, _ = pair(world, guest)
    ring = guest.events
    place = Place(SIZE, BASE + ring.table, BASE + ring.available, BASE + ring.used)
    with pytest.raises(Refused, match="no buffer"):
        faults.transport_reset(place)
    spot = guest.allocate(4) - BASE
    guest.memory[spot : spot + 4] = b"\xff" * 4
    ring.describe(0, BASE + spot, 4, 2)
    ring.expose(0)
    faults.transport_reset(place)
    assert list(ring.finished()) == [(0, 4)]
    assert guest.memory[spot : spot + 4] == bytes(4)
    assert select.select([guest.calls[0]], [], [], DEADLINE)[0]
    with client:
        assert client.recv(1) == b""
    assert guest.silent()


@pytest.mark.parametrize("size", [0, 3, 65536])
def test_an_event_queue_that_is_none(guest: Guest, faults: Faults, size: int) -> None:
    assert guest.link.fileno() > 0
    with pytest.raises(Refused, match="a ring of"):
        faults.transport_reset(Place(size, BASE, BASE, BASE))


@pytest.mark.parametrize("order", [b"no json", b"[]", b'{"do": "nothing"}', b'{"do": "facts", "x": 1}', b"{}"])
def test_an_order_that_is_none(world: World, faults: Faults, order: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(DEADLINE)
        link.connect(str(world.control))
        link.sendall(order + b"\n")
        assert link.recv(1000).startswith(b'{"error": ')
    assert faults.facts()["connections"] == []


def test_plans_that_are_none(faults: Faults, tmp_path: Path) -> None:
    for fields in ({"fragment": -1}, {"reset_after": 0}, {"host_cid": 1 << 32}):
        with pytest.raises(ValueError, match="is"):
            Plan(**fields)
    with pytest.raises(Refused), faults.listener(tmp_path / "no" / "folder", Plan()):
        pass
