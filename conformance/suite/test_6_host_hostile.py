"""Section 6: what a hostile agent may cost a host, in time and in memory (HOST-HOSTILE)."""

from __future__ import annotations

import socket
import time

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, about, expect, expect_equal
from guestwire.peers.hostile import Scene, crumbles, drips, facing, never_ends, says, says_and_leaves, sips
from guestwire.peers.victim import measure
from guestwire.suite.test_6_host import CAP, MIB, Call, header, raises

SOON = 0.9  # seconds beyond a timeout, on a loaded machine; less than a deadline for each byte would add below
RECEIVE: dict[str, Call] = {
    "recv_exact": lambda sock: protocol.recv_exact(sock, 1_000, timeout=0.3),
    "recv_frame": lambda sock: protocol.recv_frame(sock, timeout=0.3),
    "recv_json": lambda sock: protocol.recv_json(sock, timeout=0.3),
}
SEND: dict[str, Call] = {
    "send_frame": lambda sock: protocol.send_frame(sock, protocol.FRAME_DATA, bytes(CAP), timeout=0.3),
    "send_json": lambda sock: protocol.send_json(sock, {"a": "b" * 1_000_000}, timeout=0.3),
}
LONG = header(protocol.FRAME_JSON, 1_000) + b'{"a":"'
HOLDING: dict[str, tuple[dict[str, Call], Scene]] = {
    "silent": (RECEIVE, says(b"")),
    "silent-after-3-bytes": (RECEIVE, says(LONG[:3])),
    "silent-after-header": (RECEIVE, says(LONG[:5])),
    "silent-in-payload": (RECEIVE, says(LONG + b"b" * 500)),
    "a-byte-at-a-time": (RECEIVE, drips(LONG + b"b" * 500, 0.05)),
    "header-in-drops": (RECEIVE, drips(LONG[:5], 0.25)),
    "deaf": (SEND, says(b"")),
    "deaf-but-talking": (SEND, says(b"x" * 10_000)),
    "sipping": (SEND, sips(0.05)),
}


@case("HOST-HOSTILE/time")
@pytest.mark.parametrize("name", HOLDING)
def test_time(name: str) -> None:
    """TimeoutError when the timeout is over, however the peer goes on; the socket's own timeout is as it was."""
    calls, scene = HOLDING[name]
    for function, call in calls.items():
        with about(function), facing(scene) as sock:
            sock.settimeout(7)
            start = time.monotonic()
            try:
                call(sock)
            except TimeoutError:
                took = time.monotonic() - start
                expect(0.29 <= took <= 0.3 + SOON, "TimeoutError after 0.3 s", f"after {took:.2f} s")
            except Exception as error:
                raise Violation("TimeoutError after 0.3 s", repr(error)) from None
            else:
                raise Violation("TimeoutError after 0.3 s", "the call returned")
            expect_equal(sock.gettimeout(), 7.0, "timeout of the socket afterwards")


@case("HOST-HOSTILE/time", variant="own-timeout")
def test_timeout_of_the_socket() -> None:
    """Without the keyword, the timeout that the socket was given holds for every wait."""
    calls: list[Call] = [
        lambda sock: protocol.recv_exact(sock, 10),
        protocol.recv_frame,
        protocol.recv_json,
        lambda sock: protocol.send_frame(sock, protocol.FRAME_DATA, bytes(CAP)),
    ]
    for call in calls:
        with facing(says(b"")) as sock:
            sock.settimeout(0.1)
            start = time.monotonic()
            try:
                call(sock)
            except TimeoutError:
                expect(time.monotonic() - start < 0.1 + SOON, "TimeoutError after 0.1 s", "later")
            else:
                raise Violation("TimeoutError after 0.1 s", "the call returned")


@case("HOST-HOSTILE/time", variant="early-close")
def test_early_close() -> None:
    """A peer that is gone is told at once, whether the host reads or writes."""
    start = time.monotonic()
    for name, call in {**RECEIVE, **SEND}.items():
        with about(name):
            raises(call, says_and_leaves(b""), ConnectionError)
    expect(time.monotonic() - start < 1 + SOON, "ConnectionError at once", f"{time.monotonic() - start:.1f} s")


