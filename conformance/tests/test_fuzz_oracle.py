"""`conform fuzz` with an oracle that fails: nobody is judged by it. And what counts as an input that passed."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.blackbox import duel, mutate, side
from guestwire.blackbox.campaign import Campaign
from guestwire.blackbox.inputs import LARGE, Input
from guestwire.blackbox.seeds import seeds
from guestwire.mutants import build
from guestwire.tests.harness import HERE, ORACLE, expect_refused

AGENT = HERE.parents[1] / "build/smolvm-guest-agent"
PLACE = 'raise self.malformed("a raw control character in a string")'


def broken(folder: Path, does: str) -> str:
    """An oracle that does this at a raw control character, which is common."""
    text = ORACLE.read_text()
    assert text.count(PLACE) == 1
    return build.oracle_connectable(folder, "broken", text.replace(PLACE, does))


def fuzz(folder: Path, oracle: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return: exit status, stdout, stderr."""
    words = [f"exec:{AGENT}", "--seed=4", "--examples=60", f"--save={folder / 'kept'}", f"--oracle={oracle}"]
    status = cli.main(["fuzz", *words])
    told = capsys.readouterr()
    assert not (folder / "kept").exists()
    return status, told.out, told.err


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("os._exit(3)", "exited with status 3"),
        ("time.sleep(1000)", ""),
    ],
    ids=["dies", "hangs"],
)
def test_an_oracle_that_fails(
    does: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no finding against the agent, but a failure of the harness, in one line."""
    if "sleep" in does:  # nothing hangs on these waits but the oracle that hangs
        monkeypatch.setattr(side, "PATIENCE", 2.0)
        monkeypatch.setattr(duel, "MORE_PATIENCE", 3.0)
    status, out, err = fuzz(tmp_path, broken(tmp_path, does), capsys)
    assert (status, len(err.splitlines())) == (4, 1), out + err
    assert re.search(r"^conform: the harness failed, its oracle 'exec:.*' did, at input \d+ of seed 4: ", err)
    assert says in err
    assert "FAIL" not in out


def test_an_oracle_that_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dud = tmp_path / "dud"
    dud.write_text("#!/bin/sh\nexit 7\n")
    dud.chmod(0o755)
    status, out, err = fuzz(tmp_path, f"exec:{dud}", capsys)
    assert (status, out, len(err.splitlines())) == (4, "", 1)
    assert "did, at its start: " in err


def test_an_oracle_that_is_late_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a busy machine, say: it is asked again, and has more time."""
    monkeypatch.setattr(side, "PATIENCE", 2.0)
    flag = tmp_path / "flag"
    late = f"(os.path.exists({str(flag)!r}) or (open({str(flag)!r}, 'w').close(), time.sleep(1000))); {PLACE}"
    status, out, err = fuzz(tmp_path, broken(tmp_path, late), capsys)
    assert (status, err) == (0, ""), out
    assert flag.exists()
    assert re.search(r"\d late on a busy machine", out)
    assert out.endswith("\n60 passed, 0 failed, 0 skipped\n")


# ---- what counts


class Counting:
    """In the place of a duel: nothing is ever found."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def play(self, drawn: Input) -> None:
        self.sizes.append(len(drawn.stream()))

    def settled(self) -> None:
        pass


def test_what_is_too_large_to_be_sent_has_not_passed() -> None:
    """It does not count for --examples either."""
    counting: Any = Counting()
    begin = seeds()
    run = Campaign(counting, begin, 7, 300, 0, floods=False, restarts=False)
    run.run()
    assert (run.played, len(counting.sizes)) == (300, 300)
    assert max(counting.sizes) <= LARGE
    large = [number for number in range(run.drawn) if len(mutate.draw(7, number, begin, floods=False).stream()) > LARGE]
    assert run.unsent == len(large) == run.drawn - 300 > 0


def test_how_much_of_a_corpus_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the gate refuses, and what is too long, is not dropped without a word."""
    (tmp_path / "ping").write_bytes(b'{"op":"ping", "x":1}')
    (tmp_path / "frame").write_bytes(struct.pack(">BI", 1, 15) + b'{"op":"pong!!"}')
    (tmp_path / "shut").write_bytes(b'{"op":"run","cmd":"reboot"}')
    (tmp_path / "long").write_bytes(bytes(20_000))
    told: list[str] = []
    assert len(seeds([tmp_path], told.append)) == len(seeds()) + 2
    assert len(told) == 1
    assert told[0].startswith("--corpus: 2 of 4 files taken; others are over 16,384 bytes")
    for name in ("ping", "frame"):
        (tmp_path / name).unlink()
    expect_refused(["fuzz", f"exec:{ORACLE}", f"--corpus={tmp_path}"], "--corpus: 0 of 2 files taken", capsys)
