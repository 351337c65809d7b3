"""The bars that the committed corpus has to reach (fuzz/uncovered.toml), and the lines that it is known not to."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign.coverage import Coverage, FileCoverage, source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LISTED_MOST = 2.0  # percent of a bar's lines


class ListError(Exception):
    """uncovered.toml is wrong, in one line."""


@dataclass(frozen=True)
class Bar:
    """What share of the lines and branches of some files has to be reached, in percent."""

    name: str
    files: tuple[str, ...]
    lines: float
    branches: float

    def of(self, coverage: Coverage) -> dict[str, FileCoverage]:
        return {name: found for name, found in coverage.items() if any(fnmatch.fnmatch(name, p) for p in self.files)}


@dataclass(frozen=True)
class Listed:
    """A line that no input reaches, and why."""

    file: str
    line: int
    code: str
    why: str


@dataclass(frozen=True)
class Share:
    """What a bar's files reach. `excused`: uncovered lines that are listed."""

    bar: Bar
    lines: int
    covered: int
    excused: int
    branches: int
    taken: int

    @property
    def line_percent(self) -> float:
        return 100 * self.covered / self.lines if self.lines else 0.0

    @property
    def branch_percent(self) -> float:
        return 100 * self.taken / self.branches if self.branches else 100.0


def load(path: Path) -> tuple[list[Bar], list[Listed]]:
    """Raises ListError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        bars = [
            Bar(entry["name"], tuple(entry["files"]), float(entry.get("lines", 0)), float(entry.get("branches", 0)))
            for entry in content["bar"]
        ]
        return bars, [_listed(entry) for entry in content.get("uncovered", [])]
    except OSError as error:
        raise ListError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise ListError(f"{path}: {error}") from None
    except KeyError as error:
        raise ListError(f"{path}: an entry has no {error}") from None


def _listed(entry: dict[str, Any]) -> Listed:
    file, _, line = str(entry["at"]).rpartition(":")
    if not file or not line.isdigit():
        raise ValueError(f"at = {entry['at']!r} is not FILE:LINE")
    if not str(entry["why"]).strip():
        raise ValueError(f"{entry['at']} has no reason")
    return Listed(file, int(line), str(entry["code"]), str(entry["why"]))


def shares(bars: list[Bar], listed: list[Listed], coverage: Coverage) -> list[Share]:
    """What is reached, bar by bar."""
    excused = {(each.file, each.line) for each in listed}
    made = []
    for bar in bars:
        files = bar.of(coverage)
        missed = [(name, line) for name, found in files.items() for line in found.uncovered]
        lines = sum(len(found.lines) for found in files.values())
        branches = [taken for found in files.values() for _, taken in found.branches]
        made.append(
            Share(bar, lines, lines - len(missed), len(excused.intersection(missed)), len(branches), sum(branches))
        )
    return made


def judge(bars: list[Bar], listed: list[Listed], coverage: Coverage) -> Iterator[str]:
    """What is wrong, a line each."""
    reached = shares(bars, listed, coverage)
    for share in reached:
        bar = share.bar
        if not share.lines:
            yield f"{bar.name}: no line of {', '.join(bar.files)} was measured"
        elif 100 * (share.covered + share.excused) < bar.lines * share.lines:
            yield f"{bar.name}: {share.line_percent:.2f} % of the lines, wanted are {bar.lines:g} %"
        if share.lines and share.branch_percent < bar.branches:
            yield f"{bar.name}: {share.branch_percent:.2f} % of the branches, wanted are {bar.branches:g} %"
    yield from _list(listed, coverage)
    for share in reached:
        of_it = [each for each in listed if each.file in share.bar.of(coverage)]
        if len(of_it) * 100 > LISTED_MOST * share.lines:
            yield f"{share.bar.name}: {len(of_it)} lines of {share.lines} are listed, at most {LISTED_MOST:g} % may be"
    known = {(each.file, each.line) for each in listed}
    for bar in bars:
        for name, found in bar.of(coverage).items() if bar.lines >= 100 else ():
            for line in found.uncovered:
                if (name, line) not in known:
                    yield f"{name}:{line}: not reached, and not listed: {source(name, line)}"


def _list(listed: list[Listed], coverage: Coverage) -> Iterator[str]:
    """What is wrong with the entries themselves."""
    seen = set()
    for each in listed:
        where = f"uncovered.toml: {each.file}:{each.line}"
        found = coverage.get(each.file)
        if (each.file, each.line) in seen:
            yield f"{where}: listed twice"
        seen.add((each.file, each.line))
        if found is None:
            yield f"{where}: no such file was measured"
        elif source(each.file, each.line) != each.code:
            yield f"{where}: the line is {source(each.file, each.line)!r}, not {each.code!r}"
        elif each.line not in found.lines:
            yield f"{where}: there is no code on that line"
        elif found.lines[each.line]:
            yield f"{where}: is reached; take it off the list"
