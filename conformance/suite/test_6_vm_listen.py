"""Section 5 over vsock, in a guest: where the agent listens (SRV-LISTEN), and whom it serves there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from guestwire.drive.host import Host
from guestwire.drive.server import with_listen
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.suite.guests import GUEST, closed_at_once, port_of, world_of


@case("SRV-LISTEN/vsock", needs="guest witness start")
@pytest.mark.parametrize(
    "form", ["vsock:{port}", "vsock:{cid}:{port}", "vsock://{port}", "--port", "SMOLVM_AGENT_PORT"]
)
def test_addresses(host: Host, form: str) -> None:
    port = next(host.witness.ports)
    words: list[str] = []
    if form == "--port":
        words = ["--port", str(port)]
    elif form != "SMOLVM_AGENT_PORT":
        words = ["--listen", form.format(cid=GUEST, port=port)]
    pid = host.launch(*words, env={"SMOLVM_AGENT_PORT": str(port)} if form == "SMOLVM_AGENT_PORT" else {})
    _dialled(host, pid, port)


@case("SRV-LISTEN/vsock", variant="default", needs="guest witness start", twin="SRV-LISTEN/vsock:port")
def test_default_port(host: Host) -> None:
    """1024 is taken by the agent of the guest's init, unless that was killed: the word is of that port, or it is served."""
    pid = host.launch()
    if host.witness.wait(pid, 2) is None:
        _dialled(host, pid, 1024)
        return
    expect_equal(host.witness.poll(pid), 1, "exit status")
    said = host.witness.stderr(pid)
    expect(b"1024" in said, "a line that names port 1024", said)


def _dialled(host: Host, pid: int, port: int) -> None:
    end = time.monotonic() + 10
    while True:
        expect(host.witness.poll(pid) is None, "the agent serves", host.witness.stderr(pid))
        try:
            conversation = host.converse(world_of(host).connect(port))
            break
        except OSError as error:
            if time.monotonic() > end:
                raise Violation(f"the agent listens on port {port}", str(error)) from None
            time.sleep(0.01)
    conversation.send_json({"op": "ping"})
    expect_equal(conversation.answer().terminal.get("op"), "pong", "op of the answer")


def _serves_nobody(host: Host, port: int) -> None:
    try:
        world_of(host).connect(port).close()
    except OSError:
        return
    raise Violation(f"nobody listens on port {port}", "somebody does")


@case("SRV-LISTEN/precedence", variant="served", needs="guest witness start", twin="SRV-LISTEN/vsock:port")
@pytest.mark.parametrize("how", ["port", "listen", "listen-url"])
def test_the_port_that_decides_is_served(host: Host, how: str) -> None:
    """And the other one is not."""
    port, other = next(host.witness.ports), str(next(host.witness.ports))
    words, env = {
        "port": (["--port", str(port)], {"SMOLVM_AGENT_PORT": other}),
        "listen": (["--listen", f"vsock:{port}", "--port", other], {"SMOLVM_AGENT_PORT": other}),
        "listen-url": ([f"--listen=vsock://{port}", "--port", other], {}),
    }[how]
    _dialled(host, host.launch(*words, env=env), port)
    _serves_nobody(host, int(other))


@case("SRV-LISTEN/bind", variant="taken", needs="guest witness start", twin="SRV-LISTEN/vsock:port")
def test_a_port_that_is_taken(host: Host) -> None:
    agent = host.start()
    port = port_of(agent)
    pid = host.launch("--port", str(port))
    expect_equal(host.witness.wait(pid, 5), 1, "exit status")
    said = host.witness.stderr(pid).decode(errors="replace")
    expect(said.count("\n") == 1 and str(port) in said, f"one line that names port {port}", said)
    agent.ping()


# ---- sockets of vsock that were there before the agent


@contextlib.contextmanager
def _inheriting(host: Host, port: int, connected: bool) -> Iterator[int]:
    spec = host.row.spec()
    spec = replace(spec, argv=with_listen(spec.argv, "fd:{number}"))
    pid: int = host.witness.start_with(spec, port, connected)
    try:
        yield pid
    finally:
        host.witness.stop(pid)


@case("SRV-LISTEN/fd-listening", variant="vsock", needs="guest witness start")
def test_an_inherited_listening_socket(host: Host) -> None:
    port = next(host.witness.ports)
    host.witness.listen_on(port)
    with _inheriting(host, port, connected=False) as pid:
        _dialled(host, pid, port)
        _dialled(host, pid, port)


@case(
    "SRV-PEER/vsock-guest",
    variant="inherited",
    needs="guest witness start",
    twin="SRV-LISTEN/fd-listening:vsock",
)
def test_who_may_not_be_served_on_an_inherited_socket(host: Host) -> None:
    """Whoever made the socket has not looked who calls."""
    port = next(host.witness.ports)
    host.witness.listen_on(port)
    with _inheriting(host, port, connected=False) as pid:
        _dialled(host, pid, port)
        closed_at_once(host, port)
        _dialled(host, pid, port)


@case("SRV-LISTEN/fd-connected", variant="vsock", needs="guest witness start")
def test_an_inherited_connection(host: Host) -> None:
    """That conversation is served, then it is over: exit 0."""
    port = next(host.witness.ports)
    host.witness.listen_on(port)
    conversation = host.converse(world_of(host).connect(port))
    with _inheriting(host, port, connected=True) as pid:
        conversation.send_json({"op": "ping"})
        expect_equal(conversation.answer().terminal.get("op"), "pong", "op of the answer")
        expect_equal(host.witness.wait(pid, 10), 0, "exit status")
