"""`conform export`: vectors that somebody can play who has nothing of the harness."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.cases import all_cases
from guestwire.cases.export import folder_of
from guestwire.tests.harness import HERE, ORACLE, TINY, temporary

PLAYER = HERE / "play_vectors.py"
AGENT = HERE.parents[1] / "build/smolvm-guest-agent"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}
SMALL = 65_536  # bytes of a send; what is larger is exported once, and played by make conformance


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All vectors but the largest."""
    folder = tmp_path_factory.mktemp("export") / "vectors"
    assert cli.main(["export", str(folder), f"--max-size={SMALL}"]) == 0
    return folder


def manifest(folder: Path) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["cases"]
    return cases


@contextlib.contextmanager
def serving(command: str, path: Path) -> Iterator[None]:
    """The agent at `path`."""
    words = [*shlex.split(command), "--listen", f"unix:{path}"]
    with subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 30
            while not path.exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
            yield
        finally:
            process.kill()


def play(folder: Path, command: str) -> tuple[int, list[str]]:
    """The player's exit status, and its lines, on an agent of its own."""
    with temporary() as short, serving(command, short / "s"):
        words = [sys.executable, "-I", "-S", str(PLAYER), str(folder), str(short / "s")]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=100, check=False)
        (short / "s").unlink(missing_ok=True)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("agent", [str(AGENT), f"{ORACLE} --quiet"], ids=["agent", "oracle"])
def test_good_agents_pass(vectors: Path, agent: str) -> None:
    conversations = sum(len(case["conversations"]) for case in manifest(vectors))
    assert conversations > 500
    assert play(vectors, agent) == (0, [f"{conversations} played, 0 failed"])


def test_bad_agent_fails(vectors: Path, tmp_path: Path) -> None:
    """One that takes duplicates, and knows nothing of versions: what it fails is named."""
    few = tmp_path / "few"
    few.mkdir()
    wanted = ("CONV-ONE/single:ping", "CONV-OP/unknown:null", "JSON-DUP/plain:names", "CONV-VERSION/served:1")
    whole = json.loads((vectors / "manifest.json").read_text())
    whole["cases"] = [case for case in whole["cases"] if case["id"] in wanted]
    for case in whole["cases"]:
        (few / folder_of(all_cases()[case["id"]])).symlink_to(vectors / folder_of(all_cases()[case["id"]]))
    (few / "manifest.json").write_text(json.dumps(whole))
    status, lines = play(few, str(TINY))
    assert status == 1
    assert {line.split()[0] for line in lines[:-1]} == {"JSON-DUP/plain:names"}


def test_bytes_are_those_of_the_cases(vectors: Path) -> None:
    """Each send of each case has its file, and no file is one too many."""
    named = []
    for case in manifest(vectors):
        data = all_cases()[case["id"]]
        for conversation, script in zip(case["conversations"], data.conversations, strict=True):
            for step, own in zip(conversation["steps"], script.steps, strict=True):
                if "send" in step:
                    assert (vectors / step["send"]).read_bytes() == own.raw()
                named += [step["send"]] if "send" in step else []
                named += [
                    step["expect"][name] for name in ("stdout", "stderr", "data") if name in step.get("expect", ())
                ]
    assert len(named) == len(set(named))
    assert {str(path.relative_to(vectors)) for path in vectors.glob("*/*")} == set(named)


def test_twins_come_along(vectors: Path) -> None:
    """A refusal is exported with its twin or not at all."""
    cases = {case["id"]: case for case in manifest(vectors)}
    for case in cases.values():
        assert not case["twin"] or case["twin"].partition("#")[0] in cases
        assert bool(case["twin"]) == any(conversation["refused"] for conversation in case["conversations"])
    assert len(cases) < len(all_cases())


def test_names_of_folders_are_distinct() -> None:
    assert len({folder_of(case).lower() for case in all_cases().values()}) == len(all_cases())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "DIR"),
        (["{full}"], "is not empty"),
        (["{file}"], "nothing can be written"),
        (["{new}", "--max-size=1"], "every case sends more"),
        (["{new}", "--max-size=x"], "--max-size"),
    ],
    ids=["no-folder", "not-empty", "a-file", "nothing-left", "no-number"],
)
def test_wrong_command_line(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit 2, and nothing written."""
    (tmp_path / "file").write_text("x")
    names = {"full": tmp_path, "file": tmp_path / "file", "new": tmp_path / "new"}
    try:
        status = cli.main(["export", *(word.format(**names) for word in words)])
    except SystemExit as end:
        status = int(end.code or 0)
    told = capsys.readouterr()
    assert (status, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert says in told.err
    assert not any(tmp_path.rglob("manifest.json"))
