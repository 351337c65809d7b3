"""Section 2: clients that come before the guest (BRIDGE-WAIT)."""

from __future__ import annotations

import time

from guestwire.drive.bridge import BridgeBench
from guestwire.drive.link import Meanwhile, pattern
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect

HYBRID = ("unix-hybrid",)
EXPRESSIVE = ("unix-unix", "unix-tcp", "tcp-unix")  # hops whose target can be told of a half-close
FROM_UNIX = ("unix-unix", "unix-hybrid", "unix-tcp")  # hops where a client's hang-up can be told


@case("BRIDGE-WAIT/served")
def test_guest_comes_later(bridge: BridgeBench) -> None:
    """After a second, in which the client is dialled for again and again; then it is served at once."""
    running = bridge.start()
    client = running.client()
    client.stays_open(1)
    bridge.guest.listen()
    guest = bridge.guest.accept(1)
    client.send(b"there")
    guest.gets(b"there")
    guest.send(b"back")
    client.gets(b"back")


@case("BRIDGE-WAIT/often", transports=HYBRID)
def test_dialled_often(bridge: BridgeBench) -> None:
    """At least five times a second: twice that time is allowed here."""
    bridge.guest.listen()
    bridge.start().client()
    count = bridge.guest.dials(10, within=4)
    expect(count == 10, "ten dials within 4 s", f"{count}")


@case("BRIDGE-WAIT/timeout", transports=("unix-unix", "tcp-unix"))
def test_connect_timeout(bridge: BridgeBench) -> None:
    """Each client has a time of its own, and the bridge goes on."""
    running = bridge.start("--connect-timeout", "1")
    began = time.monotonic()
    first = running.client()
    time.sleep(0.6)
    second = running.client()
    first.ends_early(4)
    waited = time.monotonic() - began
    expect(waited > 0.8, "an end after 1 s", f"after {waited:.2f} s")
    expect(second.is_open(), "the second client's connection open", "closed with the first")
    second.ends_early(4)
    waited = time.monotonic() - began
    expect(waited > 1.4, "an end 1 s after the second client came", f"after {waited - 0.6:.2f} s")
    running.works()


@case("BRIDGE-WAIT/default", transports=("unix-unix",), long=True)
def test_default_connect_timeout(bridge: BridgeBench) -> None:
    """30 s; a good part of it is waited out."""
    running = bridge.start()
    client = running.client()
    client.stays_open(5)
    running.works_for([client])


@case("BRIDGE-WAIT/early-bytes")
def test_early_bytes_arrive(bridge: BridgeBench) -> None:
    running = bridge.start()
    client = running.client()
    client.send(pattern(40_000))
    client.stays_open(0.3)
    client.send(pattern(1000, 7))
    bridge.guest.listen()
    guest = bridge.guest.accept()
    guest.gets(pattern(40_000) + pattern(1000, 7))


@case("BRIDGE-WAIT/early-bytes", variant="half-closed", transports=EXPRESSIVE)
def test_early_half_close(bridge: BridgeBench) -> None:
    """A client that has said everything before the guest came waits for the answer."""
    running = bridge.start()
    client = running.client()
    client.send(b"everything")
    client.half_close()
    time.sleep(0.4)
    bridge.guest.listen()
    guest = bridge.guest.accept()
    came = guest.rest()
    expect(came == b"everything", "the bytes sent before the guest came", came)
    guest.send(b"answer")
    guest.close()
    came = client.rest()
    expect(came == b"answer", "the answer", came)


@case("BRIDGE-WAIT/early-bytes", variant="many")
def test_more_early_bytes_than_anybody_holds(bridge: BridgeBench) -> None:
    running = bridge.start()
    client = running.client()
    sending = Meanwhile(lambda: client.send(pattern(8 << 20)))
    time.sleep(0.4)
    bridge.guest.listen()
    guest = bridge.guest.accept()
    guest.gets(pattern(8 << 20))
    sending.join()


@case("BRIDGE-WAIT/hang-up", transports=FROM_UNIX, twin="BRIDGE-WAIT/served")
def test_client_that_hangs_up_while_it_waits(bridge: BridgeBench) -> None:
    running = bridge.start()
    client = running.client()
    client.send(b"gone by then")
    time.sleep(0.3)
    client.close()
    time.sleep(0.4)
    bridge.guest.listen()
    bridge.guest.nobody_dials(0.6)
    running.works()


@case("BRIDGE-WAIT/hang-up", variant="reset", transports=("tcp-unix",), twin="BRIDGE-WAIT/served")
def test_client_that_is_reset_while_it_waits(bridge: BridgeBench) -> None:
    running = bridge.start()
    client = running.client()
    time.sleep(0.3)
    client.reset()
    time.sleep(0.4)
    bridge.guest.listen()
    bridge.guest.nobody_dials(0.6)
    running.works()


@case("BRIDGE-WAIT/hang-up", variant="handshake", transports=HYBRID, twin="BRIDGE-WAIT/served")
def test_client_that_hangs_up_in_the_handshake(bridge: BridgeBench) -> None:
    """The dial under way may come to its end, but nobody keeps it for thirty seconds, and none follows."""
    running = bridge.start()
    bridge.guest.listen()
    client = running.client()
    guest = bridge.guest.accept_raw()
    client.close()
    try:
        guest.ends_early(5)
    except Violation:
        raise Violation("the dial for a client that has gone given up", "it is still open") from None
    bridge.guest.nobody_dials(0.6)
    running.works()
