"""In a guest: vsock as what is dialled (READY-TARGET) and as where a guest says that it is ready (READY-NOTIFY). The services are
the host's, through the guest's vsock device, or the guest's own, over its loopback."""

from __future__ import annotations

import time

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.far_side import HOST, LOOPBACK, OWN, PATIENCE, SLOW, FarSide
from guestwire.drive.gate import Gate, GateBench, expect_late, expect_ready
from guestwire.drive.services import Service, asked, says
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')
PONG = frame(protocol.FRAME_JSON, b'{"ok":true,"op":"pong","proto":1,"agent_version":"1"}')
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
HIGH = 4_000_000_000  # a port beyond what 31 bits hold
SERVICES = {"ssh": says(BANNER), "agent": asked(says(PONG), b"}")}


def of_the_host(gate: GateBench, far: FarSide, port: int, kind: str = "ssh") -> Service:
    """A service at this port of the host's."""
    return gate.service(SERVICES[kind], form="vsock", place=far.path(port), port=port)


# ---- what is dialled


@case("READY-TARGET/vsock", needs="backend", deadline=SLOW)
@pytest.mark.parametrize("kind", SERVICES)
def test_the_host(gate: GateBench, far: FarSide, kind: str) -> None:
    service = of_the_host(gate, far, far.port() + (HIGH if kind == "ssh" else 0), kind)
    expect_ready(gate.probe(kind, service.target, 10, PATIENCE))
    expect_equal(len(service.visits), 1, "connections")


@case("READY-TARGET/vsock", variant="cid", needs="backend", deadline=SLOW, twin="READY-TARGET/vsock:agent")
@pytest.mark.parametrize("cid", [LOOPBACK, OWN], ids=["loopback", "own"])
def test_the_guest_itself(gate: GateBench, far: FarSide, cid: int) -> None:
    """An agent in the guest answers; the host, which listens on the same port, is not dialled."""
    port = far.port()
    far.agent(port)
    other = of_the_host(gate, far, port)
    expect_ready(gate.probe("agent", f"vsock:{cid}:{port}", 10, PATIENCE))
    expect_equal(other.visits, [], "connections to the host")


@case(
    "READY-TARGET/vsock",
    "READY-TARGET/exactly",
    variant="host-alone",
    needs="backend",
    deadline=SLOW,
    twin="READY-TARGET/vsock:agent",
)
def test_the_host_and_no_other(gate: GateBench, far: FarSide) -> None:
    """Nobody listens on the host; an agent in the guest on the same port is no help."""
    port = far.port()
    far.agent(port)
    far.talk(LOOPBACK, port, PING)  # it is there
    expect_late(gate.probe("agent", f"vsock:{HOST}:{port}", 1, PATIENCE))


# ---- where it is told


def listening(gate: GateBench, *words: str) -> Gate:
    return gate.start("notify", *words, "--timeout", "30")


def tell(far: FarSide, port: int, message: bytes) -> None:
    """The host sends this, once somebody listens, and closes."""
    with far.dial_patiently(port) as sock:
        sock.sendall(message)


@case("READY-NOTIFY/vsock", needs="backend", deadline=SLOW)
@pytest.mark.parametrize("form", ["vsock:{}", "--listen=vsock:{}"], ids=["target", "option"])
def test_told_through_the_device(gate: GateBench, far: FarSide, form: str) -> None:
    port = far.port() + (HIGH if form.startswith("-") else 0)
    running = listening(gate, form.format(port))
    tell(far, port, b"READY=1\n")
    expect_ready(running.end(PATIENCE))


@case("READY-NOTIFY/vsock", variant="agent", needs="backend", deadline=SLOW)
def test_told_by_an_agent(gate: GateBench, far: FarSide) -> None:
    """SRV-READY of an agent that starts while the gate listens."""
    port = far.port()
    running = listening(gate, f"vsock:{port}")
    far.dial_patiently(port).close()
    far.agent(far.port(), NOTIFY_SOCKET=f"vsock:{LOOPBACK}:{port}")
    expect_ready(running.end(PATIENCE))


@case(
    "READY-NOTIFY/vsock",
    "READY-NOTIFY/other",
    variant="others",
    needs="backend",
    deadline=SLOW,
    twin="READY-NOTIFY/vsock:target",
)
def test_other_messages_are_passed_over(gate: GateBench, far: FarSide) -> None:
    """So is a line that goes over two connections."""
    port = far.port()
    running = listening(gate, f"vsock:{port}")
    for other in (b"", b"READY=0\n", b"STATUS=up\n", b"READY=10", b"REA", b"DY=1\n"):
        tell(far, port, other)
    time.sleep(0.3)
    expect_equal(running.poll(), None, f"exit status of the gate after others ({running.running.stderr()!r})")
    tell(far, port, b"STATUS=up\nREADY=1\nMAINPID=1\n")
    expect_ready(running.end(PATIENCE))


@case("READY-NOTIFY/vsock", variant="taken", needs="backend", deadline=SLOW, twin="READY-NOTIFY/vsock:target")
def test_a_port_that_is_taken(gate: GateBench, far: FarSide) -> None:
    """Exit 1, with one line; who listens there goes on."""
    port = far.port()
    first = listening(gate, f"vsock:{port}")
    far.dial_patiently(port).close()
    told = listening(gate, f"vsock:{port}").end(PATIENCE)
    expect_equal((told.status, len(told.lines)), (1, 1), f"exit status and lines on stderr ({told.stderr!r})")
    expect(str(port) in told.stderr, "a line that names it", told.stderr)
    tell(far, port, b"READY=1\n")
    expect_ready(first.end(PATIENCE))
