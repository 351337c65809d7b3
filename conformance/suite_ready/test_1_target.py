"""Section 1: what is dialled (READY-TARGET)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from guestwire.drive.gate import GateBench, expect_late, expect_ready
from guestwire.drive.services import HYBRID_PORT, Act, asked, bytewise, hangs_up, says, silent, then_hangs_up
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite_ready.names import World

BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
ELSEWHERE = "127.77.0.1"  # loopback, but not the address that is taken for it


@case("READY-TARGET/tcp")
def test_ipv4(gate: GateBench) -> None:
    service = gate.service(says(BANNER), form="tcp")
    expect_ready(gate.probe("ssh", service.target, 10))
    expect_equal([visit.peer for visit in service.visits], ["127.0.0.1"], "connections")


@case("READY-TARGET/ipv6")
def test_ipv6(gate: GateBench) -> None:
    service = gate.service(says(BANNER), form="tcp6")
    expect_ready(gate.probe("ssh", service.target, 10))
    expect_equal([visit.peer for visit in service.visits], ["::1"], "connections")


@case("READY-TARGET/unix")
def test_unix(gate: GateBench) -> None:
    for name in ("socket", "a socket", "socket:22", "sökkel"):
        service = gate.service(says(BANNER), place=gate.path(name))
        expect_ready(gate.probe("ssh", service.target, 10))
        expect_equal(len(service.visits), 1, f"connections to {name}")


# ---- names


@case("READY-TARGET/name")
def test_a_name(gate: GateBench) -> None:
    service = gate.service(says(BANNER), form="tcp")
    expect_ready(gate.probe("ssh", f"tcp:localhost:{service.port}", 10))
    expect_equal([visit.peer for visit in service.visits], ["127.0.0.1"], "connections")


@contextmanager
def deaf(place: str, port: int) -> Iterator[None]:
    """A TCP address that does not answer: nobody accepts, and the queue is full."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((place, port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex((place, port))
        try:
            yield
        finally:
            for sock in waiting:
                sock.close()


@case("READY-TARGET/every", needs="root")
@pytest.mark.parametrize("which", ["first", "last", "second-of-three"])
def test_every_address_of_a_name(gate: GateBench, which: str) -> None:
    """Only one of them listens."""
    addresses = ["127.77.0.2", "127.77.0.3", "127.77.0.4"]
    place = addresses[{"first": 0, "last": 2, "second-of-three": 1}[which]]
    service = gate.service(says(BANNER), form="tcp", place=place)
    with World(gate, [f"{address} guest.test" for address in addresses]) as world:
        told = gate.run("ssh", f"tcp:guest.test:{service.port}", "--timeout", "10", wrapper=world.wrapper)
        expect_ready(told)


@case("READY-TARGET/every", variant="families", needs="root")
@pytest.mark.parametrize("form", ["tcp", "tcp6"])
def test_both_families_of_a_name(gate: GateBench, form: str) -> None:
    service = gate.service(says(BANNER), form=form)
    with World(gate, ["127.0.0.1 guest.test", "::1 guest.test"]) as world:
        told = gate.run("ssh", f"tcp:guest.test:{service.port}", "--timeout", "10", wrapper=world.wrapper)
        expect_ready(told)


@case("READY-TARGET/every", variant="others-accept", needs="root", deadline=40)
@pytest.mark.parametrize(
    "act", [hangs_up, silent, says(b"HTTP/1.1 400 Bad Request\r\n")], ids=["close", "silent", "wrong"]
)
def test_the_others_accept(gate: GateBench, act: Act) -> None:
    """A forwarder of theirs accepts whatever becomes of it: the one that answers has its turn all the same."""
    service = gate.service(says(BANNER), form="tcp", place="127.77.0.3")
    for place in ("127.77.0.2", "127.77.0.4"):
        gate.service(act, form="tcp", place=place, port=service.port)
    hosts = [f"127.77.0.{last} guest.test" for last in (2, 3, 4)]
    with World(gate, hosts) as world:
        words = ["--timeout", "15", "--attempt-timeout", "0.5"]
        expect_ready(
            gate.run("ssh", f"tcp:guest.test:{service.port}", *words, wrapper=world.wrapper, within=17),
        )


