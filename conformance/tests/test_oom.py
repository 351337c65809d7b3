"""`make fuzz-oom`: a result that nobody looks at and a loss on the way out, planted, are found; the agent as it is passes."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.mutants.build import BUILD_NEEDS
from guestwire.tests.harness import HERE

ROOT = HERE.parents[1]
AGENT = "build/oom/smolvm-guest-agent"
INPUTS = "12"  # plain requests, and long ones
NEEDED = ("fuzz/*.[ch]", "fuzz/oom", "build/obj/asan", "build/obj/oom")
REQUEST = b'{"op":"run","cmd":"true","env":{"WHO":"me"}}'


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Nobody else builds here meanwhile."""
    with (ROOT / "build/oom.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(tree: Path, target: str) -> Path:
    """Build it there."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    words = ["make", "-s", "-j2", target]
    subprocess.run(words, cwd=tree, env=environment, check=True, timeout=300, stdout=subprocess.DEVNULL)
    return tree / target


def built(target: str) -> Path:
    """The agent or a sweep as it is."""
    with alone():
        return make(ROOT, target)


def planted(tree: Path, file: str, old: str, new: str, target: str) -> Path:
    """The target with that change in the agent, built in a copy of all that it is made of."""
    with alone():
        make(ROOT, target)
        for source in itertools.chain.from_iterable(map(ROOT.glob, (*BUILD_NEEDS, *NEEDED))):
            place = tree / source.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, place)
    (tree / ".cache").symlink_to(ROOT / ".cache")
    text = (tree / file).read_text()
    assert text.count(old) == 1, old
    (tree / file).write_text(text.replace(old, new))
    return make(tree, target)


def sweep(*agents: Path) -> tuple[int, str]:
    """Exit status and output of a short sweep of agents."""
    words = [sys.executable, str(ROOT / "fuzz/oom/cases.py"), "--inputs", INPUTS, *map(str, agents)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(600)  # quiet, 30 s
@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (
            "agent/guest/target.c",
            '    if (target->resolved == NULL)\n        return wire_fail(error, WIRE_INTERNAL, "no memory", NULL);\n',
            "",
            r"FAIL oom/smolvm-guest-agent: put_file\n.*the agent lives\n.*put_file_serve",
        ),
        (
            "agent/guest/command.c",
            "    memory_unmap(environment, size);\n    child->argv",
            "    if (err == 0)\n        memory_unmap(environment, size);\n    child->argv",
            r"LeakSanitizer(?s:.*)merge_environment",
        ),
    ],
    ids=["unchecked", "leak"],
)
def test_planted_in_the_agent(tmp_path: Path, file: str, old: str, new: str, says: str) -> None:
    status, told = sweep(planted(tmp_path, file, old, new, AGENT))
    assert status == 1, told
    assert re.search(says, told), told
    assert re.search(r"^\d+ passed, [1-9]\d* failed, 0 skipped$", told, re.MULTILINE)


@pytest.mark.timeout(600)  # quiet, 10 s
def test_planted_in_the_parser(tmp_path: Path) -> None:
    old = '    if (request->env == NULL)\n        return wire_fail(&request->error, WIRE_INTERNAL, "no memory for env", NULL);\n'
    file = tmp_path / "request"
    file.write_bytes(REQUEST)
    target = "build/oom/fuzz_request"
    broken = planted(tmp_path / "tree", "agent/wire/request_env.c", old, "", target)
    for program, passes in ((ROOT / target, True), (broken, False)):
        done = subprocess.run([program, file], capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == passes, done.stderr
        assert ("1 of 1 files swept" in done.stdout) == passes
        assert ("AddressSanitizer" in done.stderr) != passes


@pytest.mark.timeout(600)  # quiet, 30 s
def test_agents_as_they_are() -> None:
    """Of both kinds of memory, every kind of failure has been seen, and nothing failed."""
    agents = [built(target) for target in (AGENT, "build/oom/plain/smolvm-guest-agent")]
    status, told = sweep(*agents)
    assert (status, re.findall(r"\d+ passed, (\d+) failed, (\d+) skipped", told)) == (0, [("0", "0")]), told
    for kind in ("thread: as ever", "memory: error internal", "process: error spawn_failed"):
        assert told.count(kind) == len(agents), told


@pytest.mark.timeout(600)  # quiet, 10 s
def test_a_sweep_that_fails_nothing_is_red(tmp_path: Path) -> None:
    """An agent whose allocations cannot fail, and an input that makes none."""
    status, told = sweep(ROOT / "build/smolvm-guest-agent")
    assert status == 1, told
    assert re.search(r"^FAIL build/smolvm-guest-agent: no allocation failed", told, re.MULTILINE), told
    assert told.splitlines()[-1].endswith(" passed, 1 failed, 0 skipped")
    file = tmp_path / "empty"
    file.touch()
    words = [built("build/oom/fuzz_request"), file]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed, 0 skipped"), done.stderr


def test_wrong_command_line() -> None:
    words = [sys.executable, str(ROOT / "fuzz/oom/cases.py"), "/nowhere/agent"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no such file: /nowhere/agent" in done.stderr
