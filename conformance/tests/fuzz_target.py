#!/usr/bin/env python3
"""What a libFuzzer program looks like from outside; its own name says what befalls it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

INPUT = b"the input that breaks it"
STATUS = "#{runs}\tNEW    cov: {edges} ft: 40 corp: 3/12b lim: 4 exec/s: 250 rss: 30Mb L: 4/4 MS: 1 ChangeBit-"
ERROR = """==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000010 at pc 0x1 bp 0x2 sp 0x3
READ of size 1 at 0x602000000010 thread T0
    #0 0x55d0 in __asan_memcpy (/program+0xe8ce1)
    #1 0x55d1 in frame_decode /home/me/guestwire/agent/wire/frame.c:{line}:5
    #2 0x55d2 in LLVMFuzzerTestOneInput /home/me/guestwire/fuzz/fuzz_frame.c:9:3
0x602000000010 is located 0 bytes to the right of 4-byte region
allocated by thread T0 here:
    #0 0x55d3 in malloc (/program+0xe8ce1)
    #1 0x55d4 in fuzz_copy /home/me/guestwire/fuzz/fuzz.h:40:5
SUMMARY: AddressSanitizer: heap-buffer-overflow /home/me/guestwire/agent/wire/frame.c:{line}:5 in frame_decode"""


def say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def crash(artifacts: str) -> int:
    """Each time at another line of one function."""
    number = len(list(Path(artifacts).parent.glob("*/crash-*" if artifacts.endswith("/") else "crash-*")))
    say(ERROR.format(line=70 + number))
    Path(f"{artifacts}crash-{number}").write_bytes(INPUT + b"!" * number)
    say(f"artifact_prefix='{artifacts}'; Test unit written to {artifacts}crash-{number}")
    return 77


def main() -> int:
    name = Path(sys.argv[0]).name
    options = dict(word[1:].split("=", 1) for word in sys.argv[1:] if word.startswith("-"))
    inputs = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if inputs[0].is_file():  # it is replayed
        say(ERROR.format(line=70))
        return 77 if inputs[0].read_bytes().startswith(INPUT) else 0
    if name == "fuzz_broken":
        say("error while loading shared libraries: libm.so.6")
        return 127
    (inputs[0] / "found").write_bytes(b"something new")
    runs = 0 if name == "fuzz_idle" else 1000
    if runs and name != "fuzz_blind":
        say(STATUS.format(runs=runs, edges=20), STATUS.format(runs=runs, edges=34))
    if name == "fuzz_crash":
        return crash(options["artifact_prefix"])
    time.sleep(min(float(options["max_total_time"]), 60 if name == "fuzz_long" else 0.1))
    say(f"stat::number_of_executed_units: {runs}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
