"""Section 4: the host hangs up in the middle of a run (RUN-HANGUP)."""

from __future__ import annotations

import socket
import time

import pytest

from guestwire import protocol
from guestwire.drive.host import Host, exit_code
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite.run_support import (
    FAMILY,
    KILL_TIME,
    PROMPT,
    SLACK,
    begin,
    blocked,
    counted_lines,
    expect_dead,
    gate,
    pid_in,
    read_pids,
)

SILENT = {
    "sleeping": "echo $$; exec sleep 60",
    "deaf": "trap '' HUP INT QUIT TERM PIPE; echo $$; while :; do sleep 60; done",
    "stopped": "echo $$; kill -STOP $$",
    "without-streams": "echo $$; exec >&- 2>&- sleep 60",
    "held": "sleep 60 & echo $!; exit 3",
}
NOISY = {
    "trickle": "echo $$; while :; do echo x; sleep 0.02; done",
    "flood": "echo $$; exec yes",
    "stderr": "echo $$; exec yes >&2",
}


@case("RUN-HANGUP/silent", needs="witness full-close")
@pytest.mark.parametrize("command", SILENT.values(), ids=SILENT.keys())
def test_silent(host: Host, command: str) -> None:
    """`the group gets SIGKILL within 1 s, also when the command is silent`."""
    conversation = begin(host, command)
    pids = read_pids(conversation)
    conversation.close()
    expect_dead(host, pids, time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/silent", variant="bytes-unread", needs="witness full-close")
def test_silent_with_later_bytes(host: Host) -> None:
    """What the host sent after the request is in the agent's way, unread (CONV-ONE)."""
    conversation = begin(host, "echo $$; exec sleep 60")
    pids = read_pids(conversation)
    conversation.send_frame(protocol.FRAME_DATA, bytes(1000))
    conversation.silence(0.1)
    expect(host.witness.alive(pids[0]), "a command that no byte disturbs", "it is dead")
    conversation.close()
    expect_dead(host, pids, time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/silent", variant="with-a-timeout", needs="witness full-close")
def test_silent_with_a_far_deadline(host: Host) -> None:
    """Waiting for the deadline is waiting for the host, too."""
    conversation = begin(host, "echo $$; exec sleep 60", timeout=30)
    pids = read_pids(conversation)
    conversation.close()
    expect_dead(host, pids, time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/noisy", needs="witness")
@pytest.mark.parametrize("command", NOISY.values(), ids=NOISY.keys())
def test_noisy(host: Host, command: str) -> None:
    conversation = begin(host, command)
    pids = read_pids(conversation)
    conversation.recv_frame(5)
    conversation.close()
    expect_dead(host, pids, time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/group", needs="witness full-close")
@pytest.mark.parametrize("before", ["", "trap '' HUP INT QUIT TERM; "], ids=["plain", "deaf"])
def test_the_whole_group(host: Host, before: str) -> None:
    conversation = begin(host, before + FAMILY)
    pids = read_pids(conversation, 4)
    conversation.close()
    expect_dead(host, pids, time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/unread", needs="witness")
def test_with_some_output_unread(host: Host) -> None:
    """It lies in the socket; the command is silent by now."""
    conversation = begin(host, f"echo $$ >'{host.scratch}/pid'; echo unread; exec sleep 60")
    pid = pid_in(host, f"{host.scratch}/pid")
    conversation.sock.settimeout(5)
    conversation.sock.recv(1, socket.MSG_PEEK)
    conversation.close()
    expect_dead(host, [pid], time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/unread", variant="full", needs="witness destructive")
def test_with_every_buffer_full(host: Host) -> None:
    """The agent can send nothing more, and learns of the hang-up all the same."""
    counter = f"{host.scratch}/counter"
    conversation = begin(host, f"echo $$ >'{host.scratch}/pid'; {counted_lines(800, counter)}; exec sleep 60")
    blocked(host, counter)
    pid = pid_in(host, f"{host.scratch}/pid")
    conversation.close()
    expect_dead(host, [pid], time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/after-halfclose", needs="witness half-close full-close")
@pytest.mark.parametrize(
    "command", [SILENT["sleeping"], SILENT["held"], NOISY["trickle"]], ids=["silent", "held", "noisy"]
)
@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at-once", "later"])
def test_after_a_half_close(host: Host, command: str, pause: float) -> None:
    """A half-close hides the hang-up that follows from whoever looks at poll() alone."""
    conversation = begin(host, command)
    pids = read_pids(conversation)
    conversation.half_close()
    if pause:
        time.sleep(pause)
        expect(host.witness.alive(pids[0]), "a half-close is no hang-up", "the command is dead")
    conversation.close()
    expect_dead(host, pids, time.monotonic(), KILL_TIME)


@case("RUN-HANGUP/halfclose", needs="witness half-close")
@pytest.mark.parametrize("meanwhile", [":", "echo x"], ids=["silent", "noisy"])
def test_a_mere_half_close(host: Host, meanwhile: str) -> None:
    """`Merely shutting down the sending side is no hang-up`: the command goes on and the host gets everything."""
    go = f"{host.scratch}/go"
    conversation = begin(host, f"echo $$; {gate(go, meanwhile)}; echo last; exit 3")
    conversation.half_close()
    pids = read_pids(conversation)
    time.sleep(0.3)
    expect(host.witness.alive(pids[0]), "a half-close is no hang-up", "the command is dead")
    host.witness.write(go, b"")
    answer = conversation.answer(2 * PROMPT + SLACK)
    expect_equal(answer.stdout.replace(b"x\n", b""), b"last\n", "output after the half-close")
    expect_equal(exit_code(answer), 3, "exit code")
