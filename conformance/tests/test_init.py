"""`conform init`: what it writes is read without a mistake, is judged, and replaces nothing."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.agents import descriptor
from guestwire.commands.init import DESCRIPTOR, WORKFLOW
from guestwire.drive.connectable import LOCAL_TRANSPORTS
from guestwire.judge.verdict import Exit
from guestwire.tests.harness import CONFORM, TINY, run, temporary

COMMENTED = re.compile(r'^# ((?:\[\w+\]|\w+ = (?:\[|"|\d).*)$)', re.MULTILINE)  # a key or table, not prose


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which `conform list` looks."""
    path = tmp_path / "guestwire/agents/My Agent"
    path.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return path


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def test_listed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the name of its folder."""
    assert cli.main(["init", str(place)]) == Exit.GREEN
    assert sorted(path.name for path in place.rglob("*") if path.is_file()) == [DESCRIPTOR, Path(WORKFLOW).name]
    capsys.readouterr()
    assert cli.main(["list"]) == Exit.GREEN
    told = capsys.readouterr()
    line = next(line for line in told.out.splitlines() if line.startswith("my-agent "))
    assert f"no such program: {place}/my-agent (make)" in line
    assert told.err == ""


def test_current_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert cli.main(["init", "--no-ci"]) == Exit.GREEN
    assert [path.name for path in place.iterdir()] == [DESCRIPTOR]
    assert descriptor.read(place / DESCRIPTOR).name == "my-agent"


def test_every_key_is_explained(place: Path) -> None:
    """With all its examples in force it is a descriptor still, and holds every key there is."""
    assert cli.main(["init", str(place)]) == Exit.GREEN
    found = descriptor.parse(COMMENTED.sub(r"\1", (place / DESCRIPTOR).read_text()), place / DESCRIPTOR)
    assert found.transports == LOCAL_TRANSPORTS
    assert found.environment == (("LOG_LEVEL", "debug"),)
    assert {"GET-OK/content", "PING-INSTANCE/random", "RUN-SHELL/login"} <= found.lacks
    assert dict(found.links).keys() == set(descriptor.LINKS)
    assert (found.build, found.connect) == ("make", "")


def test_agent_that_runs_already(place: Path) -> None:
    assert cli.main(["init", str(place), "--connect", "tcp:[::1]:7000", "--name", "far"]) == Exit.GREEN
    found = descriptor.read(place / DESCRIPTOR)
    assert (found.name, found.connect, found.command) == ("far", "tcp:[::1]:7000", ())


def test_judged(place: Path, folder: Path) -> None:
    """By the very words of the CI job."""
    template = f'{sys.executable} "{TINY}" --listen={{listen}}'
    assert cli.main(["init", str(place), "--command", template]) == Exit.GREEN
    commands = [line.partition("conform run ")[2] for line in (place / WORKFLOW).read_text().splitlines()]
    (words,) = filter(None, commands)
    agent = str(place / words) if words == DESCRIPTOR else words
    done = run(folder, *CONFORM, "run", *shlex.split(agent.replace(" ", "\\ ")), "--transport=unix", "--case=PING")
    assert (done.status, done.cases) == (3, {"PING@unix": ("PASS", "", "")}), done.stdout + done.stderr


@pytest.mark.parametrize("there", [DESCRIPTOR, WORKFLOW])
def test_nothing_is_overwritten(place: Path, there: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is the other file written then."""
    (place / there).parent.mkdir(parents=True, exist_ok=True)
    (place / there).symlink_to("nowhere")
    assert cli.main(["init", str(place)]) == Exit.USAGE
    assert capsys.readouterr().err == f"conform: {place / there} is there already: nothing was written\n"
    assert [path.name for path in place.rglob("*") if not path.is_dir()] == [Path(there).name]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--name", "My Agent"], "name: 'My Agent' is no name"),
        (["--command", "./agent"], "{listen} has to stand in it once"),
        (["--connect", "exec:agent"], "no agent that runs already"),
        (["nowhere"], "no such folder"),
    ],
)
def test_mistake(
    words: list[str], says: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and nothing is written."""
    monkeypatch.chdir(place)
    assert cli.main(["init", *words]) == Exit.USAGE
    told = capsys.readouterr().err
    assert says in told
    assert len(told.splitlines()) == 1
    assert list(place.iterdir()) == []
