"""How fast each target runs its corpus, beside cJSON's parse and print of the same inputs: `fuzz/proof/bench.py TARGET...`.

Runs build/fuzz/bench/TARGET and build/fuzz/bench/cjson, built alike under ASan and UBSan. Exit status 1 where a target is
slower than its bar.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 1.0  # of CPU time, each
TIMES = 3  # in turn, the best counts: what else the machine does slows down both
TIMEOUT = 120.0
BARS = {"fuzz_frame": 1.0, "fuzz_json": 0.5, "fuzz_request": 0.5, "fuzz_session": 0.1, "fuzz_differential": 0.05}


def speed(program: str, target: str) -> int:
    """Runs a second of one core on the target's corpus."""
    command = [f"{ROOT}/build/fuzz/bench/{program}", str(SECONDS), f"{ROOT}/fuzz/corpus/{target}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        sys.exit(f"{program} on the corpus of {target}: {done.stderr.strip()[-2000:]}")
    return int(done.stdout)


def main(targets: list[str]) -> int:
    missed = False
    print(f"{'runs a second':20}{'target':>10}{'cJSON':>10}{'ratio':>8}{'bar':>8}")
    for target in targets:
        pairs = [(speed(target, target), speed("cjson", target)) for _ in range(TIMES)]
        own, plain = (max(speeds) for speeds in zip(*pairs, strict=True))
        bar = BARS.get(target)
        met = bar is None or own >= bar * plain
        missed = missed or not met
        shown = "" if bar is None else f"{bar:8}{'' if met else '  missed'}"
        print(f"{target:20}{own:10,}{plain:10,}{own / plain:8.2f}{shown}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
