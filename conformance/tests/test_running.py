"""Agents that run already: `unix:` and `hybrid:` connectables."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.tests.harness import CONFORM, MINI, TINY, oracle, run, served, temporary


def copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends; then both are closed, as proxies do that cannot half-close."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for sock in (source, target):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def serve_one(host: socket.socket, guest: Path, port: int) -> None:
    """The handshake, then bytes both ways."""
    with host, socket.socket(socket.AF_UNIX) as agent:
        line = host.makefile("rb", buffering=0).readline(64)
        if line != f"CONNECT {port}\n".encode():
            return
        agent.connect(str(guest))
        host.sendall(b"OK 1073741824\n")
        back = threading.Thread(target=copy, args=(agent, host))
        back.start()
        copy(host, agent)
        back.join()


@contextlib.contextmanager
def proxy(path: Path, guest: Path, port: int) -> Iterator[None]:
    """A hybrid socket at `path` that leads to the agent behind the socket `guest`."""
    with served(path, lambda host: serve_one(host, guest, port)):
        yield


@pytest.fixture
def guest() -> Iterator[Path]:
    """The socket of a running oracle, in a folder of its own."""
    with temporary() as folder:
        path = folder.parent / "agent.sock"
        with oracle(path):
            yield path


def test_unix(guest: Path) -> None:
    with temporary() as folder:
        done = run(
            folder, *CONFORM, "run", f"unix:{guest}", "--clause=PING", "--clause=GET-OK", "--clause=CONV-HALFCLOSE"
        )
    outcomes = {outcome for outcome, _, _ in done.cases.values()}
    assert "PASS" in outcomes
    assert outcomes <= {"PASS", "COULD-NOT-RUN"}
    assert "GET-OK/content:0@unix" in done.cases or any(case.startswith("GET-OK") for case in done.cases)
    assert done.status == 3


def test_destructive_cases_have_to_be_allowed(guest: Path) -> None:
    with temporary() as folder:
        done = run(folder, *CONFORM, "run", f"unix:{guest}", "--clause=SRV-CONNS")
    assert all(outcome == "COULD-NOT-RUN" for case, (outcome, _, _) in done.cases.items() if "idle" not in case)
    assert done.status == 3


def test_hybrid(guest: Path) -> None:
    """Through a proxy that turns a half-close into a close: cases that half-close do not exist there."""
    with temporary() as folder:
        front = folder.parent / "vm.sock"
        with proxy(front, guest, 1024):
            words = ("--clause=PING", "--clause=CONV-VERSION", "--clause=CONV-HALFCLOSE")
            done = run(folder, *CONFORM, "run", f"hybrid:{front}:1024", *words)
    assert done.status == 3
    assert done.cases["PING@hybrid"][0] == "PASS"
    assert {outcome for outcome, _, _ in done.cases.values()} <= {"PASS", "COULD-NOT-RUN"}
    assert not any(case.startswith("CONV-HALFCLOSE") for case in done.cases)


def test_hybrid_at_the_wrong_port(guest: Path) -> None:
    with temporary() as folder:
        front = folder.parent / "vm.sock"
        with proxy(front, guest, 1024):
            done = run(folder, *CONFORM, "run", f"hybrid:{front}:1025", "--clause=PING")
    assert (done.status, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "CONNECT 1025" in done.stderr


def test_agent_that_dies() -> None:
    """It was there when the run began: whatever comes after its death is a crash, not a case that could not run."""
    with temporary() as folder:
        path = folder.parent / "agent.sock"
        with subprocess.Popen([TINY, "--die", "6", "--listen", f"unix:{path}"]) as agent:
            while not path.exists():
                assert agent.poll() is None
                time.sleep(0.01)
            done = run(folder, *MINI, f"--agent=unix:{path}", "-k=not slow")
    assert done.status == 1
    outcomes = [outcome for outcome, _, _ in done.cases.values()]
    assert "COULD-NOT-RUN" not in outcomes
    assert outcomes.count("CRASH") >= 2
    assert done.cases["JSON-DUP/plain@unix"][0] == "CRASH"


def test_nobody_listens() -> None:
    with temporary() as folder:
        done = run(folder, *CONFORM, "run", f"unix:{folder.parent}/nobody.sock", "--clause=PING")
    assert (done.status, len(done.stderr.strip().splitlines())) == (2, 1)
