"""Fuzzing campaigns: what is found is kept and told, and a target that does nothing is never green."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestwire.tests.fuzz_target import INPUT
from guestwire.tests.harness import HEEDING

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fuzz_target.py")


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    """A campaign on the targets that lie in that place."""
    return subprocess.Popen(
        [*HEEDING, sys.executable, "-m", "campaign", *words, f"--source={place}/src", f"--build={place}/build"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "fuzz")},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def campaign(place: Path, *words: str) -> tuple[int, list[str], list[str]]:
    """Return: exit status, stdout, stderr."""
    stdout, stderr = (process := start(place, *words)).communicate(timeout=200)
    return process.returncode, stdout.splitlines(), stderr.splitlines()


def targets(place: Path, *names: str) -> Path:
    """Sources, and programs that only look like libFuzzer's."""
    for folder in ("src", "build"):
        (place / folder).mkdir()
    for name in names:
        (place / f"src/{name}.c").touch()
        shutil.copy(FAKE, place / "build" / name)
        (place / "build" / name).chmod(0o755)
    return place


def test_nothing_found(tmp_path: Path) -> None:
    status, told, _ = campaign(targets(tmp_path, "fuzz_one", "fuzz_two"), "smoke", "--seconds=1", "--jobs=1")
    assert (status, told[-1]) == (0, "2 passed, 0 failed, 0 skipped")
    assert told[0].startswith("fuzz_one (done): runs 1,000, per second ")
    assert ", edges 34, features 40, corpus 3, newest edge " in told[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fuzz_broken", "ended with status 127: error while loading shared libraries: libm.so.6"),
        ("fuzz_idle", "ran not one input"),
        ("fuzz_blind", "reached not one edge"),
    ],
)
def test_a_target_that_does_nothing_is_not_green(tmp_path: Path, name: str, says: str) -> None:
    status, told, _ = campaign(targets(tmp_path, name, "fuzz_one"), "smoke", "--seconds=1")
    assert (status, told[-1]) == (1, "1 passed, 1 failed, 0 skipped")
    assert any(line.startswith(f"{name}: {says}") for line in told)


def test_a_program_that_is_not_there_is_not_green(tmp_path: Path) -> None:
    (targets(tmp_path, "fuzz_one") / "build/fuzz_one").unlink()
    status, told, _ = campaign(tmp_path, "smoke", "--seconds=1")
    assert (status, told[-1]) == (1, "0 passed, 1 failed, 0 skipped")


def test_one_defect_is_one_finding(tmp_path: Path) -> None:
    """Whatever its line: twenty times the same function in the same way. It is a file, with the command that replays it."""
    status, told, _ = campaign(targets(tmp_path, "fuzz_crash", "fuzz_one"), "smoke", "--seconds=30", "--jobs=2")
    assert (status, told[-1]) == (1, "1 passed, 1 failed, 0 skipped")
    found = [line for line in told if line.startswith("FOUND")]
    assert found == [f"FOUND fuzz_crash: heap-buffer-overflow < frame_decode ({len(INPUT)} bytes; seen 20 times)"]
    kept = tmp_path / "build/findings/fuzz_crash/heap-buffer-overflow-frame_decode"
    assert kept.read_bytes() == INPUT
    assert f"  replay  {tmp_path}/build/fuzz_crash {kept}" in told
    assert any(line.startswith("  keep    ") and line.endswith(" fuzz/regressions/fuzz_crash/") for line in told)
    assert "LLVMFuzzerTestOneInput" in kept.with_name(f"{kept.name}.log").read_text()


def test_the_same_finding_again_takes_no_other_name(tmp_path: Path) -> None:
    place = targets(tmp_path, "fuzz_crash")
    for _ in range(2):
        assert campaign(place, "smoke", "--seconds=1")[0] == 1
    assert len(list((place / "build/findings/fuzz_crash").iterdir())) == 2  # the input and what was said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_loses_nothing(tmp_path: Path, stop: signal.Signals) -> None:
    place = targets(tmp_path, "fuzz_crash", "fuzz_long")
    process = start(place, "run", "--seconds=60", "--jobs=2")
    raw = place / "build/artifacts"
    end = time.monotonic() + 30
    while len(list(raw.glob("fuzz_crash-*/crash-*"))) < 3 or not (place / "build/corpus/fuzz_long/found").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(stop)
    stdout, stderr = process.communicate(timeout=40)
    assert (process.returncode, stderr) == (130, "")
    assert "FOUND fuzz_crash: heap-buffer-overflow < frame_decode" in stdout
    assert (place / "build/findings/fuzz_crash/heap-buffer-overflow-frame_decode").read_bytes() == INPUT
    assert (place / "build/corpus/fuzz_long/found").read_bytes() == b"something new"
    assert "interrupted" in (place / "build/report.html").read_text()


