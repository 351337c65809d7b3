"""What the cases of `run` share."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import Answer, Conversation, frame
from guestwire.drive.host import Host, wait_for
from guestwire.judge.outcome import Violation, expect

# Prints four process ids: its own, and those of a child, of a shell below it and of that shell's child. Then it says nothing.
FAMILY = "echo $$; sleep 60 & echo $!; sh -c 'echo $$; sleep 60 & echo $!; wait' & wait"

# Makes a thousand orphans: processes whose parent does not wait for them, eight of each. It waits for the parents.
ORPHANS = f"i=0; while [ $i -lt 125 ]; do ({'true & ' * 8}true) & i=$((i+1)); done; wait"

KILL_TIME = 1.0  # seconds, RUN-TIMEOUT and RUN-HANGUP: from the deadline or the hang-up to SIGKILL
REPLY_TIME = 1.0  # seconds, RUN-TIMEOUT: from the kill to the end of the response
PROMPT = 1.0  # seconds for what the contract wants at once
SLACK = 0.5  # seconds a loaded machine may add to each of them
ROUNDING = 0.01  # seconds a deadline may be early: clocks are read in whole milliseconds

LINE = 4096  # bytes; a pipe takes a write of this size whole or not at all


def begin(host: Host, cmd: str, **fields: Any) -> Conversation:
    """Send a run of `cmd` under /bin/sh and leave the response to the case."""
    conversation = host.connect()
    conversation.send_json({"op": "run", "shell": "raw", "cmd": cmd, **fields})
    return conversation


def raw_run(cmd: str | None, members: str) -> bytes:
    """The frame of a run with members in JSON text of the case's own: numbers, say, that json.dumps would write otherwise."""
    command = "" if cmd is None else f',"cmd":{json.dumps(cmd)}'
    return frame(protocol.FRAME_JSON, f'{{"op":"run"{command}{members and ","}{members}}}'.encode())


def gate(path: str, meanwhile: str = ":") -> str:
    """A command that waits until the case makes the file `path`, and does something all the while."""
    return f"while [ ! -e '{path}' ]; do {meanwhile}; sleep 0.01; done"


def read_lines(conversation: Conversation, count: int, within: float = 5.0) -> list[str]:
    """The first `count` lines of STDOUT; what else comes until then is dropped."""
    end = time.monotonic() + within
    text = b""
    while text.count(b"\n") < count:
        kind, payload = conversation.recv_frame(max(end - time.monotonic(), 0.01), f"{count} lines of output")
        expect(kind != protocol.FRAME_JSON, "output", payload)
        text += payload if kind == protocol.FRAME_STDOUT else b""
    return text.decode().splitlines()[:count]


def read_pids(conversation: Conversation, count: int = 1) -> list[int]:
    """The process ids that a command prints first, one a line."""
    return [int(line) for line in read_lines(conversation, count)]


def pid_in(host: Host, path: str) -> int:
    """The process id that a command writes to a file, for a host that reads nothing."""
    return int(wait_for(lambda: host.witness.info(path) and host.witness.read(path), 5, "a process id in a file"))


def read_pid_and_rest(conversation: Conversation) -> tuple[int, bytes]:
    """The process id that a command prints first, and what else came in its frame."""
    kind, payload = conversation.recv_frame(5, "a process id")
    expect(kind == protocol.FRAME_STDOUT, "a STDOUT frame", (kind, payload[:80]))
    pid, _, rest = payload.partition(b"\n")
    return int(pid), rest


def expect_dead(host: Host, pids: Iterable[int], since: float, limit: float) -> None:
    """Every process is dead `limit` seconds after `since` at the latest (and SLACK, for a loaded machine)."""
    end = since + limit + SLACK
    for pid in pids:
        if host.witness.wait_dead(pid, max(end - time.monotonic(), 0.01)) is None:
            raise Violation(f"every process killed within {limit:g} s", f"{pid} runs: {host.witness.process(pid)}")


def expect_timeout(answer: Answer, number: float) -> None:
    """The answer ends with a timeout that carries the number."""
    terminal = answer.terminal
    sent = terminal.get("timeout")
    shape = terminal.get("ok") is True and terminal.get("op") == "timeout" and type(sent) in (int, float)
    expect(shape and sent == number, f"a timeout frame with {number!r}", terminal)


def counted_lines(count: int, counter: str) -> str:
    """A command that writes numbered lines of LINE bytes to stdout, and after each of them a byte to the file `counter`."""
    step = "printf '%04095d\\n' $i; echo >&3; i=$((i+1))"
    return f"exec 3>'{counter}'; i=0; while [ $i -lt {count} ]; do {step}; done; exec 3>&-"


def counted(host: Host, counter: str) -> int:
    """How many lines counted_lines() has written."""
    found = host.witness.info(counter)
    return found.size if found else 0


def blocked(host: Host, counter: str, quiet: float = 0.2) -> int:
    """Wait until counted_lines() makes no progress for `quiet` seconds: how many lines were written."""
    seen, since = -1, time.monotonic()

    def stuck() -> bool:
        nonlocal seen, since
        now = counted(host, counter)
        if now != seen:
            seen, since = now, time.monotonic()
        return seen > 0 and time.monotonic() - since >= quiet

    wait_for(stuck, 8, "a command that stops while the host does not read")
    return seen


def numbered(count: int) -> bytes:
    """What counted_lines() writes."""
    return b"".join(b"%04095d\n" % number for number in range(count))


@contextlib.contextmanager
def put_away(host: Host, pids: list[int]) -> Iterator[None]:
    """Whatever happens, kill these processes in the end, which are not the agent's to kill. The list may grow meanwhile."""
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                host.witness.signal(pid, 9)
