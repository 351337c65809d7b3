"""What only a virtual machine's transport does: resets in the middle of something, packets of one byte, credit that never comes,
a crowd at once, and ports that nobody listens on. All on listeners of the case's own, so that cases beside it notice nothing."""

from __future__ import annotations

import time

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Conversation, frame
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.suite.files import Standing, content, expect_file, put_request, upload_frames
from guestwire.suite.guests import faults, planned, port_of, world_of
from guestwire.suite.run_support import KILL_TIME, expect_dead, read_pids
from guestwire.vm.plan import Plan

PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')
CROWD = 500
MIB = 1 << 20


# ---- resets: the guest's kernel shows them as a plain end of stream


@case("SRV-SURVIVE/alive", variant="transport-reset-in-frame", needs="backend", twin="PING")
def test_reset_in_the_middle_of_a_frame(host: Host) -> None:
    before = host.ping().get("instance")
    for size in (0, 3, 5, len(PING) - 1):
        with planned(host, host, Plan()) as (connect, reset):
            conversation = connect()
            conversation.send_raw(PING[:size])
            host.ping()
            expect_equal(reset(), 1, "connections that are reset")
            conversation.closed_silently(3)
    expect_equal(host.ping().get("instance"), before, "instance afterwards")


@case("PUT-CLEAN/gone", variant="transport-reset", needs="backend witness", twin="PUT-OK/content:1")
def test_reset_in_the_middle_of_an_upload(host: Host) -> None:
    target = Standing(host, f"{host.scratch}/file")
    with planned(host, host, Plan()) as (connect, reset):
        conversation = connect()
        conversation.send_json(put_request(target.path, 10))
        conversation.send_frame(protocol.FRAME_DATA, b"12345")
        wait_for(lambda: host.witness.temporaries(host.scratch), 3, "a temporary file in mid-upload")
        expect_equal(reset(), 1, "connections that are reset")
        conversation.close()
        wait_for(lambda: not host.witness.temporaries(host.scratch), 3, "the temporary file gone")
    target.expect_untouched()


@case("RUN-HANGUP/silent", variant="transport-reset", needs="backend witness", twin="RUN-EXIT/status")
@pytest.mark.parametrize("cmd", ["exec sleep 60", "exec yes"], ids=["silent", "noisy"])
def test_reset_in_the_middle_of_a_run(host: Host, cmd: str) -> None:
    with planned(host, host, Plan()) as (connect, reset):
        conversation = connect()
        conversation.send_json({"op": "run", "shell": "raw", "cmd": f"echo $$; {cmd}"})
        pids = read_pids(conversation)
        began = time.monotonic()
        expect_equal(reset(), 1, "connections that are reset")
        expect_dead(host, pids, began, KILL_TIME)
        conversation.close()


# ---- packets


@case("FRAME-SEGMENT/bytewise", variant="packets", needs="backend witness")
def test_packets_of_one_byte(host: Host) -> None:
    """Each in a packet of its own: 2,000 bytes of an upload."""
    data = content(2_000)
    path = f"{host.scratch}/file"
    with planned(host, host, Plan(fragment=1)) as (connect, _):
        conversation = connect()
        conversation.send_json(put_request(path, len(data)))
        conversation.send_raw(upload_frames(data))
        expect_equal(conversation.answer().terminal, {"ok": True}, "answer")
    expect_file(host, path, data)


# ---- credit


@case("RUN-BACKPRESSURE/memory", variant="no-credit", needs="backend start witness", deadline=40)
def test_a_host_that_gives_no_credit(host: Host) -> None:
    """Eight floods that nobody takes: they stop, the agent's memory stays bounded, and others are served."""
    agent = host.start()
    agent.ping()
    before = host.witness.stats(agent.pid).peak_rss
    with faults(host) as control, planned(host, agent, Plan(buffer=4096)) as (connect, _):
        flooded = []
        for _ in range(8):
            conversation = connect()
            conversation.send_json({"op": "run", "shell": "raw", "cmd": "exec yes"})
            flooded.append(conversation)
        expect(control.facts()["running"], "a guest that runs", "none")
        time.sleep(1)
        agent.ping(within=3)
        expect_equal(exit_code(agent.run("exit 5", within=5)), 5, "exit code beside eight floods")
        grown = host.witness.stats(agent.pid).peak_rss - before
        expect(grown < 8 * MIB, "memory that grows by less than 8 MiB", f"{grown} bytes more")
        for conversation in flooded:
            conversation.close()
    wait_for(lambda: not host.witness.children(agent.pid), 5, "all floods ended by the hang-up")


# ---- many, and none


@case("SRV-CONNS/many", variant="crowd", needs="backend start", deadline=60)
def test_500_connections_at_once(host: Host) -> None:
    agent = host.start("--request-timeout", "50")  # an emulated host of 500 is not through with all within 10 s
    held: list[Conversation] = [agent.connect() for _ in range(CROWD)]
    for conversation in held:
        conversation.send_raw(PING)
    for conversation in held:
        expect_equal(conversation.answer().terminal.get("op"), "pong", "op of the answer")


@case("SRV-STOP/exit", variant="refused-afterwards", needs="guest witness start")
def test_a_port_that_nobody_listens_on_any_more(host: Host) -> None:
    """The refusal comes at once, and reads as one."""
    agent = host.start()
    agent.ping()
    host.witness.terminate(agent.pid)
    expect_equal(host.witness.wait(agent.pid, 2.5), 0, "exit status in time")
    began = time.monotonic()
    try:
        world_of(host).connect(port_of(agent)).close()
    except OSError:
        expect(time.monotonic() - began < 3, "refused at once", f"after {time.monotonic() - began:.1f} s")
        return
    raise Violation("a connection refused once the agent has stopped", "it was accepted")
