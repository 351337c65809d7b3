"""The targets under AFL++: `make fuzz-afl`. Its own mutations and the dictionary; see README.md for what it does not use."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from campaign.places import Places, shown
from guestwire.judge.verdict import Exit

OVERTIME = 120  # seconds beyond its time after which afl-fuzz hangs; it tries every seed first
MEMORY = "none"  # the sanitizer's shadow is larger than any limit
TIMEOUT = "5000"  # milliseconds of an input; what takes longer is a hang
SKIPPED = "results in a crash"
SHOWN = 3  # findings of a target
ENVIRONMENT = {
    "AFL_NO_UI": "1",
    "AFL_NO_AFFINITY": "1",
    "AFL_SKIP_CPUFREQ": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",  # of a kernel that pipes core files to a program
    "AFL_TESTCACHE_SIZE": "16",  # MiB
}


@dataclass
class Ran:
    """What became of one target."""

    target: str
    wrong: str = ""  # why it does not work
    numbers: dict[str, str] = field(default_factory=dict)  # of fuzzer_stats
    broken: list[Path] = field(default_factory=list)  # inputs that crash or hang it

    def told(self) -> str:
        if self.wrong:
            return f"{self.target}: {self.wrong}"
        count, edges, corpus = (self.numbers[name] for name in ("execs_done", "edges_found", "corpus_count"))
        return f"{self.target}: {int(count):,} runs, {edges} edges, corpus {corpus}, {len(self.broken)} findings"


def command(places: Places, target: str, seconds: int, out: Path) -> list[str]:
    dictionary = places.dictionary(target)
    return [
        *(
            "afl-fuzz",
            "-V",
            str(seconds),
            "-m",
            MEMORY,
            "-t",
            TIMEOUT,
            "-i",
            str(places.committed(target)),
            "-o",
            str(out),
        ),
        *(["-x", str(dictionary)] if dictionary else []),
        *("--", str(places.build / "afl" / target)),
    ]


def keep(ran: Ran, found: Path, corpus: Path) -> None:
    """What it found goes to where campaigns put theirs, so that `make seeds` takes it."""
    corpus.mkdir(parents=True, exist_ok=True)
    for path in found.glob("queue/id:*"):
        if ",orig:" not in path.name:
            name = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
            shutil.copyfile(path, corpus / name)
    ran.broken = sorted([*found.glob("crashes/id:*"), *found.glob("hangs/id:*")])


def fuzz(places: Places, target: str, seconds: int) -> Ran:
    """One target for so long, with one process."""
    out, ran = places.build / "afl" / "out" / target, Ran(target)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log = out.with_suffix(".log")
    try:
        with log.open("w") as output:
            subprocess.run(
                command(places, target, seconds, out),
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=seconds + OVERTIME,
                check=True,
            )
    except FileNotFoundError:
        ran.wrong = "no afl-fuzz: ci/setup packages afl"
        return ran
    except subprocess.CalledProcessError as error:
        ran.wrong = f"ended with status {error.returncode}; {shown(log)} has what it said"
    except subprocess.TimeoutExpired:
        ran.wrong = f"did not end by itself; {shown(log)} has what it said"
    statistics = out / "default/fuzzer_stats"
    if statistics.is_file():
        rows = (line.partition(":") for line in statistics.read_text().splitlines())
        ran.numbers = {name.strip(): value.strip() for name, _, value in rows}
    keep(ran, out / "default", places.corpus(target))
    seeds = len(list(places.committed(target).iterdir()))
    said = log.read_text(errors="replace")
    if SKIPPED in said:
        ran.wrong = f"{said.count(SKIPPED)} seeds crash it, which AFL++ skips: make fuzz-replay"
    if not ran.wrong and int(ran.numbers.get("execs_done", "0")) <= seeds:
        ran.wrong = f"it ran little more than its {seeds} seeds; {shown(log)} has what it said"
    return ran


def run(places: Places, targets: list[str], seconds: int, jobs: int) -> Exit:
    """All of them, `jobs` at a time. Last line: N passed, N failed, 0 skipped."""
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for ran in pool.map(lambda target: fuzz(places, target, seconds), targets):
            failed += bool(ran.wrong or ran.broken)
            print(ran.told(), flush=True)
            for path in ran.broken[:SHOWN]:
                print(f"  replay: {shown(places.build / 'afl' / ran.target)} {shown(path)}", flush=True)
    print(f"{len(targets) - failed} passed, {failed} failed, 0 skipped")
    return Exit.RED if failed else Exit.GREEN
