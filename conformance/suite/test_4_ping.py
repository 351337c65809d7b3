"""Section 4: ping."""

from __future__ import annotations

import time

import pytest

from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

LATE = 0.5  # seconds that a loaded machine may add


@case("PING")
def test_ping(host: Host) -> None:
    host.ping()


@case("PING-INSTANCE/stable", needs="server")
def test_instance_is_stable(host: Host) -> None:
    """Of the process, not of the connection or the request: the second ping is a longer one, while the first's is open."""
    first = host.connect()
    first.send_json({"op": "ping"})
    one = first.recv_json().get("instance")
    expect(isinstance(one, str) and one, "instance: a string, not empty", one)
    other = host.ask({"op": "ping", "proto": 1}).terminal.get("instance")
    expect_equal(other, one, "instance of a second ping")
    first.answer()
    expect_equal(host.ping().get("instance"), one, "instance of a third ping")


@case("PING-INSTANCE/random", needs="start")
def test_instance_differs_between_processes(host: Host) -> None:
    one, other = host.ping().get("instance"), host.start().ping().get("instance")
    expect(isinstance(one, str) and one, "instance: a string, not empty", one)
    expect(other != one, "another instance in another process", other)


def send_work(host: Host, conversation: Conversation, work: str, index: int) -> None:
    """A command that has said that it runs, or an upload of which nothing comes."""
    if work == "run":
        conversation.send_json({"op": "run", "cmd": "echo up; exec sleep 60", "shell": "raw"})
    else:
        conversation.send_json({"op": "put_file", "path": f"{host.scratch}/{index}", "size": 1})


@case("PING-ALWAYS", needs="server witness destructive full-close")
@pytest.mark.parametrize("work", ["run", "put"])
def test_ping_while_every_slot_is_busy(host: Host, work: str) -> None:
    """64 silent commands, or uploads nobody goes on with, and one more of them waiting its turn."""
    busy = [host.connect() for _ in range(64)]
    for index, conversation in enumerate(busy):
        send_work(host, conversation, work, index)
    for conversation in busy if work == "run" else []:
        conversation.recv_frame(what="output of 64 commands at once")
    busy.append(host.connect())
    send_work(host, busy[64], work, 64)
    for _ in range(5):
        start = time.monotonic()
        host.ping()
        expect(time.monotonic() - start <= 1 + LATE, "a pong within 1 s", f"after {time.monotonic() - start:.3f} s")
    for conversation in busy:
        conversation.close()
