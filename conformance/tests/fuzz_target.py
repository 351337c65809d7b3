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


LEAK = """==7==ERROR: LeakSanitizer: detected memory leaks
    #0 0x55d0 in malloc (/program+0xe8ce1)
    #1 0x55d1 in request_parse /home/me/guestwire/agent/wire/request.c:7:5"""


def say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def crash(artifacts: str) -> int:
    """Each time at another line of one function."""
    number = len(list(Path(artifacts).parent.glob("*/crash-*" if artifacts.endswith("/") else "crash-*")))
    say(ERROR.format(line=70 + number))
    Path(f"{artifacts}crash-{number}").write_bytes(INPUT + b"!" * number)
    say(f"artifact_prefix='{artifacts}'; Test unit written to {artifacts}crash-{number}")
    return 77


def leak(options: dict[str, str], given: Path) -> int:
    """Whatever it is given; -minimize_crash makes one byte of it."""
    if "minimize_crash" in options:
        Path(options["exact_artifact_path"]).write_bytes(b"l")
        return 0
    if "merge" in options:
        return 0
    say(LEAK)
    if given.is_dir():
        Path(f"{options['artifact_prefix']}leak-1").write_bytes(b"what leaks")
        say(f"artifact_prefix='x'; Test unit written to {options['artifact_prefix']}leak-1")
    return 77


def merge(name: str, artifacts: str) -> int:
    """As libFuzzer does: another process goes on behind the input that ended the one before."""
    if name == "fuzz_slow_merge":
        Path(f"{artifacts}merging").touch()
        time.sleep(600)
    for number in range(2 if name == "fuzz_merge" else 0):
        say(
            f"MERGE-OUTER: attempt {number + 1}",
            "MERGE-INNER: 5 total files; 0 processed earlier; will process 5 files now",
        )
        if number == 0:
            crash(artifacts)
        else:
            say(
                "==8== ERROR: libFuzzer: timeout after 10 seconds",
                "    #0 0x55d2 in read_all /home/me/guestwire/agent/read.c:9",
            )
            Path(f"{artifacts}timeout-1").write_bytes(b"slow")
            say(f"artifact_prefix='{artifacts}'; Test unit written to {artifacts}timeout-1")
    say("MERGE-OUTER: attempt 3", "MERGE-OUTER: successful in 3 attempt(s)")
    return 0


def main() -> int:
    name = Path(sys.argv[0]).name
    options = dict(word[1:].split("=", 1) for word in sys.argv[1:] if word.startswith("-"))
    inputs = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if name == "fuzz_leak":
        return leak(options, inputs[0])
    if inputs[0].is_file():  # it is replayed
        say(ERROR.format(line=70))
        return 77 if inputs[0].read_bytes().startswith(INPUT) else 0
    if options.get("merge"):
        return merge(name, options["artifact_prefix"])
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
