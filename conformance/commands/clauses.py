"""`conform clauses`."""

from __future__ import annotations

import argparse

from guestwire.judge import ledger
from guestwire.judge.verdict import Exit

HELP = "list clauses and checks"


def add(parser: argparse.ArgumentParser) -> None:
    """It has no options."""


def main(options: argparse.Namespace) -> int:  # noqa: ARG001
    for clause in ledger.clauses().values():
        print(f"{clause.id} ({clause.level}): {clause.text}")
        for check in clause.checks:
            if check.id != clause.id:
                print(f"  {check.id}: {check.text}" + (f" [pending: {check.pending}]" if check.pending else ""))
    return Exit.GREEN
