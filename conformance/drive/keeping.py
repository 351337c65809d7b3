"""When a failed case's evidence is gathered and written (judge/evidence.py says what): only with --report-dir."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from guestwire.drive.connectable import Connectable
from guestwire.drive.host import Host
from guestwire.drive.program import Program
from guestwire.judge import evidence
from guestwire.judge.alike import Difference
from guestwire.judge.outcome import CaseResult, Outcome

_CAPTURE = pytest.StashKey[evidence.Capture]()


def _wanted(config: pytest.Config, result: CaseResult, host: Host | Program | None) -> bool:
    """Whether it failed, or could not go on once it had begun."""
    stopped = result.outcome == Outcome.COULD_NOT_RUN and host is not None
    broken = result.failed or (host is not None and host.soft)
    return bool(stopped or broken) and config.getoption("report_dir") is not None


def look(item: pytest.Item, result: CaseResult, host: Host | Program) -> None:
    """After the case, before its agents are killed."""
    if _wanted(item.config, result, host):
        item.stash[_CAPTURE] = evidence.capture(host, hung=result.outcome == Outcome.TIMEOUT)


def _options(config: pytest.Config) -> list[str]:
    """That a case may depend on."""
    return [
        *([f"--through={config.getoption('through')}"] if config.getoption("through") else []),
        *(["--destructive"] if config.getoption("destructive") else []),
        *(["--sweep=full"] if config.getoption("sweep") == "full" else []),
    ]


def leave_difference(config: pytest.Config, found: Difference, agents: Sequence[Connectable], module: Path) -> None:
    """The same for a case that said something else than another one. Its replay runs both. `agents`: theirs."""
    if config.getoption("report_dir") is None:
        return
    options = [*_options(config), *(["--alike"] if config.getoption("alike") else [])]
    if found.reference.transport != found.result.transport:
        options.append(f"--transport={found.reference.transport}")
    try:
        script = evidence.replay_script(found.result, agents, options, module)
        evidence.write_difference(Path(config.getoption("report_dir")), found, script)
    except OSError as error:
        found.result.evidence = ""
        found.result.actual += f" (its evidence could not be written: {error})"


def leave(item: pytest.Item, result: CaseResult, host: Host | Program | None, first: Connectable) -> None:
    """Write the folder. `first` is an agent of the run, for cases that need none but that a run cannot do without."""
    if not _wanted(item.config, result, host):
        return
    option = item.config.getoption
    connectable = first if host is None else host.connectable
    script = evidence.replay_script(result, [connectable], _options(item.config), item.path)
    found = item.stash.get(_CAPTURE, evidence.Capture())
    try:
        evidence.write(Path(option("report_dir")), result, host, found, script, option("shuffle"))
    except OSError as error:
        result.evidence = ""
        result.actual += f" (its evidence could not be written: {error})"
