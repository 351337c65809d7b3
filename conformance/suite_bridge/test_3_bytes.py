"""Section 3: bytes, and how many are held (BRIDGE-BYTES, BRIDGE-PRESSURE)."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from guestwire.drive.bridge import BridgeBench
from guestwire.drive.link import Link, Meanwhile, noise, pattern
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

LARGE = 3 << 20  # bytes: more than a pair's sockets and the bridge hold together
HELD = 1 << 20  # bytes that the bridge may hold for one direction
SLACK = 1 << 20  # bytes: what sockets hold differs from one connection to the next


@case("BRIDGE-BYTES/both")
def test_both_directions_at_once(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    there, back = noise(LARGE), noise(LARGE)
    sending = [Meanwhile(lambda: client.send(there, 15)), Meanwhile(lambda: guest.send(back, 15))]
    receiving = Meanwhile(lambda: guest.gets(there, 15))
    client.gets(back, 15)
    for each in (*sending, receiving):
        each.join()


@case("BRIDGE-BYTES/values")
def test_bytes_of_every_value(bridge: BridgeBench) -> None:
    """A terminal's control characters, NULs, what a protocol would take for an end."""
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    for data in (bytes(range(256)), bytes(1000), b"\r\n\r\n+++ATH0\x04\x1a\xff\xfd", b"CONNECT 1024\nOK 5\n"):
        client.send(data)
        guest.gets(data)
        guest.send(data)
        client.gets(data)


@case("BRIDGE-BYTES/pieces")
@pytest.mark.parametrize("sizes", [(1, 1), (1, 5000), (60_000, 300_000)], ids=["single", "mixed", "large"])
def test_pieces(bridge: BridgeBench, sizes: tuple[int, int]) -> None:
    """Cut like this on one side, read as it comes on the other."""
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    for source, sink in ((client, guest), (guest, client)):
        cut = random.Random(5)
        pieces = [noise(cut.randint(*sizes)) for _ in range(400 if sizes[1] == 1 else 40)]

        def send(source: Link = source, pieces: list[bytes] = pieces) -> None:
            for piece in pieces:
                source.send(piece)

        sending = Meanwhile(send)
        sink.gets(b"".join(pieces))
        sending.join()


# ---- back-pressure


def _bare(link: Link) -> int:
    """Bytes that such a connection may hold without a bridge, when nobody reads. TCP's buffers grow as long as somebody does."""
    if link.is_tcp:
        limits = (Path(f"/proc/sys/net/ipv4/tcp_{name}mem").read_text().split()[2] for name in "rw")
        return sum(map(int, limits))
    one, other = socket.socketpair()
    with one, other:
        return Link(one, "test").fill()


def _stuck(source: Link, sink: Link, what: str) -> None:
    """The source sends and the sink does not read: little is taken, and all of that arrives in the end."""
    most = HELD + SLACK + _bare(source) + _bare(sink)
    taken = source.fill(most + (8 << 20))
    expect(taken <= most, f"at most {most} bytes of the {what} taken, {HELD} of them by the bridge", f"{taken}")
    sink.gets(pattern(taken), 15)


@case("BRIDGE-PRESSURE/client")
def test_guest_that_does_not_read(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    _stuck(client, guest, "client")


@case("BRIDGE-PRESSURE/guest")
def test_client_that_does_not_read(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    _stuck(guest, client, "guest")


@case("BRIDGE-PRESSURE/other")
@pytest.mark.parametrize("stuck", ["to-guest", "to-client"])
def test_other_direction_goes_on(bridge: BridgeBench, stuck: str) -> None:
    bridge.guest.listen()
    running = bridge.start()
    client, guest = running.pair()
    source, sink = (client, guest) if stuck == "to-guest" else (guest, client)
    taken = source.fill()
    data = noise(1 << 20)
    sending = Meanwhile(lambda: sink.send(data))
    source.gets(data)
    sending.join()
    expect(running.cpu_over(0.5) < 0.08, "no processor time used while one direction is stuck", "it spins")
    sink.gets(pattern(taken), 15)
    expect_equal(sink.is_open(), True, "whether the connection is open")
