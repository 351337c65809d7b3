"""`conform stateful`: a bug that only shows when hosts interleave is found, shrunk and kept; what is drawn; what it refuses."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.commands import stateful
from guestwire.judge.outcome import Violation
from guestwire.mutants import build
from guestwire.stateful import machine, search
from guestwire.stateful.model import World
from guestwire.stateful.player import Finding, TooSlow
from guestwire.stateful.steps import Recording, Step
from guestwire.tests.harness import CONFORM, HERE, ORACLE, expect_refused, run, temporary

CASES = HERE.parent / "cases/stateful"
ONE_NAME = (  # two uploads into one directory get into each other's way, but only while both are under way
    "name = PUT_PREFIX.encode() + os.urandom(8).hex().encode()",
    'name = PUT_PREFIX.encode() + b"1"',
)
SEED = "5"  # the second example finds it
REPLAYS = 6  # the planted bug is a race: on a busy machine one upload may be over before the other has begun


def test_a_planted_bug(tmp_path: Path) -> None:
    """It is found, a few steps are left of it, and the file of these makes it fail again and passes on the oracle."""
    text = ORACLE.read_text()
    assert text.count(ONE_NAME[0]) == 1
    mutant = build.oracle_connectable(tmp_path, "mutant", text.replace(*ONE_NAME))
    oracle = build.oracle_connectable(tmp_path, "oracle", text)
    kept = tmp_path / "kept"
    with temporary() as folder:
        found = run(
            folder, *CONFORM, "stateful", mutant, f"--oracle={oracle}", f"--seed={SEED}", "--steps=8", f"--save={kept}"
        )
        assert found.status == 1, found.stdout
        assert f"seed {SEED}\n" in found.stdout
        assert ", shrunk:\n" in found.stdout
        assert '{"code": "io_error"' in found.stdout
        assert "1 failed" in found.stdout
        (file,) = kept.iterdir()
        assert 4 <= file.read_text().count("[[step]]") <= 8
        again = (run(folder, *CONFORM, "stateful", mutant, "--replay", str(file)) for _ in range(REPLAYS))
        assert any(done.status == 1 and "0 passed, 1 failed" in done.stdout for done in again)
        right = run(folder, *CONFORM, "stateful", oracle, "--replay", str(file))
        assert (right.status, right.stdout) == (0, "1 passed, 0 failed, 0 skipped\n")


def test_a_finding_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told and red all the same."""
    recording = Recording("why", ["PING"], [Step("open", 1, ask="ping")])
    finding = Finding(Violation("a", "b\x1b[2J"), "PING", "agent")
    monkeypatch.setattr(stateful, "smallest", lambda _: (recording, finding, True))
    found = search.Search(arena=None, wanted=1, earlier=[[]])  # type: ignore[arg-type]
    options = argparse.Namespace(agent="exec:a", examples=1, steps=1, save=tmp_path / "file/below")
    (tmp_path / "file").touch()
    stateful._report(found, options, 1)
    told = capsys.readouterr()
    assert "cannot be kept" in told.err
    assert "FAIL PING in example 1, shrunk" in told.out
    assert "\x1b" not in told.out


def test_green() -> None:
    with temporary() as folder:
        done = run(folder, *CONFORM, "stateful", f"exec:{ORACLE}", "--examples=3", "--steps=5")
    assert done.status == 0, done.stdout
    assert done.stdout.startswith("seed ")
    assert done.stdout.endswith("\n3 passed, 0 failed, 0 skipped\n")


def drawn(tmp_path: Path, seed: int, count: int = 12) -> list[list[Step]]:
    examples: list[list[Step]] = []

    def take(steps: list[Step]) -> None:
        examples.append(steps)
        if len(examples) == count:
            raise machine.Enough

    machine.draw(20, seed, tmp_path, take)
    return examples


