"""`conform fuzz`: mutated conversations on any agent, judged by the oracle; or cases that it kept, replayed."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import guestwire
from guestwire.blackbox import judged, keep
from guestwire.blackbox.campaign import Campaign, Found
from guestwire.blackbox.duel import Duel, OracleFailed
from guestwire.blackbox.seeds import seeds
from guestwire.blackbox.side import Side
from guestwire.commands.numbers import positive
from guestwire.drive import connectable
from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.platform import ON_LINUX, lacking
from guestwire.drive.session import NothingToJudge, Session
from guestwire.judge.outcome import CouldNotRun, Crash, DeadlineExceeded, Violation
from guestwire.judge.verdict import Exit
from guestwire.report import safe

HELP = "send mutated conversations and compare with the oracle"
ORACLE = Path(guestwire.__file__).resolve().parent.parent / "oracle/agent.py"
SECONDS = 60
LONGEST = 2_000  # characters of a line


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help=connectable.FORMS)
    parser.add_argument("--seconds", type=positive, metavar="N", help=f"for so long (default: {SECONDS}, with --examples "
                        "as long as those take)")  # fmt: skip
    parser.add_argument("--examples", type=positive, default=0, metavar="N", help="so many inputs")
    parser.add_argument(
        "--seed", type=int, metavar="S", help="what is drawn depends on it alone (default: a new one, printed)"
    )
    parser.add_argument("--corpus", action="append", type=Path, default=[], metavar="FOLDER",
                        help="files of frames, or of control payloads, to begin with beside the cases")  # fmt: skip
    parser.add_argument("--transport", help="over this one (default: the agent's first)")
    parser.add_argument("--destructive", action="store_true", help="allow floods on an agent that runs already")
    parser.add_argument("--save", type=Path, default=Path("guestwire-fuzz"), metavar="FOLDER",
                        help="where findings are kept as cases, with their evidence (default: %(default)s)")  # fmt: skip
    parser.add_argument("--oracle", default=f"exec:{ORACLE}", metavar="CONNECTABLE",
                        help="the agent that is always right (default: the oracle)")  # fmt: skip
    parser.add_argument("--replay", nargs="+", type=Path, default=[], metavar="FILE", help="replay saved cases instead")


def main(options: argparse.Namespace) -> int:
    if not ON_LINUX:
        raise UsageError(lacking("conform fuzz"))
    agent = connectable.parse(options.agent)
    transport = options.transport or agent.transports[0]
    if transport not in agent.transports:
        raise UsageError(f"{options.agent!r} has no transport {transport!r}; accepted: {', '.join(agent.transports)}")
    if options.replay:
        return _replay(agent, transport, options.replay)
    try:
        oracle = connectable.parse(options.oracle)
    except UsageError as error:
        raise UsageError(f"the oracle is not here ({error}): name it with --oracle") from None
    _check_save(options.save)
    drawn_from = seeds(options.corpus, print)
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    with _session(agent, transport) as session:
        try:
            duel = _duel(session, oracle, agent, transport)
        except OracleFailed as error:
            return _no_oracle(oracle, f"at its start: {error}")
        print(f"seed {seed}", flush=True)
        campaign = Campaign(
            duel, drawn_from, seed, options.examples,
            options.seconds or (0 if options.examples else SECONDS),
            floods=agent.kind == "exec" or options.destructive,
            restarts=agent.kind == "exec",
        )  # fmt: skip
        campaign.keep = lambda found: _keep(found, session, agent, transport, duel, options)
        campaign.progress = _progress
        interrupted = False
        try:
            campaign.run()
        except KeyboardInterrupt:
            interrupted = True
        except OracleFailed as error:
            return _no_oracle(oracle, f"at input {campaign.drawn - 1} of seed {seed}: {error}")
        except CouldNotRun as error:
            raise UsageError(f"{agent.text!r}: {error}") from None
        finally:
            _clear_progress()
            print(_summary(campaign), flush=True)
    if interrupted:
        print("interrupted: this is what came before", file=sys.stderr)
        return Exit.INTERRUPTED
    return _verdict(campaign, options.examples)


def _check_save(folder: Path) -> None:
    """Before hours of fuzzing: raises UsageError where nothing can be kept."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise UsageError(f"--save {folder}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"--save {folder}: {there} is not writable")


def _no_oracle(oracle: Connectable, how: str) -> int:
    """In one line. Return: the exit status."""
    told = f"conform: the harness failed, its oracle {oracle.text!r} did, {' '.join(how.split())}"
    print(safe.cut(safe.line(told), LONGEST), file=sys.stderr)
    return Exit.HARNESS_BUG


@contextlib.contextmanager
def _session(agent: Connectable, transport: str) -> Iterator[Session]:
    """Raises UsageError for an agent that does not come up."""
    folder = Path(tempfile.mkdtemp(prefix="guestwire-"))
    folder.chmod(0o755)
    session = Session(folder)
    try:
        try:
            session.check(agent, transport)
        except NothingToJudge as error:
            raise UsageError(str(error)) from None
        yield session
    finally:
        session.close()


