"""Fuzzing campaigns, see README.md. `make fuzz`, `make fuzz-smoke`, `make fuzz-coverage` and `make fuzz-afl` call

    python -m campaign run [--seconds S] [--jobs N] [--fresh] [TARGET...]
    python -m campaign smoke [--seconds S] [--jobs N] [TARGET...]
    python -m campaign coverage [TARGET...]
    python -m campaign afl [--seconds S] [--jobs N] [TARGET...]

Exit status: 0 nothing found, 1 a finding, a target that does not work or a bar that is missed, 2 a wrong command line, 130
interrupted, with all that was found kept. No TARGET: every one.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from campaign import afl, cover, whole
from campaign.places import Places
from guestwire.judge.verdict import Exit
from guestwire.report.live import console

SECONDS_MOST = 30 * 86_400
JOBS_MOST = 1_024


class _Parser(argparse.ArgumentParser):
    """A wrong command line is told in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"campaign: {message}", file=sys.stderr)
        sys.exit(Exit.USAGE)


def _number(most: int, what: str) -> object:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most:,} ({what})")
        return int(text)

    return read


def _options(words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="campaign", add_help=True, allow_abbrev=False)
    parser.add_argument("command", choices=("run", "smoke", "coverage", "afl"))
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=_number(SECONDS_MOST, "FUZZ_SECONDS"), default=60)  # type: ignore[arg-type]
    parser.add_argument("--jobs", type=_number(JOBS_MOST, "JOBS"), default=os.cpu_count() or 1)  # type: ignore[arg-type]
    parser.add_argument(
        "--fresh", action="store_true", help="start from nothing, and compare with the committed corpora"
    )
    parser.add_argument("--check", action="store_true", help="only judge the command line")
    parser.add_argument("--source", type=Path, default=Path("fuzz"), help="where targets and corpora are")
    parser.add_argument("--build", type=Path, default=Path("build/fuzz"), help="where programs are, and findings go")
    return parser.parse_intermixed_args(words)


def main(words: list[str]) -> int:
    options = _options(words)
    places = Places(options.source, options.build, options.fresh)
    known = places.targets()
    unknown = [target for target in options.targets if target not in known]
    if unknown or not known:
        told = (
            f"no target {', '.join(unknown)}; there are {', '.join(known)}"
            if known
            else f"no targets in {places.source}"
        )
        print(f"campaign: {told}", file=sys.stderr)
        return Exit.USAGE
    targets = list(dict.fromkeys(options.targets)) or known
    if options.check:
        return Exit.GREEN
    if options.command == "coverage":
        return cover.run(places, targets, console())
    if options.command == "afl" and options.fresh:
        print("campaign: AFL++ wants inputs to start from: not with --fresh (FRESH=1)", file=sys.stderr)
        return Exit.USAGE
    if options.command == "afl":
        return afl.run(places, targets, options.seconds, options.jobs)
    return whole.run(places, targets, options.seconds, options.jobs, options.command == "smoke", console())


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for _name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(_name, _stop)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
