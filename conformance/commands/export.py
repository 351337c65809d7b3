"""`conform export`: the cases that are only bytes, as plain files."""

from __future__ import annotations

import argparse
from pathlib import Path

from guestwire.cases import all_cases
from guestwire.cases.export import largest, write
from guestwire.drive.connectable import UsageError
from guestwire.judge.verdict import Exit

HELP = "write the cases that are only bytes as plain files, for any language"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a new folder, or an empty one")
    parser.add_argument(
        "--max-size", type=int, metavar="BYTES", help="leave out what sends more in one step, or whose twin does"
    )


def main(options: argparse.Namespace) -> int:
    target, limit = Path(options.folder), options.max_size
    fits = {case.id for case in all_cases().values() if limit is None or largest(case) <= limit}
    cases = [case for case in all_cases().values() if {case.id, case.twin.partition("#")[0] or case.id} <= fits]
    if not cases:
        raise UsageError(f"--max-size {limit}: every case sends more than that")
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise UsageError(f"{target} is not empty: name another folder, or empty it")
        count = write(target, cases)
    except OSError as error:
        raise UsageError(f"nothing can be written to {target}: {error.strerror}") from None
    left = f", {len(all_cases()) - count} left out" if limit is not None else ""
    print(f"{count} cases written to {target}{left}")
    return Exit.GREEN
