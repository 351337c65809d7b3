"""The vsock backend when the device pauses, is reset, or gets another front end."""

from __future__ import annotations

import socket
import time

from guestwire.tests.vm_guest import DEADLINE, Guest, World, line, pair
from guestwire.vm.faults import Faults
from guestwire.vm.packet import (
    REQUEST,
    RESPONSE,
    RW,
)

BUFFER = 1 << 18


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
