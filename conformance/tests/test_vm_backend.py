"""The vsock backend, seen from a guest and from its clients: what a well-behaved pair may expect."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from guestwire.tests.vm_guest import Guest, Packet, World, line, pair
from guestwire.vm.packet import BOTH, CREDIT_REQUEST, CREDIT_UPDATE, RECEIVE, REQUEST, RESPONSE, RST, RW, SEND, SHUTDOWN


@pytest.fixture(params=[False, True], ids=["two-descriptors", "one-descriptor"])
def guest(request: pytest.FixtureRequest, world: World) -> Iterator[Guest]:
    guest = Guest(world.front, whole=request.param)
    guest.start()
    yield guest
    guest.close()


def test_a_client_is_let_in(world: World, guest: Guest) -> None:
    with world.dial() as client:
        request = guest.receive()
        assert request == Packet(2, 3, request.source_port, 1024, 0, 1, REQUEST, 0, 1 << 18, 0)
        guest.send(RESPONSE, 1024, request.source_port)
        assert line(client) == b"OK %d\n" % request.source_port


def test_a_port_where_nobody_listens(world: World, guest: Guest) -> None:
    with world.dial(99) as client:
        guest.send(RST, 99, guest.receive(REQUEST).source_port)
        assert line(client) == b""


@pytest.mark.parametrize("said", [b"HELLO 1\n", b"CONNECT x\n", b"CONNECT 99999999999\n", b"x" * 40, b"CONNECT -1\n"])
def test_a_handshake_that_is_none(world: World, guest: Guest, said: bytes) -> None:
    with world.dial() as good, socket.socket(socket.AF_UNIX) as client:
        guest.receive(REQUEST)
        client.connect(str(world.hybrid))
        client.settimeout(10)
        client.sendall(said)
        assert client.recv(1) == b""
        assert guest.silent()
        assert good.fileno() > 0


def test_a_handshake_in_pieces_and_with_data_behind_it(world: World, guest: Guest) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(world.hybrid))
        client.settimeout(10)
        client.sendall(b"CONN")
        assert guest.silent(0.05)
        client.sendall(b"ECT 1024\nearly")
        request = guest.receive(REQUEST)
        guest.send(RESPONSE, 1024, request.source_port)
        assert line(client) == b"OK %d\n" % request.source_port
        assert guest.receive(RW).data == b"early"


def test_bytes_to_the_guest_arrive_in_pieces(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    data = os.urandom(150_000)
    with client:
        client.sendall(data)
        got = b""
        while len(got) < len(data):
            packet = guest.receive(RW)
            assert (packet.source_port, packet.port, packet.length) == (port, 1024, len(packet.data))
            assert 0 < packet.length <= 4096
            got += packet.data
    assert got == data


def test_bytes_to_the_client_are_taken_and_credited(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    data = os.urandom(1 << 20)
    got = b""
    with client:
        for start in range(0, len(data), 1 << 16):
            guest.send(RW, 1024, port, data[start : start + (1 << 16)])
            while len(got) < start + (1 << 16):
                got += client.recv(1 << 16)
        while (told := guest.receive(CREDIT_UPDATE).forwarded) < len(data):
            pass
    assert got == data
    assert told == len(data)


def test_a_question_for_credit_is_answered(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        guest.send(RW, 1024, port, b"hello")
        guest.send(CREDIT_REQUEST, 1024, port)
        update = guest.receive(CREDIT_UPDATE)
        assert (update.alloc, update.forwarded) == (1 << 18, 5)


def test_both_half_closes(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert guest.receive(RW).data == b"question"
        assert guest.receive(SHUTDOWN).flags == SEND
        guest.send(RW, 1024, port, b"answer")
        guest.send(SHUTDOWN, 1024, port, flags=SEND)
        assert client.recv(100) == b"answer"
        assert client.recv(100) == b""
    assert guest.receive(SHUTDOWN).flags == BOTH


def test_the_guest_half_closes_first(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        guest.send(SHUTDOWN, 1024, port, flags=SEND)
        assert client.recv(100) == b""
        client.sendall(b"still")
        assert guest.receive(RW).data == b"still"


def test_a_guest_that_receives_no_more(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        guest.send(SHUTDOWN, 1024, port, flags=RECEIVE)
        guest.send(RW, 1024, port, b"but sends")
        assert client.recv(100) == b"but sends"
        with pytest.raises(BrokenPipeError):
            client.sendall(b"x")
    assert guest.receive(SHUTDOWN).flags == BOTH


def test_the_client_closes(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    client.sendall(b"last")
    client.close()
    assert guest.receive(RW).data == b"last"
    assert guest.receive(SHUTDOWN).flags == BOTH
    guest.send(RST, 1024, port)
    assert guest.silent()


def test_the_guest_closes(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        guest.send(RW, 1024, port, b"last")
        guest.send(SHUTDOWN, 1024, port, flags=BOTH)
        guest.receive(RST)
        assert client.recv(100) == b"last"
        assert client.recv(100) == b""
        with pytest.raises(BrokenPipeError):
            client.sendall(b"x")


def test_a_reset_by_the_guest_is_the_end(world: World, guest: Guest) -> None:
    client, port = pair(world, guest)
    with client:
        client.sendall(b"unread by anybody")
        guest.receive(RW)
        guest.send(RST, 1024, port)
        assert client.recv(100) == b""
    assert guest.silent()


def test_what_belongs_to_no_connection_is_reset(world: World, guest: Guest) -> None:
    assert world.front.exists()
    guest.send(RW, 1024, 77, b"x")
    reset = guest.receive(RST)
    assert (reset.source_port, reset.port) == (77, 1024)
    guest.send(RST, 1024, 77)
    guest.send(RW, 1024, 77, b"x", source=9)
    assert guest.silent()


def test_the_guest_calls_a_service(world: World, guest: Guest) -> None:
    path = f"{world.hybrid}_7000"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(10)
        guest.send(REQUEST, 5555, 7000)
        guest.receive(RESPONSE)
        guest.send(RW, 5555, 7000, b"ready")
        service, _ = listener.accept()
        with service:
            service.settimeout(10)
            assert service.recv(100) == b"ready"
            service.sendall(b"thanks")
            answer = guest.receive(RW)
            assert (answer.source_port, answer.port, answer.data) == (7000, 5555, b"thanks")
    os.unlink(path)
    guest.send(REQUEST, 5556, 7001)
    while guest.receive().operation != RST:
        pass
