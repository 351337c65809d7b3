"""`conform mutants`: is every deliberately broken agent found out, by the cases that are said to find it?"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from guestwire.commands.numbers import positive
from guestwire.commands.run import base_options
from guestwire.drive.connectable import UsageError
from guestwire.judge.contract import AGENT, CONTRACTS
from guestwire.judge.verdict import Exit
from guestwire.mutants import audit, build, load, trial
from guestwire.mutants.audit import Findings
from guestwire.mutants.load import CatalogueError, Exempt, Mutant
from guestwire.mutants.trial import Known, Suite, Trial

HELP = "judge deliberately broken agents: does the suite find each of them out?"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="MUTANT", help="only these (default: all, and the catalogue itself)")
    parser.add_argument(
        "--contract", choices=tuple(CONTRACTS), default=AGENT.name, help="whose mutants (default: agent)"
    )
    parser.add_argument("--full", action="store_true", help="every case on every mutant, not a sample")
    parser.add_argument(
        "--jobs",
        type=positive,
        default=0,
        metavar="N",
        help="so many at once (default: 10 for each core, or 4)",
    )
    parser.add_argument("--catalogue", type=Path, metavar="DIR", help="other mutants than the own")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")


def main(options: argparse.Namespace) -> int:
    contract = CONTRACTS[options.contract]
    if missing := build.possible(contract):
        raise UsageError(missing)
    try:
        mutants = _wanted(options.catalogue or contract.catalogue, options.ids)
        if options.list:
            for mutant in mutants:
                print(f"{mutant.id}: {mutant.why} [{', '.join(mutant.breaks)}]")
            return Exit.GREEN
        return _run(mutants, options)
    except CatalogueError as error:
        print(f"conform: {error}", file=sys.stderr)
        return Exit.HARNESS_BUG
    except KeyboardInterrupt:
        print("interrupted: nothing was judged", file=sys.stderr)
        return Exit.INTERRUPTED


def _wanted(folder: Path, ids: list[str]) -> list[Mutant]:
    mutants = load.catalogue(folder)
    if not mutants:
        raise UsageError(f"no mutants in {folder}")
    for identity in ids:
        if identity not in mutants:
            raise UsageError(f"unknown mutant {identity!r}: `conform mutants --list` lists them")
    return [mutants[identity] for identity in dict.fromkeys(ids)] if ids else list(mutants.values())


def _run(mutants: list[Mutant], options: argparse.Namespace) -> int:
    console = Console(
        file=sys.stdout, emoji=False, highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160
    )
    started = time.monotonic()
    contract = CONTRACTS[options.contract]
    exempt = load.exempt(contract.exempt)
    jobs = options.jobs or (10 if contract is AGENT else 4) * (os.cpu_count() or 1)  # cases wait most of their time
    trials: list[Trial] = []
    cases: list[Known] = []

    def work(suite: Suite) -> None:
        cases.extend(suite.cases())
        trials.extend(Trial(mutant, trial.chosen(mutant, cases, options.full), {}) for mutant in mutants)
        trial.run(trials, suite, agents, folder, jobs, options.full, _progress(console, len(trials)))

    with _folder() as folder:
        clean = build.oracle_connectable(folder, "oracle", contract.oracle.read_text(encoding="utf-8"))
        agents = build.build_all(mutants, folder, contract)
        trial.with_suite(base_options(contract), clean, work, contract)
    findings = Findings()
    for one in trials:
        audit.trial_findings(one, findings, options.full)
    if not options.ids:
        audit.coverage_findings(mutants, cases, exempt, findings, trials if options.full else (), contract)
    _print(console, trials, findings)
    _print_mode(console, trials, cases, exempt, _How(options.full, bool(options.ids), time.monotonic() - started))
    failed = findings.failed(mutants)  # a mutant passes when it was found out as declared
    wrong = len(failed) + len(findings.of_the_catalogue)
    print(f"{len(mutants) - len(failed)} passed, {wrong} failed, 0 skipped")
    if not findings.green:
        return Exit.RED
    return Exit.PARTIAL if options.ids else Exit.GREEN


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for all that the run makes, gone after it; temporary files of what is called go there too."""
    folder = Path(tempfile.mkdtemp(prefix="guestwire-"))
    folder.chmod(0o755)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


class _How(NamedTuple):
    """Of a run: every case, not all mutants, and how long it took in seconds."""

    full: bool
    some: bool
    seconds: float


def _progress(console: Console, total: int) -> Callable[[Trial], None]:
    """Says how far it is, on a terminal only."""
    count = 0

    def done(one: Trial) -> None:
        nonlocal count
        count += 1
        if console.is_terminal:
            console.print(f"{count}/{total} {one.mutant.id} {one.seconds:.1f} s", style="dim")

    return done


def _print(console: Console, trials: list[Trial], findings: Findings) -> None:
    """The kill matrix: a row for each mutant with the cases that kill it."""
    table = Table("mutant", "breaks", "cases", "fail", "s", "killed by", box=None, pad_edge=False)
    for one in trials:
        killers = [load.plain(result.case) for result in audit.killers(one)]
        failing = sum(bool(audit.failed(result)) for result in one.results.values())
        shown = ", ".join(killers[:3]) + (f" and {len(killers) - 3} more" if len(killers) > 3 else "")
        verdict = shown or "[red]survives[/]"
        figures = (str(len(one.results)), str(failing), f"{one.seconds:.1f}")
        table.add_row(one.mutant.id, ", ".join(one.mutant.breaks), *figures, verdict)
    console.print(table)
    for title, lines in (
        ("survivors", findings.survivors),
        ("not as declared", findings.mismatches),
        ("the catalogue", findings.coverage),
        ("MUST checks that no mutant breaks", findings.unbroken),
        ("cases that kill no mutant", findings.idle),
    ):
        if lines:
            console.print(f"\n{title}:")
            for line in lines:
                console.print(f"  {line}", markup=False)


def _print_mode(console: Console, trials: list[Trial], cases: list[Known], exempt: Exempt, how: _How) -> None:
    if how.full:
        ran = f"full: each met all {len(cases)} cases there are on one transport"
    else:
        ran = (
            f"sampled: each met its declared cases ({trial.OF_A_PATTERN} of a pattern) and {len(trial.sample(cases))} of the "
            f"{len(cases)} cases on one transport, for each clause (for each check of a clause that it breaks) the first "
            f"that needs no agent of its own, one in {trial.ONE_IN} of what it has nothing to do with; --full runs all"
        )
    console.print(f"\n{ran}; the usual deadline was {trial.USUAL_DEADLINE:g} s")
    if how.some:
        console.print("some mutants only: whether every check and every case has its mutant was not judged")
    else:
        console.print(f"exempt, each with its reason: {len(exempt.checks)} checks, {len(exempt.cases)} names of cases")
    killed = sum(bool(audit.killers(one)) for one in trials)
    console.print(f"{killed} of {len(trials)} mutants killed in {how.seconds:.0f} s")
