"""Section 5 over vsock, in a guest: who is served there (SRV-PEER), and how the host is told of readiness (SRV-READY)."""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from pathlib import Path

import pytest

from guestwire.drive.host import Host, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import CouldNotRun, Violation, expect, expect_equal
from guestwire.suite.guests import (
    AT_ONCE,
    GUEST,
    LOOPBACK,
    NOBODY,
    PING,
    closed_at_once,
    planned,
    port_of,
    service,
    world_of,
)
from guestwire.vm.plan import Plan

PORTS = itertools.count(40_000)  # of the host's services; a case's guest is another worker's, too


def host_port(host: Host) -> int:
    """A port of the host's that no other case of this run uses."""
    number: int = host.witness.number
    return 1_000_000 * number + next(PORTS)


# ---- who is served


@case("SRV-PEER/vsock-host", needs="guest")
def test_the_host_is_served(host: Host) -> None:
    host.ping(within=AT_ONCE)


@case("SRV-PEER/vsock-guest", needs="guest witness start", twin="SRV-PEER/vsock-host")
@pytest.mark.parametrize("who", ["nobody", "root", "low-port", "own-cid"])
def test_processes_of_the_guest_are_not_served(host: Host, who: str) -> None:
    """Otherwise any user of the guest could run commands as the agent. A low port proves nothing here."""
    agent = host.start()
    port = port_of(agent)
    if who == "low-port":
        closed_at_once(host, port, uid=0, source=1000)
        closed_at_once(host, port, uid=NOBODY, source=1001)
    else:
        cid = GUEST if who == "own-cid" else LOOPBACK
        closed_at_once(host, port, cid=cid, uid=0 if who == "root" else NOBODY)
    agent.ping()


@case("SRV-PEER/vsock-guest", variant="forged", needs="backend start", twin="SRV-PEER/vsock-host")
@pytest.mark.parametrize("cid", [77, 1, 0], ids=["another", "local", "hypervisor"])
def test_a_forged_source_is_not_served(host: Host, cid: int) -> None:
    """The guest's kernel takes whatever source a packet names; the agent's own look is the only guard."""
    agent = host.start()
    with planned(host, agent, Plan(host_cid=cid)) as (connect, _):
        try:
            conversation = connect()
        except OSError as error:  # its own kernel would have none of it
            expect(cid == LOOPBACK, f"a connection from CID {cid}", error)
            agent.ping()
            return
        conversation.send_raw(PING, tolerate=True)
        conversation.closed_silently(AT_ONCE)
    agent.ping()


@case("SRV-PEER/allow", needs="guest witness start")
@pytest.mark.parametrize("options", [["--allow-cid", "any"], ["--allow-cid", "9", "--allow-cid=1"]], ids=["any", "one"])
def test_whoever_is_allowed_is_served(host: Host, options: list[str]) -> None:
    agent = host.start(*options)
    received, ended = host.witness.talk(LOOPBACK, port_of(agent), PING, uid=NOBODY)
    expect(b'"pong"' in received and ended == "eof", "a pong", (received, ended))
    agent.ping()


@case("SRV-PEER/allow", variant="others", needs="guest witness start", twin="SRV-PEER/allow:any")
def test_whoever_else_is_not(host: Host) -> None:
    agent = host.start("--allow-cid", "9")
    closed_at_once(host, port_of(agent))
    agent.ping()


# ---- readiness


@case("SRV-READY/vsock", needs="guest start")
@pytest.mark.parametrize("kind", ["vsock-stream", "vsock"])
def test_the_host_is_told(host: Host, kind: str) -> None:
    """The guest's device has no seqpacket: plain `vsock:` falls back on a stream."""
    port = host_port(host)
    with service(host, port) as listener:
        agent = host.start(env={"NOTIFY_SOCKET": f"{kind}:2:{port}"})
        said = _told(listener)
        expect(b"READY=1" in said.split(b"\n"), "READY=1 among the lines", said)
        agent.ping()


def _told(listener: socket.socket) -> bytes:
    """All that the first who calls has to say."""
    try:
        with listener.accept()[0] as made:
            made.settimeout(10)
            said = b""
            while part := made.recv(4096):
                said += part
            return said
    except TimeoutError:
        raise Violation("the agent calls the host and ends what it says within 10 s", "it does not") from None


@case("SRV-READY/vsock", variant="gate", needs="backend start")
def test_a_waiting_gate_is_ended(host: Host) -> None:
    """`guestwire ready notify` waits on the host. Its Unix socket takes datagrams, so what comes from the guest is handed on."""
    gate = Path(__file__).resolve().parents[2] / "build/guestwire"
    if not gate.is_file():
        raise CouldNotRun(f"{gate} is missing: make guestwire")
    port = host_port(host)
    path = world_of(host).folder / f"notify-{port}.sock"
    command = [str(gate), "ready", "notify", f"unix:{path}", "--timeout", "15"]
    with service(host, port) as listener, subprocess.Popen(command, stdin=subprocess.DEVNULL) as waiting:
        try:
            host.start(env={"NOTIFY_SOCKET": f"vsock-stream:2:{port}"})
            said = _told(listener)
            wait_for(path.exists, 5, "the gate listens")
            expect_equal(waiting.poll(), None, "exit status of a gate that nobody has told anything")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.sendto(said, str(path))
            expect_equal(waiting.wait(10), 0, "exit status of the gate")
        finally:
            waiting.kill()


@case("SRV-READY/failure", variant="vsock", needs="guest start", twin="PING")
@pytest.mark.parametrize("address", ["vsock-seqpacket:2:9", "vsock-stream:2:9", "vsock:99:9"])
def test_nobody_to_be_told(host: Host, address: str) -> None:
    """Nothing listens there, or the transport has no such sockets."""
    agent = host.start(env={"NOTIFY_SOCKET": address})
    agent.ping(within=AT_ONCE)
    time.sleep(0.3)
    agent.ping(within=AT_ONCE)
