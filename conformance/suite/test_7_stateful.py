"""Interleaved hosts: every list of steps in cases/stateful, each a case. Most were found by `conform stateful`, and shrunk.

A file names the checks it proves and records what each host got from the oracle and what files stand in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import CouldNotRun
from guestwire.stateful import steps
from guestwire.stateful.player import TooSlow, play
from guestwire.stateful.side import Side

FOLDER = Path(__file__).resolve().parent.parent / "cases/stateful"


def _case(path: Path) -> Callable[..., None]:
    recording = steps.load(path)
    needs = "server start witness half-close"
    if any(step.do == "close" for step in recording.steps):
        needs += " full-close"

    @case(*recording.checks, variant=path.stem, needs=needs, deadline=30)
    def test(host: Host) -> None:
        agent = host.start(*steps.options(recording.seconds))
        try:
            play(recording.steps, [Side("agent", agent.agent, host.witness, recording.seconds)], recording)
        except TooSlow as error:
            raise CouldNotRun(f"{error}, which no step asked for: the machine is too slow or too busy") from None

    test.__doc__ = recording.title
    return test


for _path in sorted(FOLDER.glob("*.toml")):
    globals()[f"test_{_path.stem.replace('-', '_')}"] = _case(_path)