def test_a_leak_is_minimised(tmp_path: Path) -> None:
    """Which libFuzzer can do as for a crash."""
    status, told, _ = campaign(targets(tmp_path, "fuzz_leak"), "smoke", "--seconds=1", "--jobs=1")
    assert status == 1
    (found,) = [line for line in told if line.startswith("FOUND")]
    assert found.startswith("FOUND fuzz_leak: leak < request_parse (1 bytes, minimised from 10; seen ")
    assert (tmp_path / "build/findings/fuzz_leak/leak-request_parse").read_bytes() == b"l"


def test_what_breaks_while_corpora_are_merged_is_found(tmp_path: Path) -> None:
    """It is in no corpus any more; it is kept, under the name of what broke."""
    status, told, _ = campaign(targets(tmp_path, "fuzz_merge"), "run", "--seconds=1", "--jobs=1")
    assert status == 1
    assert [line.partition(" (")[0] for line in told if line.startswith("FOUND")] == [
        "FOUND fuzz_merge: heap-buffer-overflow < frame_decode",
        "FOUND fuzz_merge: timeout < read_all",
    ]
    kept = tmp_path / "build/findings/fuzz_merge"
    assert (kept / "heap-buffer-overflow-frame_decode").read_bytes() == INPUT
    assert (kept / "timeout-read_all").read_bytes() == b"slow"
    assert (kept / "timeout-read_all.log").read_text().splitlines()[:2] == [
        "timeout < read_all",
        "==8== ERROR: libFuzzer: timeout after 10 seconds",
    ]


def test_interrupted_while_corpora_are_merged(tmp_path: Path) -> None:
    """What takes long is ended, and corpora are as they were."""
    place = targets(tmp_path, "fuzz_slow_merge", "fuzz_two")
    process = start(place, "run", "--seconds=1", "--jobs=2")
    end = time.monotonic() + 60
    while not list(place.glob("build/artifacts/fuzz_slow_merge-merge-*/merging")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    assert "interrupted; corpora are as they were found" in stdout
    assert (place / "build/corpus/fuzz_slow_merge/found").read_bytes() == b"something new"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "fuzz_nope"), "no target fuzz_nope; there are fuzz_one"),
        (("run", "--seconds=0"), "'0' is no number from 1 to 2,592,000 (FUZZ_SECONDS)"),
        (("run", "--seconds=1m"), "'1m' is no number"),
        (("run", "--jobs=-1"), "'-1' is no number from 1 to 1,024 (JOBS)"),
        (("run", "--sec=1"), "unrecognized arguments: --sec=1"),
        (("walk",), "invalid choice: 'walk'"),
    ],
)
def test_wrong_command_lines(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    status, told, wrong = campaign(targets(tmp_path, "fuzz_one"), *words)
    assert (status, told, len(wrong)) == (2, [], 1)
    assert says in wrong[0]


@pytest.mark.parametrize("text", ["a'b", "fuzz_frame;echo", "$HOME", "`echo`"])
def test_what_make_hands_on_is_never_run(text: str) -> None:
    """Of FUZZ_SECONDS, JOBS and TARGETS each word is one of the campaign's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    knobs = [f"{name}={text.replace('$', '$$')}" for name in ("FUZZ_SECONDS", "JOBS", "TARGETS")]
    words = ["make", "-s", "--eval", "shown: ; @printf '%s\\n' $(FUZZ_RUN)", "shown", *knobs]
    told = subprocess.run(words, cwd=ROOT, env=environment, text=True, capture_output=True, check=True, timeout=100)
    assert told.stdout.splitlines() == ["run", f"--seconds={text}", f"--jobs={text}", text]