@case("READY-TARGET/every", variant="others-deaf", needs="root")
@pytest.mark.parametrize("place", ["127.77.0.2", "127.77.0.3"])
def test_the_other_does_not_answer(gate: GateBench, place: str) -> None:
    """It must not use up the attempt."""
    other = {"127.77.0.2": "127.77.0.3", "127.77.0.3": "127.77.0.2"}[place]
    service = gate.service(says(BANNER), form="tcp", place=place)
    with World(gate, ["127.77.0.2 guest.test", "127.77.0.3 guest.test"]) as world, deaf(other, service.port):
        words = ["--timeout", "10", "--attempt-timeout", "2"]
        expect_ready(gate.run("ssh", f"tcp:guest.test:{service.port}", *words, wrapper=world.wrapper, within=12))


# ---- nothing else


@case("READY-TARGET/exactly")
def test_another_loopback_address(gate: GateBench) -> None:
    decoy = gate.service(says(BANNER), form="tcp")
    service = gate.service(says(BANNER), form="tcp", place=ELSEWHERE, port=decoy.port)
    expect_ready(gate.probe("ssh", service.target, 10))
    expect_equal((len(service.visits), len(decoy.visits)), (1, 0), "connections there, and to 127.0.0.1")


@case("READY-TARGET/exactly", variant="nobody", twin="READY-TARGET/exactly")
@pytest.mark.parametrize("form", ["tcp", "tcp6", "name"])
def test_no_loopback_instead(gate: GateBench, form: str) -> None:
    """Nobody listens at the address as given; on the same port of the loopback address somebody does."""
    decoy = gate.service(says(BANNER), form="tcp")
    host = {"tcp": ELSEWHERE, "tcp6": "[::1]", "name": "no-such-name.invalid"}[form]
    expect_late(gate.probe("ssh", f"tcp:{host}:{decoy.port}", 0.6, within=10))
    expect_equal(len(decoy.visits), 0, "connections to 127.0.0.1")


# ---- hybrid


@case("READY-TARGET/hybrid")
def test_hybrid(gate: GateBench) -> None:
    service = gate.service(says(BANNER), form="hybrid")
    expect_ready(gate.probe("ssh", service.target, 10))
    expect_equal(bytes(service.visits[0].received), b"CONNECT %d\n" % HYBRID_PORT, "bytes sent to the proxy")


def hybrid(gate: GateBench, act: Act) -> str:
    """The target of a proxy that does that once it has been asked."""
    return gate.service(asked(act, b"\n")).target.replace("unix:", "hybrid:") + ":22"


@case("READY-TARGET/hybrid", variant="segments")
def test_hybrid_answers_in_any_segments(gate: GateBench) -> None:
    long_line = b"OK " + b"1" * 60 + b"\n"
    expect_equal(len(long_line), 64, "bytes of the longest line")
    acts = [says(b"OK 7\n" + BANNER), bytewise(b"OK 7\n" + BANNER, every=0.005), says(long_line + BANNER)]
    for act in acts:
        expect_ready(gate.probe("ssh", hybrid(gate, act), 10))


@case("READY-TARGET/hybrid", variant="refused", twin="READY-TARGET/hybrid")
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (hangs_up, "closed"),
        (silent, "silent"),
        (says(b"ERR no such port\n"), "unexpected"),
        (says(BANNER), "unexpected"),
        (says(b"OK " + b"1" * 61 + b"\n" + BANNER), "unexpected"),
        (says(b"OK"), "incomplete"),
        (then_hangs_up(says(b"OK 7\n")), "closed"),
    ],
    ids=["closed", "silent", "error", "no-answer", "long", "half", "closed-behind-it"],
)
def test_hybrid_without_a_guest(gate: GateBench, act: Act, reason: str) -> None:
    words = ["--timeout", "1", "--attempt-timeout", "0.5", "--interval", "50", "--json"]
    told = gate.run("ssh", hybrid(gate, act), *words)
    expect_late(told)
    expect(told.probe["reason"] == reason, f"reason {reason}", told.probe)