STRINGS = b'{"op":"ping","x":"'
COSTLY: dict[str, tuple[str, Scene, str, int]] = {  # call, scene, outcome, bytes that it may cost
    "absurd-length": ("recv_frame", never_ends(header(4, 0xFFFFFFFF), bytes(65_536)), "ValueError", MIB),
    "length-at-cap": ("recv_frame", says(header(4, CAP) + bytes(1_000)), "TimeoutError", MIB),
    "frames-for-ever": ("recv_json", never_ends(b"", frame(2, bytes(65_536))), "ValueError", MIB),
    "garbage-for-ever": ("recv_json", never_ends(b"", b"\xff" * 65_536), "ValueError", MIB),
    "json-at-cap": ("recv_json", never_ends(header(1, CAP), b" " * 65_536), "ValueError", MIB),
    "deep": ("recv_json", says(frame(1, b'{"a":' + b"[" * 1_000_000)), "ValueError", 16 * MIB),
    "objects": ("recv_json", says(frame(1, b'{"a":' * 200_000)), "ValueError", 16 * MIB),
    "zeros": ("recv_json", says(frame(1, b'{"a":[' + b"0," * 500_000 + b"0]}")), "ValueError", 16 * MIB),
    "members": ("recv_json", says(frame(1, b"{" + b'"a":0,' * 150_000 + b'"b":0}')), "ValueError", 16 * MIB),
    "colons": ("recv_json", says(frame(1, b"{" + b'"":' * 300_000)), "ValueError", 16 * MIB),
    "string": ("recv_json", says(frame(1, STRINGS + b"a" * 1_000_000 + b'"}')), "returned", 16 * MIB),
    "escapes": ("recv_json", says(frame(1, STRINGS + b"\\n" * 500_000 + b'"}')), "returned", 16 * MIB),
    "unended": ("recv_json", says(frame(1, STRINGS + b"\\u00e9" * 170_000)), "ValueError", 16 * MIB),
    "integer": ("recv_json", says(frame(1, b'{"a":' + b"7" * 1_000_000 + b"}")), "returned", 16 * MIB),
    "fraction": ("recv_json", says(frame(1, b'{"a":0.' + b"7" * 1_000_000 + b"}")), "returned", 16 * MIB),
    "exponent": ("recv_json", says(frame(1, b'{"a":1e' + b"7" * 1_000_000 + b"}")), "returned", 16 * MIB),
}


@case("HOST-HOSTILE/memory", "HOST-CAP/receive", "HOST-JSON/limits", deadline=90)
@pytest.mark.parametrize("name", COSTLY)
def test_memory(name: str) -> None:
    """Measured in a process of its own. Beyond what has arrived, a call costs a multiple of a control payload at most."""
    call, scene, outcome, most = COSTLY[name]
    with facing(scene) as sock:
        cost = measure(sock, call, 0.5 if outcome == "TimeoutError" else 60)
    expect_equal(cost.outcome, outcome, "outcome")
    expect(cost.grown < most, f"less than {most // MIB} MiB", f"{cost.grown / MIB:.1f} MiB")
    expect(cost.seconds < 5, "less than 5 s of CPU", f"{cost.seconds:.1f} s")


@case("HOST-HOSTILE/memory", variant="crumbs", deadline=60)
def test_memory_of_crumbs() -> None:
    """A frame of 16 MiB that comes in 65,536 pieces costs about twice its size, as one that comes in few."""
    pieces = crumbles(bytes(CAP), 256)

    def scene(sock: socket.socket) -> None:
        sock.send(header(protocol.FRAME_DATA, CAP))
        pieces(sock)

    with facing(scene, socket.SOCK_SEQPACKET) as sock:
        cost = measure(sock, "recv_frame", 30)
    expect_equal(cost.outcome, "returned", "outcome")
    expect(cost.grown < 3 * CAP, "less than 48 MiB", f"{cost.grown / MIB:.1f} MiB")


@case("HOST-HOSTILE/memory", variant="exact", deadline=40)
def test_memory_of_recv_exact() -> None:
    """Asked for a terabyte, it takes no more than what comes."""
    with facing(says(bytes(100_000))) as sock:
        cost = measure(sock, "recv_exact", 0.5)
    expect_equal(cost.outcome, "TimeoutError", "outcome")
    expect(cost.grown < MIB, "less than 1 MiB", f"{cost.grown / MIB:.1f} MiB")
