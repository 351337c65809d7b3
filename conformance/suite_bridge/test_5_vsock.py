"""In a guest: addresses of vsock (BRIDGE-TARGET, BRIDGE-ADDRESS). Clients and what is dialled are the host's, through the guest's
vsock device, or the guest's own, over its loopback."""

from __future__ import annotations

import pytest

from guestwire import protocol
from guestwire.drive.bridge_vsock import VsockBench
from guestwire.drive.conversation import frame
from guestwire.drive.far_side import HOST, LOOPBACK, OWN, SLOW
from guestwire.drive.link import Link
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')
HIGH = 4_000_000_000  # a port beyond what 31 bits hold


def round_trip(client: Link, guest: Link) -> None:
    """Bytes go through, in each direction."""
    client.send(b"there")
    guest.gets(b"there")
    guest.send(b"and back")
    client.gets(b"and back")


@case("BRIDGE-TARGET/vsock", "BRIDGE-ADDRESS/vsock", needs="backend", deadline=SLOW)
@pytest.mark.parametrize("beyond", [0, HIGH], ids=["low-ports", "high-ports"])
def test_both_sides(vsock: VsockBench, beyond: int) -> None:
    vsock.guest = vsock.dialled(beyond + vsock.far.port())
    vsock.listen = f"vsock:{beyond + vsock.port}"
    vsock.guest.listen()
    bridge = vsock.start()
    round_trip(*bridge.pair())
    round_trip(*bridge.pair())


# ---- where it dials


@case("BRIDGE-TARGET/vsock", variant="cid", needs="backend", deadline=SLOW, twin="BRIDGE-TARGET/vsock:low-ports")
@pytest.mark.parametrize("cid", [LOOPBACK, OWN], ids=["loopback", "own"])
def test_the_guest_itself(vsock: VsockBench, cid: int) -> None:
    """An agent in the guest answers; the host, which listens on the same port, is not dialled."""
    port = vsock.far.port()
    vsock.far.agent(port)
    other = vsock.dialled(port)
    other.listen()
    vsock.launch(vsock.command(connect=f"vsock:{cid}:{port}"))
    client = vsock.client()
    client.send(PING)
    said = client.rest()
    expect(b'"pong"' in said, "an agent's answer", said)
    other.nobody_dials(0.1)


@case("BRIDGE-TARGET/vsock", variant="host-alone", needs="backend", deadline=SLOW, twin="BRIDGE-TARGET/vsock:low-ports")
def test_the_host_and_no_other(vsock: VsockBench) -> None:
    """Nobody listens on the host; an agent in the guest on the same port is no help."""
    port = vsock.far.port()
    vsock.far.agent(port)
    vsock.far.talk(LOOPBACK, port, PING)  # it is there
    bridge = vsock.launch(vsock.command("--connect-timeout", "1", connect=f"vsock:{HOST}:{port}"))
    client = vsock.client()
    client.send(PING)
    said = client.rest()
    expect_equal(said, b"", "bytes of whoever else")
    expect(bridge.running.poll() is None, "the bridge goes on", bridge.lines())


@case(
    "BRIDGE-TARGET/vsock",
    "BRIDGE-WAIT/served",
    "BRIDGE-WAIT/early-bytes",
    variant="later",
    needs="backend",
    deadline=SLOW,
)
def test_the_host_comes_later(vsock: VsockBench) -> None:
    """A port that nobody listens on yet is dialled again."""
    bridge = vsock.launch(vsock.command())
    client = vsock.client()
    client.send(b"early")
    client.stays_open(0.5)
    vsock.guest.listen()
    guest = vsock.guest.accept()
    guest.gets(b"early")
    round_trip(client, guest)
    expect_equal(bridge.lines(), [], "what it says of it")


# ---- where it listens


@case("BRIDGE-ADDRESS/vsock", variant="every-cid", needs="backend", deadline=SLOW)
def test_for_every_cid(vsock: VsockBench) -> None:
    """With no CID, those of the guest are served like the host."""
    port = vsock.far.port()
    vsock.far.agent(port)
    vsock.launch(vsock.command(connect=f"vsock:{LOOPBACK}:{port}"))
    for cid in (LOOPBACK, OWN):
        said, _ = vsock.far.talk(cid, vsock.port, PING)
        expect(b'"pong"' in said, f"a client of CID {cid} served", said)
    client = vsock.client()
    client.send(PING)
    expect(b'"pong"' in client.rest(), "the host served", "not")


@case("BRIDGE-ADDRESS/vsock", variant="own-cid", needs="backend", deadline=SLOW)
def test_for_the_cid_of_the_guest(vsock: VsockBench) -> None:
    vsock.guest.listen()
    listen = f"vsock:{OWN}:{vsock.port}"
    round_trip(*vsock.start(listen=listen).pair())


@case("BRIDGE-ADDRESS/vsock", variant="loopback", needs="backend", deadline=SLOW, twin="BRIDGE-ADDRESS/vsock:own-cid")
def test_for_the_loopback_alone(vsock: VsockBench) -> None:
    """The guest's own are served, the host is not."""
    port = vsock.far.port()
    vsock.far.agent(port)
    vsock.launch(vsock.command(listen=f"vsock:{LOOPBACK}:{vsock.port}", connect=f"vsock:{LOOPBACK}:{port}"))
    said, ended = vsock.far.talk(LOOPBACK, vsock.port, PING)
    expect(b'"pong"' in said, "a client of the loopback served", f"{said!r}, then {ended}")
    try:
        vsock.far.dial(vsock.port).close()
    except ConnectionRefusedError:
        return
    expect(False, "the host refused", "it was accepted")


@case(
    "BRIDGE-START/failed", variant="vsock-taken", needs="backend", deadline=SLOW, twin="BRIDGE-TARGET/vsock:low-ports"
)
def test_a_port_that_is_taken(vsock: VsockBench) -> None:
    vsock.guest.listen()
    bridge = vsock.start()
    vsock.refuses(vsock.command(), 1)
    round_trip(*bridge.pair())


@case("BRIDGE-START/failed", variant="vsock-cid", needs="backend", deadline=SLOW, twin="BRIDGE-ADDRESS/vsock:own-cid")
def test_a_cid_that_is_not_the_guests(vsock: VsockBench) -> None:
    vsock.refuses(vsock.command(listen=f"vsock:77:{vsock.port}"), 1)