def test_what_is_drawn_depends_on_the_seed_alone(tmp_path: Path) -> None:
    examples = drawn(tmp_path, 7)
    assert drawn(tmp_path, 7) == examples
    assert drawn(tmp_path, 8) != examples
    assert len(set(map(tuple, examples))) == len(examples)


def played(*steps: Step) -> World:
    world = World()
    for step in steps:
        assert world.can(step), step
        world.take(step)
    return world


def test_a_deadline_leaves_open_who_gets_at_a_file_first() -> None:
    """Host 1's slot comes free in time for host 3, whose deadline makes room for the download before the upload's end; or not."""
    steps = [
        Step("open", 1, ask="timed"),
        Step("send", 1),
        Step("open", 2, ask="put", to="shared", size=9),
        Step("send", 2),
    ]
    steps += [Step("open", 3, ask="timed"), Step("send", 3), Step("open", 4, ask="get", to="shared"), Step("send", 4)]
    world = played(*steps, Step("data", 2, size=9), Step("wait"))
    assert world.undecided == {"shared"}
    assert world.talks[4].loose == "any-version"
    steps[0] = Step("open", 1, ask="silent")
    world = played(*steps, Step("release", 1), Step("wait"))
    assert (world.undecided, world.talks[4].loose) == (set(), "")


@pytest.mark.parametrize(("dropped", "status", "says"), [(2, 0, "8 passed"), (3, 3, "the machine is too slow")])
def test_a_slow_machine_is_never_green(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dropped: int, status: int, says: str
) -> None:
    """What it cannot judge is dropped, drawn anew and counted; over a quarter of that says nothing."""
    plays = itertools.count()
    real: Callable[..., Any] = search.play

    def slow(steps: list[Step], sides: Any) -> Any:
        if next(plays) < dropped:
            raise TooSlow("host 1 came near its timeout")
        return real(steps, sides)

    monkeypatch.setattr(search, "play", slow)
    assert cli.main(["stateful", f"exec:{ORACLE}", "--examples=8", "--steps=3", "--seed=1"]) == status
    told = capsys.readouterr().out
    assert f"{dropped} dropped" in told
    assert says in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "AGENT"),
        (["unix:/nowhere/socket"], "exec:PATH"),
        (["exec:/nowhere/agent"], "no such file"),
        ([f"exec:{ORACLE}", "--examples=0"], "--examples"),
        ([f"exec:{ORACLE}", "--steps=many"], "--steps"),
        ([f"exec:{ORACLE}", "--seed=x"], "--seed"),
        ([f"exec:{ORACLE}", "--oracle=exec:/nowhere/oracle"], "name it with --oracle"),
        ([f"exec:{ORACLE}", "--replay", "/nowhere/case.toml"], "/nowhere/case.toml: No such file"),
        ([f"exec:{ORACLE}", "--replay", str(ORACLE)], "not a file of steps"),
    ],
    ids=lambda value: " ".join(value[-1:]).replace(str(HERE), "") if isinstance(value, list) else "",
)
def test_wrong_command_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, exit 2."""
    expect_refused(["stateful", *arguments], says, capsys)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('do = "release"', 'do = "reboot"', "unknown verb 'reboot'"),
        ('do = "release"', 'do = "release"\nsize = 1', "takes no 'size'"),
        ("format_version = 1", "format_version = 2", "version 1"),
        ('"SRV-SLOTS/gone"', '"SRV-SLOTS/nothing"', "SRV-SLOTS/nothing"),
        ("host = 1\nask", "host = 2\nask", "step 1 (open"),
        ("[[outcome]]\nhost = 1\n", "[[outcome]]\nhost = 99\n", "no outcome of host 1"),
    ],
    ids=["verb", "field", "version", "check", "order", "outcome"],
)
def test_wrong_file(tmp_path: Path, old: str, new: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (CASES / "left-the-queue.toml").read_text()
    assert old in text
    file = tmp_path / "case.toml"
    file.write_text(text.replace(old, new, 1))
    assert cli.main(["stateful", f"exec:{ORACLE}", "--replay", str(file)]) == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert says in told.err
