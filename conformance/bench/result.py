"""A benchmark's bars, and how they are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One bar. `value` is to be at most (or at least) `bar`; `note` shows what it was made of."""

    name: str
    value: float
    bar: float
    at_most: bool
    unit: str
    note: str

    @property
    def met(self) -> bool:
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def most(name: str, value: float, bar: float, unit: str, note: str = "") -> Result:
    return Result(name, value, bar, True, unit, note)


def least(name: str, value: float, bar: float, unit: str, note: str = "") -> Result:
    return Result(name, value, bar, False, unit, note)


def tell(results: Sequence[Result], file: Path) -> int:
    """Print a line for each bar and write all to `file` as JSON. Return: the exit status, 1 if a bar is missed."""
    for result in results:
        sign = "<=" if result.at_most else ">="
        word = "ok  " if result.met else "MISS"
        print(
            f"{word} {result.name:38} {result.value:8.2f} {sign} {result.bar:g} {result.unit}  {result.note}".rstrip()
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(result) | {"met": result.met} for result in results], indent=1))
    missed = sum(not result.met for result in results)
    print(f"{len(results) - missed} passed, {missed} failed, 0 skipped")
    return 1 if missed else 0
