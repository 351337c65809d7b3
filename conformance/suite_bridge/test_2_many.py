"""Section 2: many clients, and too few descriptors (BRIDGE-MANY, BRIDGE-SHORTAGE)."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator

from guestwire.drive.bridge import Bridge, BridgeBench
from guestwire.drive.link import Link, Meanwhile
from guestwire.judge.case import case
from guestwire.judge.outcome import CouldNotRun, about, expect, expect_equal

TWO = ("unix-unix", "unix-tcp")  # hops; the others differ in nothing that is judged
MANY = 1000
FEW = 64  # descriptors
CROWD = 60  # clients, each of whose pairs needs two


@contextlib.contextmanager
def _enough_descriptors(count: int) -> Iterator[None]:
    """For this process, which plays both sides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < count:
        raise CouldNotRun(f"needs {count} descriptors here: the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _number(index: int) -> bytes:
    return index.to_bytes(4, "big")


@case("BRIDGE-MANY/at-once", transports=TWO, deadline=60)
def test_a_thousand_at_once(bridge: BridgeBench) -> None:
    """All up at the same time; then each says its number, and is answered with it."""
    with _enough_descriptors(2 * MANY + 200):
        bridge.guest.listen()
        running = bridge.start()
        accepting = Meanwhile(lambda: [bridge.guest.accept(30) for _ in range(MANY)])
        clients = [running.client() for _ in range(MANY)]
        guests = accepting.join(50)
        for index, client in enumerate(clients):
            client.send(_number(index))
        seen = set()
        for guest in guests:
            said = guest.receive(4)
            seen.add(said)
            guest.send(said)
        expect_equal(len(seen), MANY, "clients that reached a guest of their own")
        for index, client in enumerate(clients):
            client.gets(_number(index))
        for link in (*clients, *guests):
            link.close()


@case("BRIDGE-MANY/sequence")
def test_one_after_another(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    running = bridge.start()
    for index in range(100):
        with about(f"client {index + 1}"):
            client, guest = running.pair()
            client.send(_number(index))
            guest.gets(_number(index))
            guest.send(_number(index + 1))
            client.gets(_number(index + 1))
            client.close()
            guest.close()


@case("BRIDGE-MANY/own")
def test_a_connection_of_its_own_for_each(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    running = bridge.start()
    pairs = [running.pair() for _ in range(5)]
    for index, (client, _) in enumerate(pairs):
        client.send(_number(index) * 3)
    for index, (_, guest) in enumerate(pairs):
        guest.gets(_number(index) * 3)
        guest.send(_number(index + 10))
    for index, (client, guest) in reversed(list(enumerate(pairs))):
        client.gets(_number(index + 10))
        client.is_silent(0.02)
        guest.is_silent(0.02)


@case("BRIDGE-MANY/stuck", twin="BRIDGE-PRESSURE/client")
def test_a_stuck_pair_beside_a_working_one(bridge: BridgeBench) -> None:
    """Stuck in both directions; the others work, those that were there and those that come."""
    bridge.guest.listen()
    running = bridge.start()
    other = running.pair()
    client, guest = running.pair()
    client.fill()
    guest.fill()
    for pair in (other, running.pair()):
        _answers(pair)
    expect(running.cpu_over(0.5) < 0.08, "no processor time used for a stuck pair", "it spins")


def _answers(pair: tuple[Link, Link], within: float = 3) -> None:
    client, guest = pair
    client.send(b"there", within)
    guest.gets(b"there", within)
    guest.send(b"back", within)
    client.gets(b"back", within)


@case("BRIDGE-MANY/slow")
def test_a_slow_pair_beside_a_working_one(bridge: BridgeBench) -> None:
    """Its guest takes a few bytes now and then."""
    bridge.guest.listen()
    running = bridge.start()
    client, guest = running.pair()
    client.fill()
    other = running.pair()
    for _ in range(8):
        guest.receive(5000)
        _answers(other)
        time.sleep(0.02)


@case("BRIDGE-MANY/waiting", transports=("unix-hybrid",))
def test_a_waiting_client_beside_a_working_one(bridge: BridgeBench) -> None:
    """The first one's handshake is not answered."""
    bridge.guest.listen()
    running = bridge.start()
    waiting = running.client()
    slow = bridge.guest.accept_raw()
    _answers(running.pair())
    bridge.guest.shake(slow)
    waiting.send(b"late")
    slow.gets(b"late")


# ---- too few descriptors


@case("BRIDGE-SHORTAGE/limit", transports=("unix-unix",))
def test_descriptor_limit_raised(bridge: BridgeBench) -> None:
    running = bridge.start(limits={resource.RLIMIT_NOFILE: (FEW, 512)})
    lines = bridge.witness.proc(running.pid, "limits").splitlines()
    words = next(line for line in lines if line.startswith(b"Max open files")).split()
    expect_equal(words[3:5], [b"512", b"512"], "its descriptor limit, soft and hard")


def _crowd(bridge: BridgeBench) -> tuple[Bridge, list[Link], list[Link]]:
    """More clients than it has descriptors for: the bridge, the clients, and the guests that were reached."""
    bridge.guest.listen()
    running = bridge.start("--connect-timeout", "1", limits={resource.RLIMIT_NOFILE: (FEW, FEW)})
    clients = [running.client() for _ in range(CROWD)]
    for index, client in enumerate(clients):
        client.send(_number(index))
    guests: list[Link] = []
    while (guest := _reached(bridge)) is not None:
        guests.append(guest)
    expect(guests, "some clients reach the guest", "none")
    expect(len(guests) < CROWD, f"not all of {CROWD} clients, with {FEW} descriptors", "all")
    return running, clients, guests


def _reached(bridge: BridgeBench) -> Link | None:
    with contextlib.suppress(AssertionError):
        return bridge.guest.accept(0.8)
    return None


@case("BRIDGE-SHORTAGE/pause", "BRIDGE-SHORTAGE/kept", "BRIDGE-SURVIVE/survives", transports=TWO)
def test_out_of_descriptors(bridge: BridgeBench) -> None:
    """The pairs that are up work, the processor rests."""
    running, clients, guests = _crowd(bridge)
    used = running.cpu_over(1)
    expect(used < 0.15, "little processor time used within 1 s, while nothing happens", f"{used:g} s")
    for guest in guests:
        number = int.from_bytes(guest.receive(4), "big")
        guest.send(b"back")
        clients[number].gets(b"back")


@case("BRIDGE-SHORTAGE/resume", transports=TWO)
def test_descriptors_are_free_again(bridge: BridgeBench) -> None:
    """As pairs end the others are served, every one."""
    _, clients, guests = _crowd(bridge)
    served: set[int] = set()
    while len(served) < CROWD:
        for guest in guests:
            number = int.from_bytes(guest.receive(4), "big")
            served.add(number)
            guest.send(b"back")
            clients[number].gets(b"back")
            clients[number].close()
            guest.close()
        if len(served) < CROWD:
            guests = [bridge.guest.accept()]
    expect_equal(served, set(range(CROWD)), "clients served")
