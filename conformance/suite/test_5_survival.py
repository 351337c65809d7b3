"""Section 5: survival and the log (SRV-SURVIVE, SRV-LOG)."""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

# ---- survival


def nuisances() -> Iterator[tuple[str, bytes]]:
    """Named bytes that no host should send."""
    ping = frame(protocol.FRAME_JSON, b'{"op":"ping"}')
    yield "nothing", b""
    yield "half-header", ping[:3]
    yield "half-payload", ping[:9]
    yield "over-cap", struct.pack(">BI", 1, 1 << 31)
    yield "deep", frame(1, b'{"a":' + b"[" * 100_000)
    yield "wide", frame(1, b'{"a":[' + b"0," * 100_000 + b"0]}")
    yield "not-utf8", frame(1, b'{"op":"\xff\xfe"}')
    yield "empty", frame(1, b"")
    yield "eof", frame(5, b"")
    yield "upload-cut", frame(1, b'{"op":"put_file","path":"/nonexistent/x","size":9}') + frame(4, b"123")
    source = random.Random(20_261_121)
    for index in range(20):
        yield f"random-{index}", source.randbytes(source.randrange(1, 200))


def _reset_by_close(sock: socket.socket) -> None:
    """By the descriptor alone: of a vsock socket Python sets no options but numbers."""
    with socket.socket(socket.AF_UNIX, fileno=os.dup(sock.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@case("SRV-SURVIVE/alive", needs="server half-close")
@pytest.mark.parametrize("manner", ["closed", "half-closed", "reset"])
def test_nuisances(host: Host, manner: str) -> None:
    """Whatever a host sends and however it leaves: the same process answers the next ping."""
    before = host.ping().get("instance")
    for _, data in nuisances():
        conversation = host.connect()
        conversation.send_raw(data, tolerate=True)
        if manner == "half-closed":
            conversation.half_close()
            conversation.answer(within=5)
        elif manner == "reset":
            _reset_by_close(conversation.sock)
        conversation.close()
    expect_equal(host.ping().get("instance"), before, "instance afterwards")


@case("SRV-SURVIVE/leaks", needs="server witness full-close")
def test_mixed_requests_leave_nothing(host: Host) -> None:
    """What is left is judged after every case; this one gives it every kind of end to look at."""
    for round_ in range(5):
        host.run(f"exit {round_}")
        host.run("exit 1", timeout=-1)
        host.run("sleep 5", timeout=0.02)
        host.put(f"{host.scratch}/file", b"x" * 1000)
        host.put(f"{host.scratch}/missing/file", b"x" * 1000)
        host.put(f"{host.scratch}/short", b"", size=10)
        host.ask({"op": "get_file", "path": f"{host.scratch}/file"})
        host.ask({"op": "get_file", "path": f"{host.scratch}"})
        host.ask({"op": "nonsense"})
        left = host.connect()
        left.send_json({"op": "run", "shell": "raw", "cmd": "sleep 60"})
        left.close()
    expect_equal(host.witness.names(host.scratch), ["file"], "files")


# ---- the log


@case("SRV-LOG/full", needs="start")
@pytest.mark.parametrize("stderr", ["full", "stuck"])
def test_stderr_that_takes_nothing(host: Host, stderr: str) -> None:
    agent = host.start(stderr=stderr)
    began = time.monotonic()
    for status in range(5):
        expect_equal(exit_code(agent.run(f"exit {status}")), status, "exit code")
    agent.ask({"op": "nonsense"})
    agent.ping()
    expect(time.monotonic() - began < 4, "no stall", f"{time.monotonic() - began:.1f} s")


@case("SRV-LOG/closed", needs="start")
def test_stderr_closed(host: Host) -> None:
    agent = host.start(stderr="closed")
    expect_equal(exit_code(agent.run("echo x >&2; exit 3")), 3, "exit code")
    agent.ask({"op": "nonsense"})
    agent.ping()


@case("SRV-LOG/secret", "SRV-LOG/events", needs="start witness server")
def test_the_log_keeps_secrets(host: Host) -> None:
    """A line for each event, no content, and no line that a host can make up."""
    agent = host.start()
    secret = "hunter2-of-the-log"
    agent.run(f"echo {secret}; echo {secret} >&2; exit 3", env={"TOKEN": secret})
    agent.put(f"{host.scratch}/file", secret.encode())
    agent.get(f"{host.scratch}/file")
    agent.run(f"{secret}-command", shell=secret)
    agent.ask({"op": "get_file", "path": f"{host.scratch}/nothing\nforged line"})
    agent.ask({"op": f"op\nforged line {secret}"})
    log = wait_for(lambda: host.witness.stderr(agent.pid), 2, "something in the log")
    lines = log.decode(errors="replace").splitlines()
    expect(secret not in log.decode(errors="replace"), "no content of commands or files in the log", log[-600:])
    expect(not any(line.startswith("forged") for line in lines), "no forged line in the log", log[-600:])
    expect(log.endswith(b"\n") and len(lines) >= 3, "a line for each event", log[-600:])


@case("SRV-LOG/events", variant="quiet", needs="start witness server")
def test_quiet(host: Host) -> None:
    agent = host.start("--quiet")
    agent.run("exit 3")
    agent.ask({"op": "nonsense"})
    agent.ping()
    expect_equal(host.witness.stderr(agent.pid), b"", "the log with --quiet")
