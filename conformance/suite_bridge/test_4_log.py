"""Section 4: what it says, and what it survives (BRIDGE-LOG, BRIDGE-SURVIVE)."""

from __future__ import annotations

import random
import signal
import time

import pytest

from guestwire.drive.bridge import BridgeBench, wait_for
from guestwire.drive.link import SECOND, Link
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

UNIX = ("unix-unix",)
SECRET = b"xyzzy-plugh"


@case("BRIDGE-LOG/dial", transports=("unix-unix", "unix-tcp"))
def test_dial_given_up(bridge: BridgeBench) -> None:
    """One line for each client, not one for each attempt."""
    running = bridge.start("--connect-timeout", "0.7")
    for count in (1, 2):
        running.client().ends_early()
        wait_for(lambda count=count: len(running.lines()) >= count, "a line on stderr")  # type: ignore[misc]
        time.sleep(0.1)
        expect_equal(len(running.lines()), count, f"lines after {count} dials given up")


@case("BRIDGE-LOG/reset", transports=("unix-tcp", "tcp-unix"))
def test_pair_reset(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    running = bridge.start()
    client, guest = running.pair()
    first, second = (client, guest) if client.is_tcp else (guest, client)
    first.send(b"there")
    second.gets(b"there")
    first.reset()
    second.ends_early()
    wait_for(running.lines, "a line on stderr")
    time.sleep(0.1)
    expect_equal(len(running.lines()), 1, "lines after a reset")


@case("BRIDGE-LOG/orderly")
def test_nothing_said_of_order(bridge: BridgeBench) -> None:
    """Pairs that the client ends, that the guest ends, that end by half-closes; one that waited; and the stop."""
    running = bridge.start()
    waited = running.client()
    time.sleep(0.3)
    bridge.guest.listen()
    guest = bridge.guest.accept()
    for first, second in ((waited, guest), running.pair(), running.pair()[::-1]):
        first.send(b"there")
        second.gets(b"there")
        first.close()
        if first.is_tcp:
            second.ends()
        second.ends_early()
        second.close()
    client, guest = running.pair()
    guest.half_close()
    client.ends()
    client.half_close()
    guest.ends_early()
    expect_equal(running.stop(signal.SIGTERM), 0, "exit status")
    expect_equal(running.lines(), [], "lines on stderr")


@case("BRIDGE-LOG/private")
def test_nothing_of_theirs_is_said(bridge: BridgeBench) -> None:
    """What goes through, or waits, goes into no line, nor into the status."""
    bridge.guest.listen()
    running = bridge.start("--connect-timeout", "0.6", "--status", bridge.status_path)
    client, guest = running.pair()
    client.send(SECRET)
    guest.gets(SECRET)
    guest.send(SECRET)
    time.sleep(0.1)
    client.abandon()
    guest.ends_early()
    bridge.guest.leave()
    client = running.client()
    client.send(SECRET)
    client.ends_early()
    wait_for(running.lines, "a line on stderr")
    time.sleep(0.5)
    said = running.running.stderr() + str(running.status())
    expect(SECRET.decode() not in said, "nothing that a client or guest sent on stderr or in the status", said)


@case("BRIDGE-LOG/private", variant="answer", transports=("unix-hybrid",))
def test_nothing_of_an_answer_is_said(bridge: BridgeBench) -> None:
    """That a proxy gives instead of OK."""
    bridge.guest.listen()
    running = bridge.start("--connect-timeout", "0.6", "--status", bridge.status_path)
    client = running.client()
    refused = bridge.guest.accept_raw()
    bridge.guest.shake(refused, b"NO " + SECRET + b"\n")
    refused.close()
    bridge.guest.leave()
    client.ends_early()
    wait_for(running.lines, "a line on stderr")
    time.sleep(0.5)
    said = running.running.stderr() + str(running.status())
    expect(SECRET.decode() not in said, "nothing that a proxy sent on stderr or in the status", said)


@case("BRIDGE-LOG/private", variant="first-line", transports=UNIX)
def test_nothing_of_a_first_line_is_said(bridge: BridgeBench) -> None:
    running = bridge.start("--status", bridge.status_path, listen=f"hybrid:{bridge.socket_path}:1024")
    client = running.client()
    client.send(b"CONNECT " + SECRET + b"\n")
    client.ends_early()
    time.sleep(0.5)
    said = running.running.stderr() + str(running.status())
    expect(SECRET.decode() not in said, "nothing that a client sent on stderr or in the status", said)


@case("BRIDGE-LOG/stalled", transports=UNIX)
@pytest.mark.parametrize("kind", ["closed", "full", "stuck"])
def test_stderr_that_takes_nothing(bridge: BridgeBench, kind: str) -> None:
    """Forty lines would be said, and nobody takes one."""
    running = bridge.start("--connect-timeout", "0.3", stderr=kind)
    for client in [running.client() for _ in range(40)]:
        client.ends_early(SECOND)
    running.works()
    expect_equal(running.stop(signal.SIGTERM, SECOND), 0, "exit status in time")


# ---- surviving


def _anyhow(choice: random.Random, link: Link) -> None:
    """Do something to one end of a pair, and leave it."""
    for _ in range(choice.randint(0, 3)):
        what = choice.choice(["send", "send", "half-close", "receive"])
        link.sock.settimeout(0.02)
        try:
            if what == "send":
                link.sock.send(bytes(choice.choice([1, 1000, 300_000])))
            elif what == "half-close":
                link.half_close()
            else:
                link.sock.recv(choice.choice([1, 100_000]))
        except OSError:
            break
    if link.is_tcp and choice.random() < 0.4:
        link.reset()
    elif choice.random() < 0.8:
        link.abandon()


@case("BRIDGE-SURVIVE/survives", "BRIDGE-SURVIVE/leaks", "BRIDGE-SURVIVE/files", variant="anything")
@pytest.mark.parametrize("seed", [1, 2])
def test_survives_whatever_clients_and_guests_do(bridge: BridgeBench, seed: int) -> None:
    """Eighty pairs whose ends do as they like, all the same each time; then it serves, and holds what it held before."""
    choice = random.Random(seed)
    bridge.guest.listen()
    running = bridge.start("--connect-timeout", "2", "--status", bridge.status_path)
    held = running.counts()
    ends: list[Link] = []
    all_ends: list[Link] = []
    for _ in range(80):
        pair = running.pair()
        pair[0].send(b"\x01")  # once it has arrived the dial is over: a guest that resets before is dialled again
        pair[1].gets(b"\x01")
        ends += pair
        all_ends += pair
        if choice.random() < 0.5:
            _anyhow(choice, ends.pop(choice.randrange(len(ends))))
    choice.shuffle(ends)
    for link in ends:
        _anyhow(choice, link)
    for link in all_ends:
        link.sock.close()
    wait_for(lambda: running.counts() <= held, "no more descriptors, threads and children than before", 10)
    running.works()
    expect_equal(running.stop(signal.SIGTERM), 0, "exit status")
    expect_equal(bridge.witness.names(bridge.program.folder), [], "what it left")
