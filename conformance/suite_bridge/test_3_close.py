"""Section 3: full closes, resets, and a guest that dies (BRIDGE-CLOSE, BRIDGE-RESET, BRIDGE-DEATH).

What is judged on a side where a full close has to be seen is a Unix socket, where a send of nothing tells, or TCP, where sending
something does.
"""

from __future__ import annotations

import time

import pytest

from guestwire.drive.bridge import BridgeBench
from guestwire.drive.link import Link, Meanwhile, noise, pattern
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, about, expect, expect_equal

CLIENT_CLOSES = ("unix-unix", "unix-hybrid", "unix-tcp")  # hops where the client's full close can be told
GUEST_CLOSES = ("unix-unix", "unix-hybrid", "tcp-unix")  # and where the guest's can
CLIENT_TELLS = ("unix-unix", "unix-tcp")  # and a half-close of the client's is passed on besides
BYTES = 600_000  # more than the sockets on the way hold


def _pair(bridge: BridgeBench) -> tuple[Link, Link]:
    bridge.guest.listen()
    return bridge.start().pair()


@case("BRIDGE-CLOSE/client", transports=CLIENT_CLOSES)
def test_client_closes(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    client.send(b"last words")
    guest.gets(b"last words")
    guest.stays_open(0.1)
    client.close()
    guest.closed_in_full()
    guest.ends_early()


@case("BRIDGE-CLOSE/guest", transports=GUEST_CLOSES)
def test_guest_closes(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    guest.send(b"last words")
    client.gets(b"last words")
    client.stays_open(0.1)
    guest.close()
    client.closed_in_full()
    client.ends_early()


@case("BRIDGE-CLOSE/client", variant="at-once", transports=CLIENT_TELLS)
def test_client_says_something_and_closes(bridge: BridgeBench) -> None:
    """Nobody waits for anything: the bytes arrive, and then the close."""
    bridge.guest.listen()
    client = bridge.start().client()
    client.send(b"fire and forget")
    client.close()
    guest = bridge.guest.accept()
    guest.gets(b"fire and forget")
    guest.closed_in_full()


@case("BRIDGE-CLOSE/bytes", variant="to-tcp", transports=("unix-tcp", "tcp-unix"))
def test_bytes_before_a_close_on_tcp(bridge: BridgeBench) -> None:
    """There a close that destroys what is on its way would be a reset."""
    client, guest = _pair(bridge)
    first, second = (guest, client) if client.is_tcp else (client, guest)

    def send() -> None:
        first.send(pattern(BYTES), 15)
        first.close()

    sending = Meanwhile(send)
    time.sleep(0.5)
    second.gets(pattern(BYTES), 15)
    expect_equal(second.ends_early(), "end", f"the end of the {second.who}'s stream")
    second.closed_in_full()
    sending.join()


@case("BRIDGE-CLOSE/bytes", transports=("unix-unix", "unix-hybrid"))
@pytest.mark.parametrize("side", ["client", "guest"])
def test_bytes_before_a_close(bridge: BridgeBench, side: str) -> None:
    """They are on their way while who sent them has gone; who gets them begins to read a moment later."""
    client, guest = _pair(bridge)
    first, second = (client, guest) if side == "client" else (guest, client)

    def send() -> None:
        first.send(pattern(BYTES), 15)
        first.close()

    sending = Meanwhile(send)
    time.sleep(0.3)
    second.gets(pattern(BYTES), 15)
    second.ends_early()
    second.closed_in_full()
    sending.join()


@case("BRIDGE-CLOSE/after-half", transports=CLIENT_TELLS)
def test_client_closes_after_its_half_close(bridge: BridgeBench) -> None:
    """It gave up waiting for the answer."""
    client, guest = _pair(bridge)
    client.half_close()
    guest.ends()
    if not guest.is_tcp:
        guest.stays_writable(0.3)
    client.close()
    guest.closed_in_full()


@case("BRIDGE-CLOSE/after-half", variant="guest", transports=GUEST_CLOSES)
def test_guest_closes_after_its_half_close(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    guest.half_close()
    client.ends()
    if not client.is_tcp:
        client.stays_writable(0.3)
    guest.close()
    client.closed_in_full()


@case("BRIDGE-CLOSE/after-half", variant="hybrid", transports=("unix-hybrid",))
def test_client_of_a_hybrid_guest_closes_after_its_half_close(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    client.half_close()
    guest.stays_open(0.3)
    client.close()
    guest.closed_in_full()


def _flood(link: Link) -> Meanwhile[float]:
    """Send until the connection is closed. Return: seconds from now until then."""

    def send() -> float:
        began = time.monotonic()
        while time.monotonic() < began + 15:
            try:
                link.send(bytes(65536))
            except Violation:
                return time.monotonic() - began
        raise Violation(f"a full close at the {link.who}", "none within 15 s")

    return Meanwhile(send)


@case("BRIDGE-CLOSE/busy")
@pytest.mark.parametrize("side", ["client", "guest"])
def test_close_while_the_other_direction_is_busy(bridge: BridgeBench, side: str) -> None:
    """The other one sends all the while, and its bytes are read until the close."""
    client, guest = _pair(bridge)
    first, second = (client, guest) if side == "client" else (guest, client)
    flood = _flood(second)
    first.receive(1 << 20)
    began = time.monotonic()
    first.abandon()
    flood.join()
    took = time.monotonic() - began
    expect(took < 3, "a full close within 1 s", f"after {took:.1f} s")


@case("BRIDGE-CLOSE/stuck")
@pytest.mark.parametrize("side", ["client", "guest"])
def test_close_while_the_other_direction_is_stuck(bridge: BridgeBench, side: str) -> None:
    """Who goes has not read what the other one sent."""
    client, guest = _pair(bridge)
    first, second = (client, guest) if side == "client" else (guest, client)
    second.fill()
    first.send(b"last words")
    first.abandon()
    second.closed_in_full()


@case("BRIDGE-CLOSE/given-up", transports=("unix-unix", "unix-tcp"))
@pytest.mark.parametrize("side", ["client", "guest", "client-both", "guest-both"])
def test_bytes_that_nobody_takes_are_given_up(bridge: BridgeBench, side: str) -> None:
    """More than there is room for on the way, and the other side does not read; `both`: nor was anything read back."""
    client, guest = _pair(bridge)
    first, second = (client, guest) if side.startswith("client") else (guest, client)
    first.fill()
    if side.endswith("both"):
        second.fill()
    first.abandon()
    if first.is_tcp and not side.endswith("both"):
        second.send(b"anybody?")  # until then its close could be a half-close
    second.closed_in_full(6)


@case("BRIDGE-CLOSE/taken", transports=("unix-unix",), deadline=30)
def test_bytes_that_are_taken_slowly_all_arrive(bridge: BridgeBench) -> None:
    """Something four times a second, for longer than the second after which what nobody takes is given up. Not on TCP, where a
    receiver tells of its progress only by large steps."""
    client, guest = _pair(bridge)
    taken = client.fill()
    client.close()
    came = b""
    for _ in range(6):
        time.sleep(0.25)
        came += guest.receive(40_000)
    came += guest.receive(taken - len(came), 15)
    expect(came == pattern(taken), "every byte sent before the close", "others")
    guest.closed_in_full()


@case("BRIDGE-CLOSE/tcp", transports=("unix-tcp", "tcp-unix"))
def test_full_close_on_a_tcp_hop(bridge: BridgeBench) -> None:
    """It reads as a half-close, and as what it is once something is sent there."""
    client, guest = _pair(bridge)
    first, second = (client, guest) if client.is_tcp else (guest, client)
    first.send(b"last words")
    first.close()
    came = second.rest()
    expect(came == b"last words", "the last words, then an end of stream", came)
    second.stays_writable(0.3)
    second.send(b"anybody?")
    second.closed_in_full()


# ---- resets


@case("BRIDGE-RESET/client")
def test_client_is_reset(bridge: BridgeBench) -> None:
    """On a Unix socket that is who closes with something unread."""
    client, guest = _pair(bridge)
    _reset(client, guest)


@case("BRIDGE-RESET/guest")
def test_guest_is_reset(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    _reset(guest, client)


def _reset(first: Link, second: Link) -> None:
    first.send(b"there")
    second.gets(b"there")
    if first.is_tcp:
        first.reset()
    else:
        second.send(b"unread")
        time.sleep(0.1)
        first.abandon()
    second.ends_early()
    second.closed_in_full()


@case("BRIDGE-RESET/client", variant="stuck", transports=("tcp-unix",))
def test_client_is_reset_while_the_guest_does_not_read(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    client.fill()
    client.reset()
    guest.closed_in_full()


@case("BRIDGE-RESET/guest", variant="half-closed", transports=("unix-tcp",))
def test_guest_is_reset_after_the_clients_half_close(bridge: BridgeBench) -> None:
    client, guest = _pair(bridge)
    client.half_close()
    guest.ends()
    guest.reset()
    client.ends_early()


@case("BRIDGE-RESET/tcp", transports=("tcp-unix",))
@pytest.mark.parametrize("side", ["client", "guest"])
def test_reset_passed_on_as_a_reset(bridge: BridgeBench, side: str) -> None:
    """TCP on both sides."""
    bridge.become("tcp", "tcp")
    client, guest = _pair(bridge)
    first, second = (client, guest) if side == "client" else (guest, client)
    first.send(b"there")
    second.gets(b"there")
    first.reset()
    expect_equal(second.ends_early(), "reset", f"the end of the {second.who}'s stream")


@case("BRIDGE-RESET/tcp", variant="counter", transports=("tcp-unix",), twin="BRIDGE-RESET/tcp:client")
@pytest.mark.parametrize("side", ["client", "guest"])
def test_end_in_order_is_no_reset(bridge: BridgeBench, side: str) -> None:
    bridge.become("tcp", "tcp")
    client, guest = _pair(bridge)
    first, second = (client, guest) if side == "client" else (guest, client)
    first.send(b"there")
    second.gets(b"there")
    first.close()
    expect_equal(second.ends_early(), "end", f"the end of the {second.who}'s stream")


@case("BRIDGE-RESET/tcp", variant="close", transports=("unix-tcp", "tcp-unix"))
def test_close_is_no_reset(bridge: BridgeBench) -> None:
    """A full close of the Unix side, with nothing unread and nothing on its way."""
    client, guest = _pair(bridge)
    first, second = (guest, client) if client.is_tcp else (client, guest)
    first.send(b"there")
    second.gets(b"there")
    first.close()
    expect_equal(second.ends_early(), "end", f"the end of the {second.who}'s stream")


# ---- a guest that dies


@case("BRIDGE-DEATH/ends", "BRIDGE-DEATH/fresh")
def test_guest_dies(bridge: BridgeBench) -> None:
    """Killed with several connections; the next guest at the same place is another process."""
    guest = bridge.guest.in_a_process()
    running = bridge.start()
    clients = [running.client() for _ in range(3)]
    for index, client in enumerate(clients):
        client.send(noise(16))
        client.receive(16)
        with about(f"client {index + 1}"):
            client.stays_open(0.05)
    guest.signal(9)
    guest.wait(5)
    for client in clients:
        client.ends_early()
        if not client.is_tcp and bridge.guest_kind != "tcp":
            client.closed_in_full()
    bridge.guest.leave()
    running.works()
