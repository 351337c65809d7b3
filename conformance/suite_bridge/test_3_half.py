"""Section 3: half-closes, and a pair's end (BRIDGE-HALF, BRIDGE-DONE, BRIDGE-IDLE)."""

from __future__ import annotations

import time

import pytest

from guestwire.drive.bridge import BridgeBench, wait_for
from guestwire.drive.link import Link, Meanwhile, noise, pattern
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

EXPRESSIVE = ("unix-unix", "unix-tcp", "tcp-unix")  # hops whose target can be told of a half-close
PAIRS = 10_000


@case("BRIDGE-HALF/client", transports=EXPRESSIVE)
def test_client_half_closes(bridge: BridgeBench) -> None:
    """The guest reads to the end, and answers after it."""
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    _half_closes(client, guest)


@case("BRIDGE-HALF/guest")
def test_guest_half_closes(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    _half_closes(guest, client)


def _half_closes(first: Link, second: Link) -> None:
    first.send(b"everything")
    first.half_close()
    came = second.rest()
    expect(came == b"everything", f"everything at the {second.who}, then an end of stream", came)
    second.stays_writable(0.3)
    answer = noise(1 << 20)
    sending = Meanwhile(lambda: second.send(answer))
    first.gets(answer)
    sending.join()
    second.half_close()
    first.ends()


@case("BRIDGE-HALF/client", variant="nothing-sent", transports=EXPRESSIVE)
def test_client_half_closes_at_once(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    client.half_close()
    guest.ends()
    guest.send(b"answer")
    client.gets(b"answer")


@case("BRIDGE-HALF/last")
@pytest.mark.parametrize("side", ["client", "guest"])
def test_half_close_after_the_last_byte(bridge: BridgeBench, side: str) -> None:
    """As many bytes as are taken, to someone who begins to read a moment after the half-close."""
    if side == "client" and bridge.guest_kind == "hybrid":
        side = "guest"  # to such a guest it is not passed on
    bridge.guest.listen()
    running = bridge.start()
    for _ in range(3):  # how many of them the bridge itself holds at the half-close is chance
        client, guest = running.pair()
        first, second = (client, guest) if side == "client" else (guest, client)
        taken = first.fill()
        first.half_close()
        time.sleep(0.3)
        second.gets(pattern(taken), 15)
        second.ends()
        second.send(b"answer")
        first.gets(b"answer")


@case("BRIDGE-HALF/long", transports=("unix-unix",), long=True)
@pytest.mark.parametrize("side", ["client", "guest"])
def test_other_direction_takes_its_time(bridge: BridgeBench, side: str) -> None:
    """Seconds of silence after the half-close, then bytes, and silence again."""
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    first, second = (client, guest) if side == "client" else (guest, client)
    first.half_close()
    for word, pause in ((b"late", 3), (b"later", 0.5)):
        time.sleep(pause)
        second.send(word)
        first.gets(word)


@case("BRIDGE-HALF/long", variant="stuck-rest", transports=("unix-unix",))
def test_bytes_before_a_half_close_wait_for_who_is_slow(bridge: BridgeBench) -> None:
    """The client has half-closed and is still there: what it sent is not given up, however long nobody reads."""
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    taken = client.fill()
    client.half_close()
    time.sleep(2.5)
    guest.gets(pattern(taken), 15)
    guest.ends()
    guest.send(b"answer")
    client.gets(b"answer")


@case("BRIDGE-HALF/hybrid", transports=("unix-hybrid",), twin="BRIDGE-CLOSE/client")
def test_half_close_is_not_passed_to_a_hybrid_socket(bridge: BridgeBench) -> None:
    """Its proxies make a close of it, and the answer would be lost."""
    bridge.guest.listen()
    client, guest = bridge.start().pair()
    client.send(b"everything")
    client.half_close()
    guest.gets(b"everything")
    guest.stays_open(0.5)
    guest.send(b"answer")
    client.gets(b"answer")
    guest.close()
    client.ends()


# ---- the end


@case("BRIDGE-DONE/closed")
@pytest.mark.parametrize("order", ["client-first", "guest-first", "together"])
def test_both_directions_ended(bridge: BridgeBench, order: str) -> None:
    """Neither side has closed: the bridge does."""
    bridge.guest.listen()
    running = bridge.start()
    before = running.counts()[0]
    client, guest = running.pair()
    first, second = (guest, client) if order == "guest-first" else (client, guest)
    first.send(b"last words")
    first.half_close()
    if order != "together":
        second.gets(b"last words")
    second.send(b"last answer")
    second.half_close()
    came = first.rest()
    expect(came == b"last answer", "the last answer, then an end", came)
    if order == "together":
        second.gets(b"last words")
    second.ends_early()
    wait_for(lambda: running.counts()[0] <= before, "the pair's descriptors closed, its two ends still open")


@case("BRIDGE-DONE/flat", "BRIDGE-SURVIVE/leaks", transports=("unix-unix",), long=True, deadline=120)
def test_ten_thousand_pairs(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    running = bridge.start()

    def some(count: int) -> None:
        for _ in range(count):
            client, guest = running.fast_pair()
            client.send(b"there")
            guest.recv(16)
            guest.send(b"back")
            client.recv(16)
            client.close()
            guest.close()

    some(500)
    before, held = _memory(bridge, running.pid), running.counts()
    some(PAIRS)
    wait_for(lambda: running.counts() <= held, "no more descriptors, threads and children than before")
    grown = _memory(bridge, running.pid) - before
    expect(grown < 2 << 20, f"less than 2 MiB more memory after {PAIRS} pairs", f"{grown} bytes more")


def _memory(bridge: BridgeBench, pid: int) -> int:
    """Bytes of its own. (What it shares with others would change as they come and go.)"""
    lines = bridge.witness.proc(pid, "smaps_rollup").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(b"Anonymous:")).split()[1])


@case("BRIDGE-IDLE/lives", transports=("unix-unix", "tcp-unix"), long=True)
def test_silent_pair_lives(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    client, guest = bridge.start("--connect-timeout", "1").pair()
    client.stays_open(4)
    client.send(b"there")
    guest.gets(b"there")
    guest.send(b"back")
    client.gets(b"back")


IDLE = 0.8  # seconds looked at
RESTS = 0.08  # seconds of processor time in them that are no spinning; a spin takes them all


@case("BRIDGE-IDLE/cpu")
def test_silent_pairs_rest(bridge: BridgeBench) -> None:
    bridge.guest.listen()
    running = bridge.start()
    pairs = [running.pair() for _ in range(5)]
    used = running.cpu_over(IDLE)
    expect(used < RESTS, f"less than {RESTS:g} s of processor time in {IDLE:g} s", f"{used:g} s")
    for client, guest in pairs:
        client.send(b"there")
        guest.gets(b"there")


@case("BRIDGE-IDLE/half")
@pytest.mark.parametrize("side", ["client", "guest"])
def test_half_closed_pair_rests(bridge: BridgeBench, side: str) -> None:
    _rests(bridge, side, stuck=False)


@case("BRIDGE-IDLE/half", variant="stuck", transports=("unix-unix", "unix-tcp"))
@pytest.mark.parametrize("side", ["client", "guest"])
def test_half_closed_pair_rests_while_it_is_stuck(bridge: BridgeBench, side: str) -> None:
    """Bytes from before the half-close wait for who does not read."""
    _rests(bridge, side, stuck=True)


def _rests(bridge: BridgeBench, side: str, stuck: bool) -> None:
    bridge.guest.listen()
    running = bridge.start()
    client, guest = running.pair()
    first, second = (client, guest) if side == "client" else (guest, client)
    taken = first.fill() if stuck else 0
    first.half_close()
    used = running.cpu_over(IDLE)
    expect(used < RESTS, f"less than {RESTS:g} s of processor time in {IDLE:g} s", f"{used:g} s")
    second.gets(pattern(taken), 15)
    second.send(b"on")
    first.gets(b"on")
    expect_equal(running.running.poll(), None, "its exit status")
