"""The vsock backend under load: back-pressure both ways, and many connections at once."""

from __future__ import annotations

import socket
import time

from guestwire.tests.vm_guest import BASE, CID, MEMORY, SIZE, Guest, World, line, pair
from guestwire.vm.faults import Faults
from guestwire.vm.packet import (
    BOTH,
    CREDIT_UPDATE,
    HEADER,
    RECEIVE,
    REQUEST,
    RESPONSE,
    RST,
    RW,
    SEND,
    SHUTDOWN,
)

BUFFER = 1 << 18


def test_a_client_that_does_not_read_gives_no_credit(world: World, guest: Guest, faults: Faults) -> None:
    client, port = pair(world, guest)
    piece = bytes(range(256)) * 64  # 16 KiB
    sent = forwarded = 0
    with client:
        while sent - forwarded + len(piece) <= BUFFER:
            guest.send(RW, 1024, port, piece)
            sent += len(piece)
            faults.facts()  # the backend has looked at it
            for packet in guest.poll():
                forwarded = packet.forwarded
            assert sent < 4 << 20, "credit without end"
        (fact,) = faults.facts()["connections"]
        assert 0 < fact["pending"] <= BUFFER
        got = b""
        while len(got) < sent:
            got += client.recv(1 << 20)
        assert got == piece * (sent // len(piece))
    assert guest.receive(CREDIT_UPDATE).forwarded > forwarded


def test_a_guest_that_overdraws_its_credit_is_reset(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        for _ in range(200):
            guest.send(RW, 1024, port, bytes(1 << 14))
        while guest.receive().operation != RST:
            pass
        while client.recv(1 << 20):
            pass


def test_a_guest_without_room_gets_nothing(world: World, guest: Guest) -> None:
    client = world.dial()
    port = guest.receive(REQUEST).source_port
    guest.send(RESPONSE, 1024, port, alloc=100)
    assert line(client)
    with client:
        client.sendall(bytes(1000))
        assert len(guest.read(100)) == 100
        assert guest.silent()
        guest.send(CREDIT_UPDATE, 1024, port, alloc=100, forwarded=30)
        assert len(guest.read(30)) == 30
        assert guest.silent()
        guest.send(CREDIT_UPDATE, 1024, port, alloc=5000, forwarded=130)
        assert len(guest.read(870)) == 870


def test_a_guest_without_room_learns_that_the_client_is_gone(world: World, guest: Guest) -> None:
    client = world.dial()
    port = guest.receive(REQUEST).source_port
    guest.send(RESPONSE, 1024, port, alloc=10)
    assert line(client)
    client.sendall(b"0123456789and more")
    assert guest.read(10) == b"0123456789"
    client.close()
    assert guest.receive(SHUTDOWN).flags == RECEIVE
    guest.send(CREDIT_UPDATE, 1024, port, alloc=100, forwarded=10)
    assert guest.read(8) == b"and more"
    assert guest.receive(SHUTDOWN).flags == BOTH


def test_a_guest_whose_room_is_just_used_up_learns_of_the_end(world: World, guest: Guest) -> None:
    client = world.dial()
    port = guest.receive(REQUEST).source_port
    guest.send(RESPONSE, 1024, port, alloc=10)
    assert line(client)
    with client:
        client.sendall(b"0123456789")
        assert guest.read(10) == b"0123456789"
        client.shutdown(socket.SHUT_WR)
        assert guest.receive(SHUTDOWN).flags == SEND
    assert guest.receive(SHUTDOWN).flags == BOTH


def test_a_guest_without_buffers_is_not_answered_without_end(world: World, faults: Faults) -> None:
    guest = Guest(world.front, buffers=0)
    guest.start()
    packet = HEADER.pack(CID, 2, 1, 1, 0, 1, RW, 0, 0, 0)
    place = MEMORY - 0x400000
    guest.memory[place : place + 44] = packet
    guest.tx.describe(0, BASE + place, 44, 0)
    taken, moved = 0, time.monotonic()
    while time.monotonic() < moved + 0.5 and taken < 4096:
        for _ in range(SIZE - (guest.tx.filled - taken)):
            guest.tx.expose(0)
        guest.kick(1)
        time.sleep(0.001)
        step = len(list(guest.tx.finished()))
        if step:
            taken, moved = taken + step, time.monotonic()
    assert 1024 <= taken <= 2048
    assert len(faults.facts()["connections"]) == 0
    guest.close()


def test_a_guest_that_closes_with_data_unread(world: World, guest: Guest) -> None:
    """On vsock the client reads an end of stream, no reset."""
    client = world.dial()
    port = guest.receive(REQUEST).source_port
    guest.send(RESPONSE, 1024, port, alloc=10)
    assert line(client)
    with client:
        client.sendall(b"0123456789and more")
        assert guest.read(10) == b"0123456789"
        guest.send(SHUTDOWN, 1024, port, flags=BOTH)
        guest.receive(RST)
        assert client.recv(1) == b""


def test_500_connections_at_once(world: World, guest: Guest, faults: Faults) -> None:
    before = faults.facts()["opened"]
    clients = [world.dial() for _ in range(500)]
    ports = {}
    for _ in clients:
        request = guest.receive(REQUEST)
        guest.send(RESPONSE, 1024, request.source_port)
        ports[request.source_port] = b""
    assert len(ports) == 500
    names = [int(line(client).split()[1]) for client in clients]
    assert set(names) == set(ports)
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    for _ in clients:
        packet = guest.receive(RW)
        guest.send(RW, 1024, packet.source_port, b"<" + packet.data + b">")
    for number, client in enumerate(clients):
        assert client.recv(100) == b"<%d>" % number
        client.close()
    for _ in clients:
        guest.send(RST, 1024, guest.receive(SHUTDOWN).source_port)
    assert faults.facts()["connections"] == []
    assert faults.facts()["opened"] == before + 500
