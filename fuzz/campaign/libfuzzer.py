"""What libFuzzer is told and what it tells: options, status lines, artifacts."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from campaign.places import Places

TIMEOUT = 10  # seconds an input may take
MEMORY = 2048  # MiB a target may take
LONGEST = 4096  # bytes of an input
KEPT = 400  # lines of its output, from an error's first one on
SLOW = "slow-unit-"  # an artifact that is no finding
SYMBOLIZE = "symbolize=1"

_STATUS = re.compile(r"#(\d+)\t\w+ +(?:cov: (\d+) )?(?:ft: (\d+) )?(?:corp: (\d+)/\S+ )?.*exec/s: (\d+)")
_UNITS = re.compile(r"stat::number_of_executed_units: (\d+)")
_WRITTEN = re.compile(r"Test unit written to (.+)")
_ERROR = re.compile(r"==\d+== ?ERROR: |property broken: |runtime error: |SUMMARY: ")


SMOKE_RUNS = 20_000  # or until the time is over: however fast the machine, no input that nobody has seen


def command(places: Places, target: str, seconds: int, artifacts: Path) -> list[str]:
    """A run of `seconds` on the target's corpora; what breaks it is written to `artifacts`/."""
    dictionary = places.dictionary(target)
    return [
        str(places.program(target)),
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={TIMEOUT}",
        f"-rss_limit_mb={MEMORY}",
        "-print_final_stats=1",
        *([f"-dict={dictionary}"] if dictionary else []),
        *(["-seed=1", f"-runs={SMOKE_RUNS}"] if places.scratch else []),
        f"-artifact_prefix={artifacts}/",
        str(places.corpus(target)),
        *map(str, places.seeds(target)),
    ]


def environment() -> dict[str, str]:
    """Errors with function names, whatever the caller's own options are."""
    made = dict(os.environ)
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        options = [made[name]] if made.get(name) else []
        made[name] = ":".join([*options, SYMBOLIZE, "print_stacktrace=1"])
    return made


@dataclass
class Telling:
    """What a run's output has told so far."""

    executions: int = 0
    per_second: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    newest: float = field(default_factory=time.monotonic)  # when the number of edges last grew
    artifacts: list[Path] = field(default_factory=list)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    _erring: bool = False

    def hear(self, line: str) -> None:
        """Take in one line."""
        if found := _STATUS.match(line):
            executions, edges, features, corpus, per_second = (int(number or 0) for number in found.groups())
            self.executions, self.per_second = executions, per_second
            if edges > self.edges:
                self.newest = time.monotonic()
            self.edges, self.features = max(edges, self.edges), max(features, self.features)
            self.corpus = corpus or self.corpus
        elif found := _UNITS.match(line):
            self.executions = int(found[1])
        elif (found := _WRITTEN.search(line)) and not Path(found[1]).name.startswith(SLOW):
            self.artifacts.append(Path(found[1]))
        if not self._erring and _ERROR.search(line):
            self._erring = True
            self.log.clear()
        if not self._erring or len(self.log) < KEPT:  # of an error the beginning counts, else the end
            self.log.append(line)
