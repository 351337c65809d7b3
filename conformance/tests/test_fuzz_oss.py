"""What fuzz/oss-fuzz/build.sh links is what campaigns link here. `make fuzz-oss` builds and runs it, which takes a minute."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE_ALONE = {"fuzz_differential"}  # embeds a Python that the runner's image does not have
PYTHON = {"fuzz/oracle.o", "fuzz/oracle_place.o"}
ENGINE = ("CC=clang", "CXX=clang++", "LIB_FUZZING_ENGINE=-fsanitize=fuzzer")


def make(*words: str) -> str:
    """What it prints, or would run."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "-s", "SYSTEM_TEST=", "SYSTEM_FUZZ=", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=True, timeout=60, capture_output=True, text=True
    ).stdout


def linked(commands: str, variant: str, folder: str) -> dict[str, tuple[list[str], list[str]]]:
    """Objects, without their folder, and wrapped functions of each program below `folder`, by what would be run."""
    found = {}
    for line in commands.splitlines():
        if match := re.search(rf" -o {folder}/(fuzz_\w+)$", line):
            objects = set(re.findall(rf"build/obj/{variant}/(\S+\.o)", line)) - PYTHON
            found[match[1]] = sorted(objects), re.findall(r"-Wl,--wrap\S+", line)
    return found


def test_the_same_is_linked() -> None:
    targets = sorted({path.stem for path in (ROOT / "fuzz").glob("fuzz_*.c")} - HERE_ALONE)
    assert sorted(make("fuzz-oss-names").split()) == targets
    theirs = linked(make("-nB", *ENGINE, "fuzz-oss-targets"), "oss", "build/fuzz/oss")
    ours = linked(make("-nB", *(f"build/fuzz/{target}" for target in targets)), "libfuzzer", "build/fuzz")
    assert sorted(ours) == targets
    assert theirs == ours
    for objects, _ in ours.values():
        assert {"fuzz/mutate/mutate.o", "wire/request.o", "cJSON.o"} < set(objects)


def test_what_it_is_made_of_is_there() -> None:
    folder = ROOT / "fuzz/oss-fuzz"
    assert (ROOT / ".clusterfuzzlite").resolve() == folder
    script = (folder / "build.sh").read_text()
    for name in ("fuzz/guestwire.dict", "fuzz/oss-fuzz/target.options", "fuzz/corpus/"):
        assert name in script
        assert (ROOT / name).exists()
    stated = set(re.findall(r"^(\w+):", (folder / "project.yaml").read_text(), re.MULTILINE))
    assert stated == {"homepage", "main_repo", "primary_contact", "language", "fuzzing_engines", "sanitizers"}
