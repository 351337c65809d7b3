"""`conform explain`, and its examples: each is played to the oracle, so that none shows what no agent would answer."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from guestwire import cli, protocol
from guestwire.judge import ledger
from guestwire.mutants import load
from guestwire.spec import wire
from guestwire.spec.wire import ANYTHING, SAID, TYPES, Step
from guestwire.tests.harness import ORACLE, temporary

PLAYED = [clause for clause, example in wire.examples().items() if example.steps]


@pytest.fixture(scope="module")
def oracle() -> Iterator[str]:
    """The Unix socket of an oracle."""
    with temporary() as folder:
        path = str(folder / "agent")
        agent = subprocess.Popen([sys.executable, str(ORACLE), "--quiet", "--listen", f"unix:{path}"])
        try:
            yield path
        finally:
            agent.kill()
            agent.wait()


def connect(path: str) -> socket.socket:
    end = time.monotonic() + 10
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
        except OSError:
            sock.close()
            assert time.monotonic() < end, "the oracle does not come up"
            time.sleep(0.01)
        else:
            return sock


def play(path: str, steps: tuple[Step, ...], folder: str) -> None:
    """Every step of an example; a host that has closed sees no answer."""
    with connect(path) as sock:
        for step in steps:
            if step.kind == "SHUT":
                sock.shutdown(socket.SHUT_WR)
            elif step.kind == "CLOSE":
                return
            elif step.who == "host":
                sock.sendall(step.raw(folder))
            elif step.kind == "END":
                assert sock.recv(1) == b"", "end of stream"
            else:
                kind, payload = protocol.recv_frame(sock, timeout=5)
                pattern = ".*".join(map(re.escape, step.text.replace("$DIR", folder).split(ANYTHING)))
                assert kind == TYPES[step.kind], payload
                assert re.fullmatch(pattern.encode(), payload, re.DOTALL), f"{step.text}: {payload!r}"


def test_every_clause_has_an_example() -> None:
    assert list(wire.examples()) == list(ledger.clauses())


@pytest.mark.parametrize("clause", PLAYED)
def test_an_example_is_true(clause: str, oracle: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old content\n")
    (tmp_path / "old").chmod(0o644)
    play(oracle, wire.examples()[clause].steps, str(tmp_path))


def test_an_example_that_is_not(oracle: str, tmp_path: Path) -> None:
    """The player has teeth: another answer is not taken."""
    first, *rest = wire.examples()["PING"].steps
    bad = (first, replace(rest[0], text='{"ok":true,"op":"ping"…}'))
    with pytest.raises(AssertionError):
        play(oracle, bad, str(tmp_path))


@pytest.mark.parametrize("clause", ledger.clauses())
def test_a_page(clause: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", clause]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"{clause} ({ledger.clauses()[clause].level})\n")
    assert " ".join(ledger.contract()[clause][1].split()) in " ".join(page.split())
    for step in wire.examples()[clause].steps:
        assert (SAID.get(step.kind) or step.text.strip().replace("\n", "\\n")) in page
    pending = all(check.pending for check in ledger.clauses()[clause].checks)
    assert "\nChecks\n" in page
    assert ("\nCases\n" in page) != pending


def test_common_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    """What the mutants of this clause do, and of no other one."""
    assert cli.main(["explain", "FRAME-CAP"]) == 0
    page = " ".join(capsys.readouterr().out.partition("\nCommon mistakes")[2].split())
    mutants = load.catalogue().values()
    here = [one.why for one in mutants if any(name.partition("/")[0] == "FRAME-CAP" for name in one.breaks)]
    assert here
    assert all(f"{why} (" in page for why in here)
    assert all(f"{one.why} (" not in page for one in mutants if one.why not in here)


def test_an_unknown_clause(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "PONG"]) == 2
    assert capsys.readouterr().err == "conform: unknown clause 'PONG': `conform clauses` lists them\n"
