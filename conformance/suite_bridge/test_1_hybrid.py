"""Section 1: a guest behind a hybrid socket (BRIDGE-HYBRID)."""

from __future__ import annotations

import time

import pytest

from guestwire.drive.bridge import BridgeBench
from guestwire.drive.link import Link
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect

HYBRID = ("unix-hybrid",)
LONGEST = 64  # bytes of the answer's line, with its end


def _served_next(bridge: BridgeBench, client: Link) -> None:
    """After a failed dial: the next one is answered well, and the client that waited is served."""
    guest = bridge.guest.accept()
    client.send(b"there")
    guest.gets(b"there")
    guest.send(b"back")
    client.gets(b"back")


@case("BRIDGE-HYBRID/line", transports=HYBRID)
def test_line_sent(bridge: BridgeBench) -> None:
    """Byte for byte, and nothing of the client's before the answer."""
    bridge.guest.listen()
    client = bridge.start().client()
    client.send(b"early")
    guest = bridge.guest.accept_raw()
    guest.gets(b"CONNECT 1024\n")
    guest.is_silent(0.2)
    guest.send(b"OK 5\n")
    guest.gets(b"early")


@case("BRIDGE-HYBRID/exact", transports=HYBRID)
def test_bytes_behind_the_line(bridge: BridgeBench) -> None:
    """In the same segment as the line: they are the guest's."""
    bridge.guest.listen()
    client = bridge.start().client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, b"OK 5\nOK 6\n\n\x00behind")
    client.gets(b"OK 6\n\n\x00behind")


@case("BRIDGE-HYBRID/pieces", transports=HYBRID)
def test_answer_in_pieces(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client = bridge.start().client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, b"")
    for byte in b"OK 1073741824\nfirst":
        guest.send(bytes([byte]))
        time.sleep(0.005)
    client.gets(b"first")


@case("BRIDGE-HYBRID/refused", transports=HYBRID, twin="BRIDGE-HYBRID/exact")
@pytest.mark.parametrize(
    "answer", [b"NO\n", b"OK\n", b"ok 5\n", b"OKAY 5\n", b"\n", b" OK 5\n", b"SSH-2.0-OpenSSH_9\r\n"],
    ids=["no", "bare", "lower-case", "okay", "empty", "blank", "ssh"],
)  # fmt: skip
def test_answer_that_is_no_ok(bridge: BridgeBench, answer: bytes) -> None:
    bridge.guest.listen()
    client = bridge.start().client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, answer)
    with about("the dial that failed"):
        guest.closed_in_full()
    _served_next(bridge, client)


@case("BRIDGE-HYBRID/long", transports=HYBRID)
def test_longest_line(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client = bridge.start().client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, b"OK " + b"1" * (LONGEST - 4) + b"\nfirst")
    client.gets(b"first")


@case("BRIDGE-HYBRID/long", variant="over", transports=HYBRID, twin="BRIDGE-HYBRID/long")
@pytest.mark.parametrize("size", [LONGEST + 2, 10_000], ids=["little", "much"])
def test_line_too_long(bridge: BridgeBench, size: int) -> None:
    bridge.guest.listen()
    client = bridge.start().client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, b"OK " + b"1" * (size - 4) + b"\n")
    with about("the dial that failed"):
        guest.closed_in_full()
    _served_next(bridge, client)


@case("BRIDGE-HYBRID/end", transports=HYBRID)
@pytest.mark.parametrize("said", [b"", b"OK 5"], ids=["at-once", "in-the-line"])
def test_end_instead_of_an_answer(bridge: BridgeBench, said: bytes) -> None:
    """As monitors do it while nobody in the guest listens."""
    bridge.guest.listen()
    client = bridge.start().client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, said)
    guest.abandon()
    _served_next(bridge, client)


@case("BRIDGE-HYBRID/end", variant="silence", transports=HYBRID)
def test_silence_instead_of_an_answer(bridge: BridgeBench) -> None:
    """Until the client's time is over; then nobody is kept waiting."""
    bridge.guest.listen()
    client = bridge.start("--connect-timeout", "1").client()
    guest = bridge.guest.accept_raw()
    bridge.guest.shake(guest, b"")
    began = time.monotonic()
    client.ends_early(4)
    expect(time.monotonic() - began > 0.5, "the client's connection open for about 1 s", "closed at once")
    guest.closed_in_full()
