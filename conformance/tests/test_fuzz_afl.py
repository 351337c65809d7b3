"""`make fuzz-afl`: what afl-fuzz leaves behind is told. A script stands in for it: CI does not install AFL++."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
out=$2/default
mkdir -p "$out/queue" "$out/crashes" "$out/hangs"
printf seed >"$out/queue/id:000000,time:0,orig:seed"
printf new >"$out/queue/id:000001,src:000000"
printf 'execs_done        : %s\\nedges_found       : 12\\ncorpus_count      : 2\\n' "$RUNS" >"$out/fuzzer_stats"
"""


@pytest.mark.parametrize(
    ("runs", "more", "status", "says"),
    [
        (5000, "", 0, "fuzz_one: 5,000 runs, 12 edges, corpus 2, 0 findings"),
        (5000, 'touch "$out/crashes/id:000000"', 1, "fuzz_one: 5,000 runs, 12 edges, corpus 2, 1 findings"),
        (1, "", 1, "fuzz_one: it ran little more than its 1 seeds; "),
        (5000, "echo Test case x results in a crash, skipping", 1, "fuzz_one: 1 seeds crash it"),
        (5000, "exit 3", 1, "fuzz_one: ended with status 3; "),
    ],
    ids=["nothing found", "a crash", "nothing run", "a seed crashes", "it fails"],
)
def test_what_is_told(tmp_path: Path, runs: int, more: str, status: int, says: str) -> None:
    (tmp_path / "src/corpus/fuzz_one").mkdir(parents=True)
    (tmp_path / "src/fuzz_one.c").touch()
    (tmp_path / "src/corpus/fuzz_one/seed").write_bytes(b"seed")
    (tmp_path / "afl-fuzz").write_text(f"{FAKE}{more}\n")
    (tmp_path / "afl-fuzz").chmod(0o755)
    words = [sys.executable, "-m", "campaign", "afl", f"--source={tmp_path}/src", f"--build={tmp_path}/build"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "fuzz"), "PATH": path, "RUNS": str(runs)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(says), done.stdout + done.stderr
    assert (done.returncode, f"{int(status == 0)} passed, {status} failed, 0 skipped") == (
        status,
        done.stdout.splitlines()[-1],
    )
    kept = tmp_path / "build/corpus/fuzz_one"
    assert [path.name for path in kept.iterdir()] == [hashlib.sha1(b"new", usedforsecurity=False).hexdigest()]
