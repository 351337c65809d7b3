"""The bridge and the gate on real vsock: in a guest, where CID 1 leads back into it, and from the host through a bridge in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire import protocol
from guestwire.tests.test_vm_machine import AGENT, BUILD, DEADLINE
from guestwire.vm import machine, qemu
from guestwire.vm.idle import run
from guestwire.vm.machine import Machine
from guestwire.vm.qemu import Spec

TOOL = "/opt/tools/guestwire"
OTHER = "smolvm-guest-agent --listen vsock:2000 --allow-cid any >/tmp/other.log 2>&1 &"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def guest() -> Iterator[Machine]:
    """With the tools in it, and a second agent that serves the guest's own processes."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        tools, folder = Path(name, "tools"), Path(name, "vm")
        for path in (tools, folder):
            path.mkdir()
        shutil.copy(BUILD / "guestwire", tools)
        booted = machine.boot(Spec(qemu.VHOST_USER, [str(AGENT)], overlay={"/opt/tools": tools}), folder, DEADLINE)
        try:
            assert run(booted, f"{OTHER} {ready('agent vsock:1:2000')}") == "0\n"
            yield booted
        finally:
            booted.stop()


def ready(what: str, timeout: float = 20) -> str:
    """The command that prints the gate's exit status, and its reason on failure."""
    return f"{TOOL} ready {what} --timeout {timeout} 2>&1; echo $?"


def test_a_gate_dials_vsock(guest: Machine) -> None:
    """Answered above; here refused by the agent, which serves the host alone, and by a port that nobody listens on."""
    refused = run(guest, ready("agent vsock:1:1024", 1))
    assert refused.endswith("\n1\n")
    assert "vsock:1:1024: closed: closed before it said anything" in refused
    nobody = run(guest, ready("agent vsock:1:2999", 1))
    assert nobody.endswith("\n1\n")
    assert "vsock:1:2999: refused: nothing listens there" in nobody


def test_a_bridge_dials_vsock(guest: Machine) -> None:
    bridge = (
        f"{TOOL} bridge --listen unix:/tmp/dials --connect vsock:1:2000 --status /tmp/dials.json >/tmp/dials.log 2>&1 &"
    )
    assert run(guest, f"{bridge} {ready('agent unix:/tmp/dials')}") == "0\n"
    told = run(guest, "cat /tmp/dials.log /tmp/dials.json")
    assert '"target": "vsock:1:2000"' in told
    assert '"last_error": null' in told


def test_a_bridge_listens_on_vsock(guest: Machine) -> None:
    """From inside and from the host; and a port that is taken."""
    bridge = f"{TOOL} bridge --listen vsock:3000 --connect vsock:1:2000 >/tmp/listens.log 2>&1 &"
    assert run(guest, f"{bridge} {ready('agent vsock:1:3000')}") == "0\n"
    with guest.dial(3000, 20) as host:
        protocol.send_json(host, {"op": "run", "cmd": "printf through", "shell": "raw"})
        assert protocol.recv_frame(host) == (protocol.FRAME_STDOUT, b"through")
    taken = run(guest, f"{TOOL} bridge --listen vsock:3000 --connect vsock:1:2000 2>&1; echo $?")
    assert taken.splitlines() == ["guestwire bridge: cannot listen on vsock:3000: Address in use", "1"]
    assert run(guest, "cat /tmp/listens.log") == ""


def test_a_gate_is_told_over_vsock(guest: Machine) -> None:
    """SRV-READY of an agent that starts while the gate listens."""
    agent = "(sleep 1; NOTIFY_SOCKET=vsock:1:5000 exec smolvm-guest-agent --listen vsock:2001 >/tmp/third.log 2>&1) &"
    assert run(guest, f"{agent} {ready('notify vsock:5000')}") == "0\n"
