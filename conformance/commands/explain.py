"""`conform explain CLAUSE`: what it demands, what it looks like on the wire, what proves it, and how people break it."""

from __future__ import annotations

import argparse
import importlib
import textwrap
from collections.abc import Iterator

from guestwire.drive.connectable import UsageError
from guestwire.judge import ledger
from guestwire.judge.case import Case
from guestwire.judge.contract import AGENT
from guestwire.judge.ledger import Clause
from guestwire.judge.verdict import Exit
from guestwire.mutants import load
from guestwire.spec import wire

HELP = "one clause: its text, bytes on the wire, cases, common mistakes"
WIDTH = 110


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clause", metavar="CLAUSE", help="a clause, or one of its checks: RUN-EXIT, RUN-EXIT/signal")


def _cases(clause: Clause) -> Iterator[str]:
    """Each case that proves a check of the clause: its id without the parametrised part, and its docstring's first line."""
    names = {check.id for check in clause.checks}
    contract = ledger.contract_of(clause.id)
    for path in sorted(contract.suite.glob("test_*.py")):
        for function in vars(importlib.import_module(f"{contract.package}.{path.stem}")).values():
            declared = getattr(function, "guestwire_case", None)
            if isinstance(declared, Case) and names & set(declared.checks):
                identity = ":".join(filter(None, (declared.checks[0], declared.variant)))
                about = (function.__doc__ or function.__name__.removeprefix("test_").replace("_", " ")).strip()
                yield f"{identity}  {' '.join(about.split())}"


def _mistakes(clause: Clause) -> list[str]:
    """What agents get wrong here: what each mutant that breaks the clause does, and the first case that finds it out."""
    names = {check.id for check in clause.checks}
    found = (
        mutant
        for mutant in load.catalogue(ledger.contract_of(clause.id).catalogue).values()
        if names & set(mutant.breaks)
    )
    return [f"{mutant.why} ({mutant.kills[0]})" for mutant in found]


def _lines(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        for line in lines:
            yield textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


def _wire(clause: Clause) -> Iterator[str]:
    """An example of it, byte by byte."""
    example = wire.examples()[clause.id]
    yield ""
    yield "On the wire"
    yield from (f"  {step.shown()}" for step in example.steps)
    if example.seen:
        yield textwrap.fill(
            f"not in one conversation: {example.seen}", WIDTH, initial_indent="  ", subsequent_indent="  "
        )


def explain(clause: Clause) -> Iterator[str]:
    """The page, line by line."""
    yield f"{clause.id} ({clause.level})"
    yield textwrap.fill(
        ledger.contract(ledger.contract_of(clause.id))[clause.id][1],
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    if ledger.contract_of(clause.id) is AGENT:  # the others have no wire format of their own
        yield from _wire(clause)
    pending = {check.id: f" [pending: {check.pending}]" if check.pending else "" for check in clause.checks}
    yield from _lines("Checks", [f"{check.id}: {check.text}{pending[check.id]}" for check in clause.checks])
    yield from _lines("Cases", list(_cases(clause)))
    yield from _lines("Common mistakes, and what finds them", _mistakes(clause))


def main(options: argparse.Namespace) -> int:
    name = options.clause.partition("/")[0]
    if options.clause not in ledger.every_clause() and options.clause not in ledger.every_check():
        raise UsageError(f"unknown clause {options.clause!r}: `conform clauses` lists them")
    for line in explain(ledger.every_clause()[name]):
        print(line)
    return Exit.GREEN
