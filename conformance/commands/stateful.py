"""`conform stateful`: interleaved hosts, drawn by Hypothesis, with the oracle as the model; or files of steps, replayed."""

from __future__ import annotations

import argparse
import hashlib
import random
import shlex
import sys
import tempfile
from collections import Counter
from pathlib import Path

import guestwire
from guestwire.commands.numbers import positive
from guestwire.drive import connectable
from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.platform import ON_LINUX, lacking
from guestwire.judge.verdict import Exit
from guestwire.report import safe
from guestwire.stateful import steps
from guestwire.stateful.arena import arena
from guestwire.stateful.player import Finding, TooSlow, play
from guestwire.stateful.search import Search, search
from guestwire.stateful.shrink import smallest

HELP = "let hosts interleave at random and compare with the oracle"
ORACLE = Path(guestwire.__file__).resolve().parent.parent / "oracle/agent.py"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent, as exec:PATH [ARGS]")
    parser.add_argument(
        "--examples", type=positive, default=200, metavar="N", help="how many different ones (default: 200)"
    )
    parser.add_argument(
        "--steps",
        type=positive,
        default=20,
        metavar="N",
        help="at most so many draws in each (default: 20)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="S", help="what is drawn depends on it alone (default: a new one, printed)"
    )
    parser.add_argument("--save", type=Path, default=Path("guestwire-stateful"), metavar="FOLDER",
                        help="where a failure is kept as a case (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--oracle",
        default=f"exec:{ORACLE}",
        metavar="CONNECTABLE",
        help="the agent that is always right (default: the oracle)",
    )
    parser.add_argument("--replay", nargs="+", type=Path, default=[], metavar="FILE", help="replay saved cases instead")


def main(options: argparse.Namespace) -> int:
    if not ON_LINUX:
        raise UsageError(lacking("conform stateful"))
    agent = connectable.parse(options.agent)
    if options.replay:
        return _replay(agent, options.replay)
    try:
        oracle = connectable.parse(options.oracle)
    except UsageError as error:
        raise UsageError(f"the oracle is not here ({error}): name it with --oracle") from None
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    with arena({"oracle": oracle, "agent": agent}) as made, tempfile.TemporaryDirectory(prefix="guestwire-") as home:
        print(f"seed {seed}", flush=True)
        found = search(made, options.examples, options.steps, seed, Path(home), _progress)
        _clear_progress()
        print(_summary(found, options.steps))
        if found.failing is not None:
            _report(found, options, seed)
            print(f"{found.examples} passed, 1 failed, 0 skipped")
            return Exit.RED
    if found.slow:
        print("too many dropped: not decided; the machine is too slow or too busy")
    elif not found.enough:
        print(f"too little could be drawn; never: {', '.join(found.unseen)}")
    missing = max(options.examples - found.examples, 0)
    print(f"{found.examples} passed, 0 failed, {missing} skipped")
    return Exit.PARTIAL if missing else Exit.GREEN


def _progress(found: Search) -> None:
    if sys.stderr.isatty():
        print(f"\r{found.examples} examples", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _table(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def _summary(found: Search, most: int) -> str:
    lines = [
        f"{found.examples} examples of up to {most} steps, {found.dropped} dropped because the machine was too slow"
    ]
    lines += [f"{found.verbs.total()} steps: {_table(found.verbs)}"]
    lines += [f"{found.requests.total()} requests: {_table(found.requests)}"]
    return "\n".join(lines)


def _report(found: Search, options: argparse.Namespace, seed: int) -> None:
    """What failed, in as few steps as were found, and where it is kept."""
    kept, finding, repeated = smallest(found)
    text = kept.text()
    name = f"{kept.checks[0].lower().replace('/', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.toml"
    try:
        options.save.mkdir(parents=True, exist_ok=True)
        (options.save / name).write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"the steps cannot be kept in {safe.line(str(options.save))}: {error.strerror}", file=sys.stderr)
    how = "shrunk" if repeated else "not seen again on fresh agents, not shrunk"
    print(f"FAIL {finding.check} in example {len(found.earlier)}, {how}:")
    for number, step in enumerate(kept.steps, 1):
        print(f"  {number:2} {step}")
    print(f"  expected: {safe.line(finding.expected)}")
    print(f"    actual: {safe.line(finding.actual)}")
    agent = shlex.quote(options.agent)
    print(f"    repeat: conform stateful {agent} --replay {shlex.quote(str(options.save / name))}")
    print(f"        or: conform stateful {agent} --examples {options.examples} --steps {options.steps} --seed {seed}")


def _replay(agent: Connectable, files: list[Path]) -> Exit:
    """Saved cases on one agent, which is judged by what they record."""
    recordings = {file: steps.load(file) for file in files}
    failed = 0
    with arena({"agent": agent}) as made:
        for file, recording in recordings.items():
            made.renew()
            try:
                play(recording.steps, made.sides(recording.seconds), recording)
            except TooSlow as error:
                raise UsageError(f"{file}: not decided: {error}; the machine is too slow") from None
            except Finding as finding:
                failed += 1
                print(f"FAIL {finding.check}: {safe.line(str(file))}")
                print(f"  expected: {safe.line(finding.expected)}\n    actual: {safe.line(finding.actual)}")
    print(f"{len(recordings) - failed} passed, {failed} failed, 0 skipped")
    return Exit.RED if failed else Exit.GREEN
