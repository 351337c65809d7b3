"""`conform run`: a pytest run of the suite, under pytest-xdist."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from guestwire.commands.numbers import positive
from guestwire.drive import connectable, workers
from guestwire.drive.connectable import Connectable, UsageError
from guestwire.judge import ledger
from guestwire.judge.contract import AGENT, CONTRACTS, Contract
from guestwire.judge.verdict import Exit
from guestwire.report import bug, folder, live, safe, terminal
from guestwire.report.collector import Collector

HELP = "judge one or more agents"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agents", nargs="+", metavar="AGENT", help=connectable.FORMS)
    add_selection(parser)
    parser.add_argument(
        "--last-failed", action="store_true", help="only the cases that failed in the last run, or that it ended before"
    )
    parser.add_argument("--fail-fast", action="store_true", help="run nothing more once a case has failed")
    parser.add_argument("--max-time", type=float, metavar="SECONDS", help="run nothing more after that many seconds")
    parser.add_argument("--full", action="store_true", help="qemu-nested: every case, not only this level's own")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="run the cases in an order that SEED gives")
    parser.add_argument("--restart", action="store_true", help="start a fresh agent for each case")
    parser.add_argument("--expect", metavar="FILE", help="known failures, a TOML file (see the README)")
    parser.add_argument("--expect-write", metavar="FILE", help="write this run's failures as such a file")
    parser.add_argument(
        "--alike", action="store_true", help="the agents have to say the same, not only each over all transports"
    )
    parser.add_argument(
        "--sweep", choices=("some", "full"), default="some",
        help="full: cuts at every byte and slow drips on every transport, not only on unix",
    )  # fmt: skip
    parser.add_argument("--results", metavar="FILE", help="write the report as JSON, here too")
    parser.add_argument(
        "--report-dir",
        metavar="DIR",
        default=folder.DEFAULT,
        help="where the report goes, as report.json, junit.xml and report.html (default: %(default)s)",
    )
    parser.add_argument(
        "--history",
        action="extend",
        nargs="+",
        default=[],
        metavar="REPORT",
        help="earlier reports, for the page's trend",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which cases, and how they are judged: what `conform verify` takes too."""
    parser.add_argument(
        "--contract",
        choices=tuple(CONTRACTS),
        default="",
        help="what is judged (default: what descriptors say, else agent)",
    )
    parser.add_argument(
        "--through",
        default="",
        metavar="BRIDGE",
        help="judge agents behind this bridge too: via-unix, via-hybrid, via-tcp",
    )
    parser.add_argument("--transport", action="append", default=[], help="only these, comma-separated")
    parser.add_argument("--clause", action="append", default=[], help="only the cases of this clause")
    parser.add_argument("--case", action="append", default=[], dest="cases", metavar="ID", help="only this case")
    parser.add_argument("--shard", metavar="I/N", help="only the Ith of N parts of the cases")
    parser.add_argument("--strict", action="store_true", help="SHOULD counts like MUST")
    parser.add_argument("--destructive", action="store_true", help="allow fills, floods and signals on running agents")
    parser.add_argument(
        "--jobs",
        type=positive,
        default=0,
        metavar="N",
        help="workers (default: at most 4 for each core, 8 for bridges)",
    )


def selection_words(options: argparse.Namespace) -> list[str]:
    """The same as a command line."""
    words = [f"--contract={options.contract}"] if options.contract else []
    words += [f"--through={options.through}"] if options.through else []
    words += [f"--{name}={value}" for name, values in (("transport", options.transport), ("clause", options.clause),
             ("case", options.cases)) for value in values]  # fmt: skip
    words += [f"--{name}" for name in ("strict", "destructive") if getattr(options, name)]
    words += [f"--jobs={options.jobs}"] if options.jobs else []
    return words + ([f"--shard={options.shard}"] if options.shard else [])


def base_options(contract: Contract = AGENT) -> list[str]:
    """What every pytest run of a contract's suite is started with."""
    words = [str(contract.suite), f"--rootdir={contract.suite.parent}", "--import-mode=importlib", "-q"]
    words += ["-p", "no:cacheprovider", "-p", "no:tmpdir"]  # nothing is written but below the run's own folder
    for name in ("hypothesispytest", "logging", "unraisableexception", "threadexception", "faulthandler"):
        words += ["-p", f"no:{name}"]  # what they offer is not used here, and each costs time in every case
    words += ["--capture=no", "--no-header", "--no-summary", "--tb=no", "--continue-on-collection-errors"]
    # Cases say what they expect through expect(); rewriting their asserts would cost each worker a second.
    words.append("--assert=plain")
    return [*words, "-W", "ignore::pytest.PytestWarning", "-c", os.devnull]


