"""The harness where Linux is not: agents that run already are judged, and what cannot be done is said in one line."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.judge.verdict import Exit
from guestwire.tests.harness import ORACLE, Done, oracle, run, served, temporary
from guestwire.tests.test_tcp import behind_tcp, serve_one

DARWIN = (sys.executable, str(Path(__file__).with_name("darwin.py")))
FEW = ("PING", "RUN-EXIT", "CONV-ONE")
MORE = ("FRAME-SEGMENT", "CONV-HALFCLOSE", "GET-EXACT", "HOST-TRUNC", "HOST-HOSTILE")
NO_WITNESS = "no witness: the agent runs where the harness cannot see it"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """TMPDIR of a run. Beside it: what the run has started."""
    with temporary() as path:
        monkeypatch.setenv("STARTED", str(path.parent / "started"))
        yield path


def judge(folder: Path, agent: str, clauses: tuple[str, ...]) -> Done:
    return run(folder, *DARWIN, "run", agent, *(f"--clause={clause}" for clause in clauses))


@contextlib.contextmanager
def hybrid(guest: Path, path: Path) -> Iterator[None]:
    """A socket at `path` that wants CONNECT, as Firecracker's does, and leads to `guest`."""

    def serve(host: socket.socket) -> None:
        while not host.recv(1).endswith(b"\n"):
            pass
        host.sendall(b"OK 1\n")
        serve_one(host, guest)

    with served(path, serve):
        yield


@contextlib.contextmanager
def reached(kind: str, folder: Path) -> Iterator[str]:
    """The oracle, running already: its connectable."""
    guest, path = folder.parent / "agent.sock", folder.parent / "hybrid.sock"
    with oracle(guest):
        if kind == "unix":
            yield f"unix:{guest}"
        elif kind == "tcp":
            with behind_tcp(guest, "127.0.0.1") as port:
                yield f"tcp:127.0.0.1:{port}"
        else:
            with hybrid(guest, path):
                yield f"hybrid:{path}:1"


@pytest.mark.parametrize("kind", ["unix", "tcp", "hybrid"])
def test_judged(kind: str, folder: Path) -> None:
    """What needs no sight of the agent passes; what does could not run, and says why. No program is started."""
    with reached(kind, folder) as agent:
        done = judge(folder, agent, FEW + MORE if kind == "unix" else FEW)
    assert (done.status, done.stderr) == (Exit.PARTIAL, ""), done.stdout + done.stderr
    passed = {name for name, case in done.cases.items() if case[0] == "PASS"}
    assert {f"PING@{kind}", f"RUN-EXIT/status@{kind}"} <= passed
    others = {name: case for name, case in done.cases.items() if name not in passed}
    assert {outcome for outcome, _, _ in others.values()} == {"COULD-NOT-RUN"}
    assert others[f"CONV-ONE/descriptors:data@{kind}"][2] == NO_WITNESS
    if kind == "unix":
        assert any(name.startswith("HOST-TRUNC") for name in passed)
        hostile = [why for name, (_, _, why) in others.items() if name.startswith("HOST-HOSTILE")]
        assert hostile
        assert all(why.startswith("measuring a host function's memory needs Linux, and this is dar") for why in hostile)
    assert not (folder.parent / "started").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", f"exec:{ORACLE}"), "starting an agent needs Linux, and this is darwin"),
        (("run", "vsock:3:1024"), "this platform has no vsock"),
        (("mutants",), "conform mutants needs Linux, and this is darwin"),
        (("stateful", f"exec:{ORACLE}"), "conform stateful needs Linux, and this is darwin"),
    ],
)
def test_not_possible(words: tuple[str, ...], says: str, folder: Path) -> None:
    done = run(folder, *DARWIN, *words, judging=words[0] == "run")
    assert (done.status, len(done.stderr.strip().splitlines())) == (Exit.USAGE, 1), done.stdout + done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    "words", [("--version",), ("list",), ("clauses",), ("explain", "RUN-EXIT"), ("init", "--no-ci")]
)
def test_what_needs_no_agent(words: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    """Is the same everywhere."""
    told = []
    for start in (DARWIN, (sys.executable, "-m", "guestwire.cli")):
        (tmp_path / "agent.toml").unlink(missing_ok=True)
        environment = {**os.environ, "TMPDIR": str(folder)}
        done = subprocess.run(
            [*start, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        told.append((done.returncode, done.stdout, done.stderr))
    assert told[0] == told[1]
    assert told[0][0] in (Exit.GREEN, Exit.PARTIAL)  # partial: clauses of which there is no run yet


def test_playing_darwin_holds_back_linux() -> None:
    """The stage itself: what is not there on macOS is not there."""
    code = """
import ctypes, darwin, os, pathlib, select, socket, sys
darwin.become_darwin()
for call in (lambda: os.pidfd_open(1), lambda: socket.AF_VSOCK, lambda: select.POLLRDHUP, lambda: os.memfd_create(""),
             lambda: ctypes.CDLL(None).prctl, lambda: os.setns, lambda: socket.SO_PEERCRED):
    try:
        call()
    except AttributeError:
        continue
    sys.exit(1)
for call in (lambda: open("/proc/self/stat"), lambda: os.listdir("/proc"), lambda: pathlib.Path("/proc/1/stat").read_text(),
             lambda: os.open(b"/proc/self/stat", 0), lambda: os.readlink("/proc/self/ns/mnt")):
    try:
        call()
    except FileNotFoundError:
        continue
    sys.exit(2)
sys.exit(ctypes.CDLL(None).getpid() != os.getpid())
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