def _duel(session: Session, oracle: Connectable, agent: Connectable, transport: str) -> Duel:
    """Both sides, started. Raises UsageError, OracleFailed."""
    if oracle.kind != "exec":
        raise UsageError(f"{oracle.text!r} (oracle): give it as exec:PATH")
    beside = "unix-ns" if transport == "unix-ns" else "unix"  # in the same world, so that its paths are as long
    made = Duel(Side("oracle", session, oracle, beside), Side("agent", session, agent, transport))
    codes = not any(check.startswith("ERR-CODE") for check in agent.lacks)
    try:
        for side in made.sides:
            side.codes = codes
            if made.agent.seen:
                side.settle_in()
            side.agent  # noqa: B018 - started here
    except (CouldNotRun, Crash, DeadlineExceeded, Violation, OSError) as error:
        if side is made.oracle:
            raise OracleFailed(str(error)) from None
        raise UsageError(f"{side.connectable.text!r} ({side.name}) does not come up: {error}") from None
    if not made.agent.seen:
        print(
            f"{agent.text} runs out of sight, or as another user: no file is made for it, nor is it told what it holds",
            flush=True,
        )
    return made


# ---- what is told


def _progress(campaign: Campaign) -> None:
    if sys.stderr.isatty() and campaign.played % 20 == 0:
        seconds = max(time.monotonic() - campaign.began, 0.001)
        told = f"{campaign.played} inputs, {campaign.played / seconds:.0f} a second, {len(campaign.found)} findings"
        print(f"\r{told}\033[K", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _summary(campaign: Campaign) -> str:
    seconds = time.monotonic() - campaign.began
    rate = f"{seconds:.0f} s ({campaign.played / seconds:.0f} a second)"
    lines = [f"{campaign.played} inputs from {len(campaign.seeds)} seeds in {rate}"]
    answers = ", ".join(f"{shape} {count}" for shape, count in campaign.duel.answers.most_common())
    lines += [f"answers: {answers}"] if answers else []
    left = [(campaign.duel.left_open, "left open by the contract"), (campaign.repeats, "findings like one before"),
            (campaign.late + campaign.duel.late, "late on a busy machine"),
            (campaign.unsent, "not sent: too large for an agent that runs already without --destructive")]  # fmt: skip
    lines += [", ".join(f"{count} {what}" for count, what in left if count)] if any(count for count, _ in left) else []
    return "\n".join(lines)


def _verdict(campaign: Campaign, wanted: int) -> int:
    failed = len(campaign.found)
    missing = max(wanted - campaign.played, 0)
    passed = campaign.played - failed - campaign.repeats
    print(f"{passed} passed, {failed + campaign.repeats} failed, {missing} skipped")
    if failed:
        return Exit.RED
    return Exit.PARTIAL if missing or not campaign.played else Exit.GREEN


# ---- findings


def _keep(
    found: Found, session: Session, agent: Connectable, transport: str, duel: Duel, options: argparse.Namespace
) -> None:
    """Tell of a finding, and leave it as a case with evidence of its replay."""
    _clear_progress()
    identity, text = keep.case(found, duel.oracle.home, duel.agent.half_closes)
    file = options.save / f"{identity.lower().replace('/', '-').replace(':', '-')}.toml"
    how = "" if found.again else ", not seen again on fresh processes" if agent.kind == "exec" else ", as it came"
    print(f"FAIL {identity.partition(':')[0]} ({found.finding.kind}) by input {found.number}{how}:")
    for line in keep.shown(found.drawn):
        print(f"    {safe.line(line)}")
    print(f"  expected: {safe.line(found.finding.expected)}\n    actual: {safe.line(found.finding.actual)}")
    try:
        options.save.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        with contextlib.suppress(OSError):
            file.unlink()  # what there was room for
        print(f"it cannot be kept in {safe.line(str(options.save))}: {error.strerror}; it is:\n{text}", flush=True)
        return
    if agent.kind == "exec":
        duel.renew()
        replayed = judged.judge(session.row(agent, transport), next(iter(judged.load(file).values())))
        print(_evidence(replayed, options.save, file))
    print(f"    repeat: conform fuzz {safe.word(options.agent)} --replay {safe.word(str(file))}", flush=True)


def _evidence(replayed: judged.Judged, save: Path, file: Path) -> str:
    """Leave it, and say where."""
    if not replayed.result.failed:
        return "            its case passes alone, on a fresh process"
    try:
        return f"  evidence: {safe.line(str(save / judged.leave(replayed, save, file)))}"
    except OSError as error:
        return f"            its evidence cannot be kept: {error.strerror}"


def _replay(agent: Connectable, transport: str, files: list[Path]) -> Exit:
    """Saved cases on one agent, which is judged by what they record."""
    cases = [case for file in files for case in judged.load(file).values()]
    failed = 0
    with _session(agent, transport) as session:
        for case in cases:
            one = judged.judge(session.row(agent, transport), case)
            if one.result.failed:
                failed += 1
                print(judged.told(one))
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    return Exit.RED if failed else Exit.GREEN
