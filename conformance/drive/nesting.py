"""`conform run qemu-nested:PATH`: the run happens in an outer guest (vm/nested.py), this process presents it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from guestwire.drive.connectable import Connectable, UsageError
from guestwire.drive.platform import ON_LINUX
from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import Outcome
from guestwire.judge.verdict import Exit
from guestwire.report import document, folder, safe
from guestwire.vm import image, nested, qemu
from guestwire.vm.nested_cases import CASES
from guestwire.vm.packages import ImageError

_PAPERS = ("outer.command.txt", nested.CONSOLE, "outer.qemu.log", "conform.log")
_LONGEST = 2_000  # characters of a line that the guest has sent
_NOT_THERE = ("through", "expect", "expect_write", "last_failed", "shuffle", "shard", "results", "history")
_LEFT_OUT = "filtered: cases were left out by request"


def is_within() -> bool:
    """Whether this runs in the outer guest already."""
    return image.is_given()


def judge(agents: list[Connectable], options: Namespace) -> int:
    """Judge the one agent in a guest within a guest: the exit status. Raises UsageError."""
    if len(agents) != 1:
        raise UsageError(f"{qemu.NESTED}:PATH is judged alone")
    agent = agents[0]
    if agent.contract is not AGENT:
        raise UsageError(f"{agent.text!r}: only agents are judged in a guest of {qemu.NESTED}")
    if not ON_LINUX:
        raise UsageError(f"{agent.text!r}: a guest is booted on Linux only")
    given = [name.replace("_", "-") for name in _NOT_THERE if getattr(options, name)]
    if given:
        raise UsageError(f"--{given[0]} does not reach into the guest of {qemu.NESTED}: leave it out")
    try:
        arch = qemu.arch_of(agent.argv[0])
    except ImageError as error:
        raise UsageError(f"{agent.text!r}: no guest: {error}") from None
    if arch != "x86_64":
        raise UsageError(f"{agent.text!r}: no guest: a guest in a guest is x86_64 only, this is for {arch}")
    from guestwire.drive import booting  # shared with the other levels; it is this run's matter only

    if missing := booting.missing("x86_64"):
        raise UsageError(f"{agent.text!r}: no guest: {'; '.join(missing)}")
    target = Path(options.report_dir)
    reserved = folder.reserve(target)
    try:
        with tempfile.TemporaryDirectory(prefix="guestwire-nested-") as name:
            return _present(agent, options, Path(name), target)
    finally:
        os.close(reserved)


def _words(agent: Connectable, options: Namespace) -> list[str]:
    """Of the `conform run` in the outer guest."""
    words = [f"{qemu.NESTED}:{shlex.join(agent.argv)}"]
    words += [f"--transport={name}" for name in options.transport] + [f"--clause={name}" for name in options.clause]
    words += [f"--case={name}" for name in (CASES if _is_usual(options) else options.cases)]
    words += [f"--max-time={options.max_time:g}"] if options.max_time is not None else []
    words += [f"--jobs={options.jobs}"] if options.jobs else []
    flags = ("strict", "destructive", "fail_fast", "restart")
    return words + [f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)]


def _is_usual(options: Namespace) -> bool:
    """Whether what is judged is left to the level: its own cases."""
    return not (options.clause or options.cases or options.full)


def _present(agent: Connectable, options: Namespace, work: Path, target: Path) -> int:
    try:
        deadline = nested.DEADLINE if _is_usual(options) else nested.LONG_DEADLINE
        told = nested.run(Path(agent.argv[0]), _words(agent, options), work, deadline)
        _keep(work, target)
        found = document.load(target / folder.REPORT) if told.status in document.VERDICTS else None
    except (ImageError, nested.NestedError, UsageError, OSError) as error:
        _keep(work, target)
        _show(work, target)
        print(safe.cut(safe.line(f"conform: {qemu.NESTED}: {error}"), _LONGEST), file=sys.stderr)
        return Exit.RED
    print(told.line)
    last = _show(work, target)
    status = told.status
    if found is not None and found["footer"]["exit"] != status:
        print(f"conform: {qemu.NESTED}: the run ended with {status}, its report says otherwise", file=sys.stderr)
        status = Exit.RED
    if found is not None and status == Exit.PARTIAL and _is_usual(options) and not shortfall(found):
        print(f"verdict of this level: green ({len(found['cases'])} cases of its own; --full judges all)")
        status = Exit.GREEN
    print(last)
    return status


def shortfall(report: document.Document) -> str:
    """What keeps the level's own cases from being green, "" for nothing: all of them ran and passed, and nothing was left out but
    the others."""
    reasons = [reason for reason in report["footer"]["reasons"] if reason != _LEFT_OUT]
    if reasons:
        return str(reasons[0])
    for case in report["cases"]:
        if case["outcome"] != Outcome.PASS or case["broken"]:
            return f"{case['id']} did not pass"
    ran = {case["id"].rpartition("@")[0] for case in report["cases"]}
    missing = [name for name in CASES if name not in ran]
    return f"{missing[0]} did not run" if missing else ""


def _show(work: Path, target: Path) -> str:
    """Print what `conform run` printed, but for its last line. Return: that one."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        text = (work / "conform.log").read_text(errors="replace")
        text = re.sub(r"/\S*/guestwire-\w+/report(?=/evidence/)", lambda _: str(target), text)
        lines = [safe.cut(safe.line(line, indented=True), _LONGEST) for line in text.splitlines()]
    for line in lines[:-1]:
        print(line)
    return lines[-1] if lines else ""


def _keep(work: Path, target: Path) -> None:
    """The report, and the papers of the outer guest as its evidence."""
    folder.claim(target)
    if (work / "report" / folder.REPORT).is_file():
        shutil.copytree(work / "report", target, dirs_exist_ok=True)
    papers = target / "evidence" / qemu.NESTED
    papers.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _PAPERS:
        if (work / name).is_file():
            shutil.copyfile(work / name, papers / name)
