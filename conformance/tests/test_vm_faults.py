"""The vsock backend and those who do not behave: guests, clients, front ends, and cases that ask for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestwire.tests.vm_guest import BASE, CID, DEADLINE, MEMORY, SIZE, Guest, World, line, pair
from guestwire.vm.faults import Faults, Refused
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
from guestwire.vm.plan import Plan
from guestwire.vm.virtqueue import Place

BUFFER = 1 << 18


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def guest(world: World) -> Iterator[Guest]:
    guest = Guest(world.front)
    guest.start()
    yield guest
    guest.close()


@pytest.fixture
def faults(world: World) -> Iterator[Faults]:
    with Faults(world.control) as faults:
        yield faults
        faults.patience(1)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# ---- back-pressure, both ways


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


# ---- many


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


# ---- guests that break the rules


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


# ---- resets of the device


def test_a_pause_ends_nothing(world: World, guest: Guest, faults: Faults) -> None:
    client, port = pair(world, guest)
    faults.patience(60)
    positions = guest.stop()
    client.sendall(b"meanwhile")
    late = world.dial()
    time.sleep(0.5)
    assert not guest.poll()
    guest.start(positions)
    with client, late:
        assert {guest.receive().operation, guest.receive().operation} == {REQUEST, RW}
        guest.send(RW, 1024, port, b"answer")
        assert client.recv(100) == b"answer"


def test_a_reboot_ends_all(world: World, guest: Guest) -> None:
    client, _ = pair(world, guest)
    guest.stop()
    guest.renew()
    guest.start()
    with client:
        assert client.recv(1) == b""
    pair(world, guest)[0].close()


def test_a_stop_that_lasts_ends_all(world: World, guest: Guest, faults: Faults) -> None:
    client, _ = pair(world, guest)
    faults.patience(0.2)
    guest.stop()
    with client:
        assert client.recv(1) == b""


def test_a_client_that_comes_before_the_driver(world: World) -> None:
    with world.dial() as client:
        guest = Guest(world.front)
        time.sleep(0.3)
        guest.start()
        guest.send(RESPONSE, 1024, guest.receive(REQUEST).source_port)
        assert line(client).startswith(b"OK ")
        guest.close()


def test_a_request_that_nobody_has_seen_is_taken_back(world: World) -> None:
    guest = Guest(world.front)
    world.dial().close()
    time.sleep(0.2)
    guest.start()
    assert guest.silent()
    guest.close()


def test_another_front_end_after_the_first(world: World, guest: Guest) -> None:
    client, _ = pair(world, guest)
    with socket.socket(socket.AF_UNIX) as second:
        second.settimeout(DEADLINE)
        second.connect(str(world.front))
        assert second.recv(1) == b""
    guest.link.shutdown(socket.SHUT_RDWR)
    with client:
        assert client.recv(1) == b""
    other = Guest(world.front)
    other.start()
    pair(world, other)[0].close()
    other.close()


# ---- what cases ask for


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


# ---- the end


def test_it_ends_with_its_parent(tmp_path: Path, world: World) -> None:
    """Also when that was killed: its sockets are gone then."""
    folder = tmp_path / "child"
    folder.mkdir()
    arguments = [argument.replace(str(world.front.parent), str(folder)) for argument in world.arguments]
    starts = "import subprocess, sys, time; child = subprocess.Popen(sys.argv[1:]); print(child.pid, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", starts, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        wait_until((folder / "hybrid.sock").exists)
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
        assert select.select([child], [], [], DEADLINE)[0]
        os.close(child)
    assert not list(folder.iterdir())


def test_a_place_that_cannot_be_listened_on(world: World) -> None:
    result = subprocess.run(world.arguments, capture_output=True, text=True, timeout=DEADLINE)
    assert result.returncode == 2
    assert result.stderr.startswith("vsock backend: cannot listen: ")
    assert world.front.exists()
