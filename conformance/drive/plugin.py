"""The pytest plugin: its options, and what is set up before the first case. drive/items.py makes the items, drive/judging.py
runs them.

`conform run` is the command; `pytest conformance/suite --agent=CONNECTABLE` does the same. Under pytest-xdist every worker runs
this, and the controller gathers the results (report/collector.py).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from _pytest.outcomes import Exit as PytestExit

from guestwire.drive import connectable, prefilter, selection
from guestwire.drive.connectable import TRANSPORTS, Connectable, UsageError
from guestwire.drive.guest import World
from guestwire.drive.selection import rows_of
from guestwire.drive.session import SESSION, NothingToJudge, Session
from guestwire.judge import expect
from guestwire.judge.case import DEADLINE
from guestwire.judge.contract import AGENT, CONTRACTS
from guestwire.judge.verdict import Exit
from guestwire.report import about

pytest_plugins = ["guestwire.drive.items", "guestwire.drive.judging"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guestwire", "conformance of guest agents")
    group.addoption(
        "--agent", action="append", default=[], metavar="CONNECTABLE", help=f"judge it: {connectable.FORMS}"
    )
    group.addoption("--contract", default="", help=f"judge by it: {', '.join(CONTRACTS)}")
    group.addoption("--through", default="", metavar="BRIDGE", help="judge the agents behind this bridge as well")
    group.addoption("--transport", action="append", default=[], help=f"only these: {', '.join(TRANSPORTS)}")
    group.addoption("--clause", action="append", default=[], help="only this clause's cases")
    group.addoption("--case", action="append", default=[], dest="case_ids", metavar="ID", help="only this case")
    group.addoption("--gate-should", action="store_true", help="SHOULD counts like MUST")
    group.addoption("--destructive", action="store_true", help="allow fills, floods and signals on running agents")
    group.addoption("--only-failed", metavar="REPORT", help="only the cases that did not pass in this report")
    group.addoption("--shard", metavar="I/N", help="only the Ith of N parts of the cases")
    group.addoption("--shuffle", type=int, metavar="SEED", help="run the cases in an order that SEED gives")
    group.addoption("--restart", action="store_true", help="start a fresh agent for each case")
    group.addoption("--fail-fast", action="store_true", help="run nothing more once a case has failed")
    group.addoption("--max-time", type=float, metavar="SECONDS", help="run nothing more after that many seconds")
    group.addoption(
        "--selection", metavar="FILE", help="JSON: for each agent's label the ids, without transport, to run"
    )
    group.addoption("--usual-deadline", type=float, default=DEADLINE, metavar="S", help="of a case that declares none")
    group.addoption("--expect", metavar="FILE", help="failures that are known: see judge/expect.py")
    group.addoption("--expect-write", metavar="FILE", help="write this run's failures as such a file")
    group.addoption("--results", default=None, metavar="FILE", help="write the report as JSON, here too")
    group.addoption("--history", action="append", default=[], metavar="REPORT", help="an earlier report, for the trend")
    group.addoption("--report-dir", default=None, metavar="DIR", help="write the report in all its forms")
    group.addoption("--alike", action="store_true", help="all agents have to send the same: see judge/alike.py")
    group.addoption("--sweep", choices=("some", "full"), default="some", help="full: every cut on every transport")


class Red(PytestExit):
    """Ends the run before any case; pytest prints it as `Red: ` and the reason."""


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("agent"):
        return
    try:
        rows = rows_of(config)
        selection.check(config)
        known = expect.load(Path(config.getoption("expect"))) if config.getoption("expect") else []
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if hasattr(config, "workerinput"):
        folder = config.workerinput["guestwire_folder"]
    else:
        from guestwire.report.collector import Collector  # a tenth of a worker's start, and no worker's matter

        folder = tempfile.mkdtemp(prefix="guestwire-")
        os.chmod(folder, 0o755)
        collector = Collector(config, rows, folder, known)
        config.pluginmanager.register(collector, "guestwire-collector")
    config.pluginmanager.register(prefilter, "guestwire-prefilter")
    config.stash[selection.FOLDER] = folder
    worlds, number = _guests(config, rows)
    config.stash[SESSION] = Session(Path(tempfile.mkdtemp(dir=folder)), worlds, number)
    config.stash[SESSION].folder.chmod(0o755)
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        nothing = ""
        try:
            for agent, transport in _to_try(rows):
                collector.agent_versions[agent.label] = config.stash[SESSION].check(agent, transport)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        except NothingToJudge as error:
            nothing = str(error)
        try:
            collector.prepare()
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        if nothing:
            collector.claim()
            raise Red(nothing, returncode=Exit.RED)


def _guests(config: pytest.Config, rows: list[tuple[Connectable, str]]) -> tuple[Mapping[str, World], int]:
    """The guests of the run, booted if this is its controller, and which of their users this process is: 0 the controller."""
    if hasattr(config, "workerinput"):
        worlds = config.workerinput["guestwire_worlds"]
        return {text: World(Path(name)) for text, name in worlds.items()}, int(config.workerinput["workerid"][2:]) + 1
    wanted = about.unique([row for row in rows if row[0].in_guest])
    if not wanted or config.option.collectonly:
        return {}, 0
    from guestwire.drive.booting import Guests  # what boots them costs a run without any a tenth of a second

    collector = config.pluginmanager.getplugin("guestwire-collector")
    witnesses = (config.getoption("numprocesses", 0) or 0) + 1  # one for each worker, and one for this process
    try:
        collector.guests = Guests(wanted, Path(collector.folder), witnesses)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    return collector.guests.worlds, 0


def _to_try(rows: list[tuple[Connectable, str]]) -> list[tuple[Connectable, str]]:
    """The rows whose canary is worth its time: all of an agent, one of a program whose transports are the cases' own matter."""
    first = dict(reversed(rows))
    return [(agent, name) for agent, name in rows if agent.contract is AGENT or first[agent] == name]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The controller tells each pytest-xdist worker where to put its sockets and files."""
    collector = node.config.pluginmanager.getplugin("guestwire-collector")
    if collector is not None:
        node.workerinput["guestwire_folder"] = collector.folder
        node.workerinput["guestwire_worlds"] = {
            text: str(world.folder) for text, world in (collector.guests.worlds if collector.guests else {}).items()
        }
        node.workerinput["guestwire_started"] = collector.started
        node.workerinput["guestwire_failed"] = sorted(node.config.stash.get(selection.FAILED, ()))


def pytest_unconfigure(config: pytest.Config) -> None:
    if SESSION in config.stash:
        config.stash[SESSION].close()