def _pytest_options(options: argparse.Namespace, agents: Sequence[Connectable]) -> list[str]:
    """The command line of the pytest run."""
    contract = agents[0].contract
    words = [*base_options(contract), "-q", f"--contract={contract.name}"]
    words += [f"--through={options.through}"] if options.through else []
    for name, values in (("agent", options.agents), ("transport", options.transport), ("clause", options.clause),
                         ("case", options.cases)):  # fmt: skip
        words += [f"--{name}={value}" for value in values]
    words += ["--gate-should"] if options.strict else []
    words += ["--destructive"] if options.destructive else []
    words += [f"--{name}" for name, given in (("fail-fast", options.fail_fast), ("restart", options.restart)) if given]
    for name in ("shard", "shuffle", "max_time", "expect", "expect_write"):
        if getattr(options, name) is not None:
            words.append(f"--{name.replace('_', '-')}={getattr(options, name)}")
    if options.last_failed:
        words.append(f"--only-failed={os.path.join(options.report_dir, folder.REPORT)}")
    words.append(f"--report-dir={os.path.abspath(options.report_dir)}")
    words += [f"--sweep={options.sweep}", *(["--alike"] if options.alike else [])]
    words += [f"--history={os.path.abspath(name)}" for name in options.history]
    if options.results:
        words.append(f"--results={options.results}")
    jobs = _jobs(options, agents)
    return [*words, "-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else words


def _jobs(options: argparse.Namespace, agents: Sequence[Connectable]) -> int:
    """How many workers; 1 is none beside the controller. A running agent gets one case at a time."""
    if options.cases or any(agent.runs_already for agent in agents):
        return 1
    wanted = [name for text in options.transport for name in text.split(",")]
    return options.jobs or workers.worth(agents, wanted, options.clause)


@contextlib.contextmanager
def _renamed() -> Iterator[None]:
    """What pytest says on stderr is said by `conform`, a line each."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            yield
    finally:
        for line in filter(str.strip, re.sub(r"\x1b\[[0-9;]*m", "", told.getvalue()).splitlines()):
            print(safe.line(re.sub("^(ERROR|Red): ", "conform: ", line), indented=True), file=sys.stderr)


class _Keeper:
    """Keeps hold of the collector after pytest has ended."""

    collector: Collector | None = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.collector = session.config.pluginmanager.getplugin("guestwire-collector")


def main(options: argparse.Namespace) -> int:
    agents = connectable.parse_all(options.agents, options.contract, options.through)
    for name in options.clause:
        if name not in ledger.clauses(agents[0].contract):
            raise UsageError(f"unknown clause {name!r}: `conform clauses` lists them")
    filtered = options.transport or options.clause or options.cases or options.shard or options.last_failed
    if options.expect_write and filtered:
        raise UsageError(
            "--expect-write wants a whole run: leave out --transport, --clause, --case, --shard, --last-failed"
        )
    for agent in agents:
        for warning in agent.warnings:
            print(safe.line(warning), file=sys.stderr)
    if any(agent.kind == "qemu-nested" for agent in agents):
        from guestwire.drive import nesting  # what boots guests is no other run's matter

        if not nesting.is_within():
            return nesting.judge(agents, options)
    labels = [agent.label for agent in agents]
    if len(set(labels)) != len(labels):
        raise UsageError(f"two agents would both be called {max(labels, key=labels.count)!r}: rename one of the files")
    os.environ.pop("PYTEST_ADDOPTS", None)  # it may leave out cases, and stop at the first failure
    keeper, shown = _Keeper(), live.Live(live.console())
    with shown.instead_of_pytest(), _renamed():
        status: Any = pytest.main(_pytest_options(options, agents), plugins=[keeper, shown])
    if os.environ.get(bug.TRACEBACK):
        print(shown.what_pytest_said(), file=sys.stderr)
    if status == pytest.ExitCode.INTERRUPTED:
        print("interrupted: nothing was judged", file=sys.stderr)
        return Exit.INTERRUPTED
    if keeper.collector is None or keeper.collector.verdict is None:
        if status in (pytest.ExitCode.USAGE_ERROR, Exit.RED):  # told already
            return Exit.USAGE if status == pytest.ExitCode.USAGE_ERROR else Exit.RED
        print(f"conform: the harness failed, nothing was judged: {shown.failure}", file=sys.stderr)
        return Exit.HARNESS_BUG
    keeper.collector.tell(shown.console)
    print(terminal.total(keeper.collector.verdict))
    return int(status)
