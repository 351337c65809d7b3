"""Do the fuzz targets have teeth? `fuzz/proof/selftest.py [--jobs N] [NUMBER...]` plants each bug of plants.toml in a copy of
the sources, replays the committed corpus, and fuzzes for at most a minute where that finds nothing.

Prints a table. Exit status 1 where a bug survives, or falls otherwise than the catalogue says.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from plants import ROOT, Plant, load

WORK = ROOT / "build/fuzz/selftest"
NEEDS = ("Makefile", "VERSION", "pyproject.toml", "setup.py", "agent", "oracle", "ci", "fuzz", "conformance/bench",
         "conformance/examples/examples.mk")  # fmt: skip
SECONDS = 60  # of fuzzing, at the most
BUILD_TIMEOUT = 600.0
REPLAY_TIMEOUT = 300.0
SAID = re.compile(r"property broken: (.*)|runtime error: (.*)|ERROR: (?:AddressSanitizer|libFuzzer): (.*?) on |"
                  r"ERROR: (?:\w+): (.*)|the oracle: (.*)")  # fmt: skip


@dataclass(frozen=True)
class Fall:
    """What found a plant ("": nothing did), after how long, and what it said."""

    by: str
    seconds: float
    said: str


def plant_tree(plant: Plant) -> Path:
    """A copy of the sources with the bug in it, built for its target."""
    tree = WORK / f"plant-{plant.number}"
    shutil.rmtree(tree, ignore_errors=True)
    for name in NEEDS:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("corpus", "regressions"))
        else:
            shutil.copy2(ROOT / name, tree / name)
    for name in ("obj/asan", "obj/fuzz", "obj/libfuzzer"):
        shutil.copytree(ROOT / "build" / name, tree / "build" / name)  # only what the bug touches is compiled again
    for name in (".venv", ".cache"):
        (tree / name).symlink_to(ROOT / name)
    (tree / plant.file).write_text(plant.planted(), encoding="utf-8")
    command = ["make", "-s", "-C", str(tree), "--old-file=.venv/.stamp"]
    command += [f"build/fuzz/replay/{plant.target}", f"build/fuzz/{plant.target}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False)
    if done.returncode:
        sys.exit(f"plant {plant.number} does not build: {done.stderr.strip()[-1000:]}")
    return tree


def attempt(command: list[str], timeout: float) -> tuple[bool, float, str]:
    """Whether it failed, after how many seconds, and what was broken."""
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return True, time.monotonic() - start, "a hang"
    found = SAID.search(done.stderr)
    if done.returncode and not found:
        sys.exit(f"{command[0]} ended with {done.returncode}, and not over a bug: {done.stderr.strip()[-1000:]}")
    return done.returncode != 0, time.monotonic() - start, next(filter(None, found.groups()), "") if found else ""


def find(plant: Plant) -> Fall:
    """Replay the corpus, then fuzz."""
    tree = plant_tree(plant)
    corpus = str(ROOT / "fuzz/corpus" / plant.target)
    fell, seconds, said = attempt([f"{tree}/build/fuzz/replay/{plant.target}", corpus], REPLAY_TIMEOUT)
    if fell:
        return Fall("replay", seconds, said)
    grown = tree / "grown"
    grown.mkdir()
    options = [f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-seed=1",
               f"-dict={ROOT}/fuzz/guestwire.dict", f"-artifact_prefix={tree}/finding-"]  # fmt: skip
    fell, seconds, said = attempt([f"{tree}/build/fuzz/{plant.target}", *options, str(grown), corpus], SECONDS + 120.0)
    if not fell:
        return Fall("", seconds, "it survives")
    findings = list(tree.glob("finding-*"))
    if not findings:
        return Fall("nothing kept", seconds, said)
    for finding in findings:  # it has to be the bug's doing
        if attempt([f"{ROOT}/build/fuzz/{plant.target}", str(finding)], REPLAY_TIMEOUT)[0]:
            return Fall("accident", seconds, f"the sources fall without the bug too, to {finding}")
    return Fall("fuzzing", seconds, said)


def judge(plant: Plant, fall: Fall) -> bool:
    """Print its line of the table. Return: it fell as declared."""
    good = fall.by == plant.falls
    by = fall.by or "nothing"
    wrong = "" if good else f" (declared: {plant.falls})"
    print(
        f"{plant.number:5}  {plant.target:18} {by:8}{fall.seconds:6.1f}  {plant.breaks}: {fall.said}{wrong}", flush=True
    )
    if good:
        shutil.rmtree(WORK / f"plant-{plant.number}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="plants at once, each on a core of its own (default 1)")
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", help="only these plants")
    options = parser.parse_args()
    plants = [plant for plant in load() if not options.numbers or plant.number in options.numbers]
    print(f"{'plant':5}  {'target':18} {'found by':8}{'   s':>6}  what it breaks: what was said")
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        good = [judge(plant, fall) for plant, fall in zip(plants, pool.map(find, plants), strict=True)]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed, 0 skipped")
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
