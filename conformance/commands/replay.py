"""`conform replay`: send the recorded bytes of a failed case once more, and show what comes back otherwise."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire.drive import connectable, through
from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.replaying import Part, Replay
from guestwire.drive.server import Agent
from guestwire.drive.session import Session
from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import CouldNotRun, Crash, DeadlineExceeded
from guestwire.judge.outline import outline
from guestwire.judge.transcript_file import FORMAT, FORMAT_VERSION
from guestwire.judge.verdict import Exit
from guestwire.report import safe

HELP = "send a failed case's recorded bytes again, and show the difference"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the evidence of a case")
    parser.add_argument(
        "agent", nargs="?", metavar="AGENT", help=f"{connectable.FORMS} (default: the one it was recorded with)"
    )
    parser.add_argument("--transport", help="over this one (default: the recorded one, if the agent has it)")


@dataclass
class _Recorded:
    """What a folder says, as far as a replay needs it."""

    connectable: str
    transport: str
    scratch: str
    options: list[list[str]]
    conditions: list[list[str]]
    parts: list[Part]
    outlines: list[list[str]]
    whole: bool


def _read(folder: Path) -> _Recorded:
    """Raises UsageError."""
    if (folder / "agent.json").is_file() and not (folder / "transcript.json").exists():  # of a bridge or a gate, say
        raise UsageError(f"{folder} records no conversation of the case's own: run {folder / 'replay.sh'}")
    try:
        found = json.loads((folder / "transcript.json").read_text(encoding="utf-8"))
        agent = json.loads((folder / "agent.json").read_text(encoding="utf-8"))
        if (found["format"], found["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise UsageError(f"{folder} holds a transcript that this conform cannot read")
        own = [each for each in found["conversations"] if not each["label"]]
        agents = [([str(word) for word in each["options"]], each["conditions"]) for each in found["agents"]]
        recorded = _Recorded(
            str(agent["connectable"]), str(found["transport"]), str(found["scratch"]), [pair[0] for pair in agents],
            [pair[1] for pair in agents], [Part.of(each) for each in own], [list(each["outline"]) for each in own],
            all(each["host_whole"] for each in own),
        )  # fmt: skip
        if any(part.agent >= len(agents) for part in recorded.parts):
            raise ValueError("an agent that is not told")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise UsageError(f"{folder} is no evidence of a case with conversations: {reason}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{folder} holds a damaged transcript") from None
    return recorded


def _check(folder: Path, recorded: _Recorded) -> None:
    """Raises UsageError for what cannot be sent again."""
    script = f"run {folder / 'replay.sh'}"
    if not recorded.parts:
        raise UsageError(f"{folder} records no conversation of the case's own: {script}")
    if not recorded.whole:
        raise UsageError(f"{folder} does not hold all bytes that were sent, they were too many: {script}")
    if any(part.agent < 0 for part in recorded.parts):
        raise UsageError(f"{folder} does not tell how the agent was started that a conversation was with: {script}")


@contextlib.contextmanager
def _scratch(path: str) -> Iterator[None]:
    """The case's scratch directory is there again, empty; only below the folder for temporary files, where it was."""
    parts = Path(path).parts
    base = Path(tempfile.gettempdir())
    inside = bool(path) and ".." not in parts and Path(path).is_relative_to(base)
    top = base / Path(path).relative_to(base).parts[0] if inside and Path(path) != base else None
    if top is None or not top.name.startswith("guestwire-") or os.path.lexists(top):
        yield
        return
    try:
        top.mkdir(0o755)
        Path(path).mkdir(0o755, parents=True)
        yield
    finally:
        shutil.rmtree(top, ignore_errors=True)


class _Agents:
    """Those of the transcript, started when first connected to."""

    def __init__(self, session: Session, to: Connectable, transport: str, options: list[list[str]]) -> None:
        self._session, self._to, self._transport, self._options = session, to, transport, options
        self._made: dict[int, Agent] = {}

    def connect(self, number: int) -> Any:
        if self._to.runs_already:
            number = 0
        if number not in self._made:
            row = self._session.row(self._to, self._transport)
            spec = row.spec(*self._options[number])
            self._made[number] = through.start(row.witness, self._to, self._transport, spec, self._session.folder)
        return self._made[number].connect()

    def stop(self) -> None:
        for agent in self._made.values():
            agent.stop()


def _play(recorded: _Recorded, to: Connectable, transport: str) -> list[list[str]]:
    """The outlines of what comes back. Raises UsageError."""
    folder = Path(tempfile.mkdtemp(prefix="guestwire-"))
    folder.chmod(0o755)
    guests = None
    try:
        if to.in_guest:
            from guestwire.drive.booting import Guests  # what boots them costs a tenth of a second

            guests = Guests([to], folder, 1)
        own = folder / "session"
        own.mkdir(0o755)
        return _sent(recorded, to, transport, Session(own, guests.worlds if guests else {}))
    finally:
        if guests is not None:
            guests.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _sent(recorded: _Recorded, to: Connectable, transport: str, session: Session) -> list[list[str]]:
    """The same with this session, which it closes."""
    agents = _Agents(session, to, transport, recorded.options)
    try:
        with _scratch(recorded.scratch):
            return [outline(recording) for recording in Replay(recorded.parts, agents.connect).run()]
    except (Crash, DeadlineExceeded) as error:
        raise UsageError(f"{to.text!r} does not come up: {' '.join(error.actual.split())}") from None
    except (CouldNotRun, OSError) as error:
        raise UsageError(f"{to.text!r}: {error}") from None
    finally:
        agents.stop()
        session.close()


def _transport(wanted: str | None, recorded: str, to: Connectable) -> str:
    name = wanted or (recorded if recorded in to.transports else to.transports[0])
    if name not in to.transports:
        raise UsageError(f"{to.text!r} has no transport {name!r}; accepted: {', '.join(to.transports)}")
    return name


def _difference(number: int, before: list[str], now: list[str]) -> Iterator[str]:
    if before == now:
        yield f"conversation {number}: the same"
        return
    yield f"conversation {number}: differs"
    for line in list(difflib.unified_diff(before, now, "recorded", "now", lineterm="", n=len(before)))[3:]:
        yield f"  {line}"


def main(options: argparse.Namespace) -> int:
    """Exit status: 0 the same as recorded, 1 something differs."""
    recorded = _read(options.folder)
    _check(options.folder, recorded)
    to = connectable.parse(options.agent or recorded.connectable)
    if to.contract is not AGENT:
        raise UsageError(f"{to.text!r}: a {to.contract.noun} has no part in an agent's conversations")
    transport = _transport(options.transport, recorded.transport, to)
    used = sorted({part.agent for part in recorded.parts})
    lost = sorted({name for number in used for name in recorded.conditions[number]})
    if lost:
        print(f"not as recorded: the agent was started under conditions of its own ({', '.join(lost)})")
    if to.runs_already and any(recorded.options[number] for number in used):
        print("not as recorded: the agent was started with options of its own; this one runs already")
    found = _play(recorded, to, transport)
    plural = "" if len(found) == 1 else "s"
    print(f"{len(found)} conversation{plural} again, with {to.text} over {transport} (-recorded, +now):")
    for number, (before, now) in enumerate(zip(recorded.outlines, found, strict=True), 1):
        for line in _difference(number, before, now):
            print(safe.line(line, indented=True))
    return Exit.GREEN if found == recorded.outlines else Exit.RED
