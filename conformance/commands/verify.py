"""`conform verify`: is the verdict itself to be trusted? The same cases in several rounds, each under other conditions; a case
whose outcome changes, or that comes near its deadline, fails. Nothing is ever tried again."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from guestwire.commands.numbers import positive
from guestwire.commands.run import add_selection, selection_words
from guestwire.drive import connectable
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.verdict import Exit
from guestwire.report import document, github, live, safe
from guestwire.report.document import VERDICTS
from guestwire.report.folder import REPORT

HELP = "run the cases again and again under other conditions: does the verdict stand?"
NEAR = 0.8  # part of its deadline that a case may use


@dataclass(frozen=True)
class Round:
    """One run and what it is run under."""

    name: str
    options: tuple[str, ...] = ()
    load: bool = False


def rounds(loops: int, seed: int) -> list[Round]:
    """Plain, in another order, with a fresh agent for each case, on a loaded CPU; `loops` times."""
    one = []
    for loop in range(loops):
        shuffle = f"--shuffle={seed + loop}"
        one += [
            Round("plain"),
            Round(f"shuffled ({shuffle})", (shuffle,)),
            Round("a fresh agent for each case", ("--restart",)),
            Round(f"loaded CPU, shuffled ({shuffle})", (shuffle,), load=True),
        ]
    return one


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agents", nargs="+", metavar="AGENT", help=connectable.FORMS)
    add_selection(parser)
    parser.add_argument(
        "--loops", type=positive, default=1, metavar="N", help="how often all four rounds are run (default 1)"
    )
    parser.add_argument("--seed", type=int, help="of the shuffled orders (default: a random one, printed)")


@contextlib.contextmanager
def _loaded(load: bool) -> Iterator[None]:
    """As many busy processes as there are cores."""
    busy = [
        subprocess.Popen((sys.executable, "-c", "while True: pass"), stdin=subprocess.DEVNULL)
        for _ in range((os.cpu_count() or 1) if load else 0)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _run(words: list[str], folder: Path, load: bool) -> tuple[int, list[CaseResult]]:
    """Exit status and results of a run, in a session of its own: an interrupt reaches it once, through us."""
    results = folder / REPORT
    there = {name: value for name, value in os.environ.items() if name not in github.NAMES}  # one step is told of once
    with _loaded(load):
        run = subprocess.Popen(
            (sys.executable, "-m", "guestwire.cli", "run", f"--report-dir={folder}", *words),
            start_new_session=True,
            env=there,
        )
        try:
            status = run.wait()
        except KeyboardInterrupt:
            run.terminate()
            run.wait()
            raise
    if status not in (Exit.GREEN, Exit.RED, Exit.PARTIAL):  # a round that was killed judged nothing either
        return status if status in list(Exit) else Exit.HARNESS_BUG, []
    return status, document.results(document.load(results))


def unsteady(found: Iterable[tuple[str, CaseResult]]) -> dict[str, list[str]]:
    """What is wrong with the cases themselves, by case. `found` are (name of the round, result)."""
    first: dict[tuple[str, str], tuple[str, CaseResult]] = {}
    errors: dict[str, list[str]] = {}
    for name, result in found:
        before, reference = first.setdefault((result.agent, result.id), (name, result))
        outcome, expected = _said(result), _said(reference)
        title = safe.line(f"{result.id} [{result.agent}]")
        if outcome != expected:
            errors.setdefault(title, []).append(f"UNSTEADY {title}: {expected} ({before}), {outcome} ({name})")
        if result.outcome != Outcome.TIMEOUT and result.deadline and result.seconds > NEAR * result.deadline:
            used = f"{result.seconds:.1f} of {result.deadline:g} s ({name})"
            errors.setdefault(title, []).append(f"NEAR ITS DEADLINE {title}: {used}")
    return errors


def _said(result: CaseResult) -> str:
    return " and ".join([result.outcome, *(f"{check} broken" for check in sorted(result.broken))])


def main(options: argparse.Namespace) -> int:
    connectable.parse_all(options.agents, options.contract, options.through)
    if not github.here():
        return _verify(options)[0]
    with github.no_commands(live.console()):
        status, lines = _verify(options)
    github.tell_step(f"verify: {VERDICTS.get(Exit(status), 'nothing judged')}", lines)
    return status


def _verify(options: argparse.Namespace) -> tuple[int, list[str]]:
    """Exit status, and the lines that say why."""
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 16)
    words = [*options.agents, *selection_words(options)]
    found: list[tuple[str, CaseResult]] = []
    statuses: dict[str, int] = {}
    print(f"seed: {seed} (--seed {seed} repeats the orders)", flush=True)
    with tempfile.TemporaryDirectory(prefix="guestwire-verify-") as folder:
        for number, each in enumerate(rounds(options.loops, seed), 1):
            print(f"\nround {number}: {each.name}", flush=True)
            status, results = _run([*words, *each.options], Path(folder, str(number)), each.load)
            if not results:
                return status, [f"round {number}: {each.name}: exit {status}"]
            statuses[f"round {number}: {each.name}"] = status
            found += [(f"round {number}", result) for result in results]
    errors = unsteady(found)
    cases = len({(result.agent, result.id) for _, result in found})
    lines = [*itertools.chain(*errors.values()), *(f"{name}: exit {status}" for name, status in statuses.items())]
    total = f"{cases - len(errors)} passed, {len(errors)} failed, 0 skipped (a case passes here when its verdict stood)"
    print("", *lines, total, sep="\n", flush=True)
    if errors or Exit.RED in statuses.values():
        return Exit.RED, [*lines, total]
    return Exit.PARTIAL if Exit.PARTIAL in statuses.values() else Exit.GREEN, [*lines, total]
