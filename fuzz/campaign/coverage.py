"""Which lines and branches a corpus reaches, by clang's source coverage."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from campaign.places import Places, shown

REPLAY = 300  # seconds that a target's corpus may take


class CoverageError(Exception):
    """What is missing or failed, in one line."""


@dataclass
class FileCoverage:
    """Of one source file: how often each line that holds code ran, and branches as (line, taken)."""

    lines: dict[int, int] = field(default_factory=dict)
    branches: list[tuple[int, bool]] = field(default_factory=list)

    @property
    def uncovered(self) -> list[int]:
        return sorted(line for line, count in self.lines.items() if not count)


Coverage = dict[str, FileCoverage]  # by path relative to the working directory


def tool(name: str) -> str:
    """Where an LLVM tool is. Raises CoverageError."""
    found = shutil.which(name)
    if found is None:
        raise CoverageError(f"no {name}: apt-get install -y --no-install-recommends llvm")
    return found


def profile(places: Places, corpora: Mapping[str, Iterable[Path]], folder: Path) -> Path:
    """Run every file of each target's folders once. Return: what was counted. Raises CoverageError."""
    raw = []
    for target, folders in corpora.items():
        program = places.measured(target)
        inputs = [str(path) for path in folders if path.is_dir() and any(path.iterdir())]
        if not inputs:
            continue
        made = folder / f"{target}.profraw"
        environment = os.environ | {"LLVM_PROFILE_FILE": str(made), "REPLAY_TIMES": "1"}
        try:
            done = subprocess.run(
                [str(program), *inputs], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, timeout=REPLAY, text=True, errors="replace", check=False,
            )  # fmt: skip
        except OSError as error:
            raise CoverageError(f"{shown(program)}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise CoverageError(f"{target}: its corpus takes over {REPLAY} s") from None
        if done.returncode:
            last = (done.stderr.splitlines() or ["it said nothing"])[-1]
            raise CoverageError(f"{target}: a file of its corpus breaks it (status {done.returncode}): {last[:300]}")
        raw.append(made)
    if not raw:
        raise CoverageError("no corpus holds a file")
    merged = folder / "all.profdata"
    _call([tool("llvm-profdata"), "merge", "-sparse", *map(str, raw), "-o", str(merged)])
    return merged


def _objects(places: Places, targets: Iterable[str]) -> list[str]:
    first, *others = (str(places.measured(target)) for target in targets)
    return [first, *(word for other in others for word in ("-object", other))]


def export(places: Places, targets: Iterable[str], counted: Path) -> Coverage:
    """What profile() counted, of agent/. Raises CoverageError."""
    words = [tool("llvm-cov"), "export", "-format=lcov", f"-instr-profile={counted}"]
    return read(_call([*words, *_objects(places, targets), str(Path("agent").resolve())]))


def pages(places: Places, targets: Iterable[str], counted: Path, to: Path) -> None:
    """The same as llvm-cov's own HTML, in place of what is in the folder `to`. Raises CoverageError."""
    shutil.rmtree(to, ignore_errors=True)
    words = [tool("llvm-cov"), "show", "-format=html", "-show-branches=count", f"-output-dir={to}"]
    _call([*words, f"-instr-profile={counted}", *_objects(places, targets), str(Path("agent").resolve())])


def measure(places: Places, corpora: Mapping[str, Iterable[Path]]) -> Coverage:
    """What all of it together reaches of agent/. Raises CoverageError."""
    with tempfile.TemporaryDirectory() as folder:
        return export(places, corpora, profile(places, corpora, Path(folder)))


def _call(words: list[str]) -> str:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise CoverageError(f"{Path(words[0]).name} {words[1]}: {lines[-1][:300]}")
    return done.stdout


def read(lcov: str) -> Coverage:
    """An lcov tracefile, without files that hold no code."""
    found: Coverage = {}
    name, current = "", FileCoverage()
    for line in lcov.splitlines():
        word, _, value = line.partition(":")
        if word == "SF":
            name = shown(Path(value))
            current = found.setdefault(name, FileCoverage())
        elif word == "DA":
            number, count = value.split(",")[:2]
            if source(name, int(number)).startswith(
                "#"
            ):  # the definition of a macro: what it expands to is counted elsewhere
                continue
            current.lines[int(number)] = current.lines.get(int(number), 0) + int(count)
        elif word == "BRDA":
            number, _, _, taken = value.split(",")
            current.branches.append((int(number), taken not in ("-", "0")))
    return {name: each for name, each in found.items() if each.lines}


@cache
def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def source(file: str, line: int) -> str:
    """A line of a source file, without its margins."""
    lines = _lines(file)
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""
