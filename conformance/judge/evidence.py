"""What a failed case leaves behind for whoever has to mend the agent: a folder below the report's.

transcript.json and transcript.txt   what went over its connections (judge/transcript_file.py)
agent.json, stderr.txt               the agent's processes as they were when the case had failed
threads.txt                          where each of their threads waited, after a TIMEOUT
case.json                            the verdict
console.log, qemu.log, backend.log, command.txt   of the guest, where there is one
alike.txt                            beside the last two, where an agent said something else than another row did
replay.sh                            runs this case alone
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from guestwire import __version__
from guestwire.drive.autopsy import Facts
from guestwire.drive.connectable import Connectable
from guestwire.drive.guest import FarWitness
from guestwire.drive.host import Host
from guestwire.drive.program import Program
from guestwire.judge import transcript_file
from guestwire.judge.alike import Difference
from guestwire.judge.contract import AGENT, CONTRACTS
from guestwire.judge.outcome import CaseResult, CouldNotRun, Outcome

FOLDER = "evidence"
LONGEST = 180  # characters of a folder's name
UNKNOWN = (
    "the harness did not start this agent: which program it is, its SHA-256, command line, environment, stderr and exit status "
    "cannot be told here"
)
SUITES = {contract.suite for contract in CONTRACTS.values()}


def file_safe(name: str) -> str:
    """A name that is one path component anywhere: `/` becomes `_`, `:` becomes `+`; what is changed further gets a hash."""
    plain = name.replace("/", "_").replace(":", "+")
    safe = re.sub(r"[^A-Za-z0-9._=@+-]", "-", plain)[:LONGEST].lstrip(".") or "-"
    return safe if safe == plain else f"{safe}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"


def place(result: CaseResult) -> str:
    """The case's folder, relative to the report's."""
    return f"{FOLDER}/{file_safe(result.agent)}/{file_safe(result.id)}"


@dataclass
class Capture:
    """What has to be seen before the agent is killed."""

    processes: list[Facts] = field(default_factory=list)
    threads: str = ""
    papers: dict[str, bytes] = field(default_factory=dict)  # of the guest's machine, by name


def capture(host: Host | Program, hung: bool) -> Capture:
    """Look at every agent of the case that is still known; `hung`: also at their threads."""
    found = Capture()
    with contextlib.suppress(CouldNotRun):  # an agent whose world cannot be seen
        for pid in [pid for agent in host.agents() for pid in agent.pids()]:
            facts = host.witness.facts(pid)
            if facts is not None:
                found.processes.append(facts)
            if hung:
                found.threads += host.witness.threads(pid) + "\n"
    if isinstance(host.witness, FarWitness):
        found.papers = host.witness.world.papers()
    return found


@functools.lru_cache(maxsize=32)
def _sha256(version: tuple[str, int, int]) -> str:
    """Of the file whose path, size and time of change these are: a new build is another version."""
    with open(version[0], "rb") as file:
        digest = hashlib.sha256()
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def sha256_of(path: str) -> str:
    """Of a file's content, "" where it cannot be read."""
    try:
        found = os.stat(path)
        return _sha256((path, found.st_size, found.st_mtime_ns))
    except OSError:
        return ""


def programs(connectable: Connectable) -> dict[str, str]:
    """The files a connectable's command names (the program; a script and its interpreter), each with its SHA-256."""
    return {word: digest for word in connectable.argv if os.path.isfile(word) and (digest := sha256_of(word))}


def _agent(host: Host | Program, found: Capture, seed: int | None) -> dict[str, object]:
    connectable = host.connectable
    return {
        "connectable": connectable.text,
        "label": connectable.label,
        "transport": host.transport,
        "command": list(connectable.argv),
        "environment": {name: str(value) for name, value in host.environment.items()},
        "sha256": programs(connectable),
        "known": UNKNOWN if connectable.runs_already else "all",
        "seed": seed,  # of --shuffle
        "harness": __version__,
        "python": sys.version.split()[0],
        "processes": [facts.to_json() for facts in found.processes],
    }


def replay_script(result: CaseResult, agents: Sequence[Connectable], options: Sequence[str], module: Path) -> str:
    """A shell script that runs the case alone, from the same directory with the same interpreter. Its report goes into a folder
    beside it: a run replaces what its report's folder held."""
    words = [sys.executable, "-m"]
    if SUITES.intersection(module.resolve().parents):
        words += ["guestwire.cli", "run", *(agent.text for agent in agents)]
        words += [] if agents[0].contract is AGENT else [f"--contract={agents[0].contract.name}"]
    else:
        words += [
            "pytest",
            "-q",
            "--import-mode=importlib",
            "-c",
            os.devnull,
            f"--rootdir={module.parent}",
            str(module),
        ]
        words += [f"--agent={agent.text}" for agent in agents]
    words += [] if result.transport == "-" else ["--transport", result.transport]
    words += [*options, "--case", result.case]
    lines = [
        "#!/bin/sh",
        f"# {result.outcome} {' '.join(result.id.split())}: this case alone. Exit status: that of the run.",
        'here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd) || exit 2',
        f"cd -- {shlex.quote(os.getcwd())} || exit 2",
        f'exec {shlex.join(words)} --report-dir="$here/replay" "$@"',
    ]
    return "\n".join(lines) + "\n"


def _private(report: Path, relative: str) -> Path:
    """A new folder that nobody else can look into: an agent's environment may hold secrets."""
    folder = report
    for part in relative.split("/"):
        folder /= part
        folder.mkdir(mode=0o700, parents=folder.parent == report, exist_ok=True)
    return folder


def _begin(report: Path, result: CaseResult, script: str) -> Path:
    """The case's folder, with what every one holds. Raises OSError."""
    relative = place(result)
    shutil.rmtree(report / relative, ignore_errors=True)
    folder = _private(report, relative)
    result.evidence = relative
    (folder / "case.json").write_text(json.dumps(result.to_json() | {"id": result.id}, indent=1) + "\n")
    replay = folder / "replay.sh"
    replay.write_text(script, encoding="utf-8", errors="surrogateescape")
    replay.chmod(replay.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return folder


def write_difference(report: Path, found: Difference, script: str) -> None:
    """The folder of a case that said something else than another one. Raises OSError."""
    folder = _begin(report, found.result, script)
    (folder / "alike.txt").write_text(found.readable(), "utf-8", "backslashreplace")


def write(
    report: Path, result: CaseResult, host: Host | Program | None, found: Capture, script: str, seed: int | None = None
) -> str:
    """Write the folder. `seed`: of the order of cases. Return: its path relative to the report's. Raises OSError."""
    folder = _begin(report, result, script)
    if host is None:
        return result.evidence
    if isinstance(host, Host):  # what goes over a bridge or to a gate is the case's own
        document = transcript_file.document(result, host.transcript, host.scratch_path)
        (folder / "transcript.json").write_text(json.dumps(document, indent=1) + "\n")
        (folder / "transcript.txt").write_text(transcript_file.readable(document), "utf-8", "backslashreplace")
    (folder / "agent.json").write_text(json.dumps(_agent(host, found, seed), indent=1) + "\n")
    stderr = b"".join(b"==> pid %d <==\n%s\n" % (facts.pid, facts.stderr) for facts in found.processes)
    (folder / "stderr.txt").write_bytes(stderr)
    for name, content in found.papers.items():
        (folder / name).write_bytes(content)
    if result.outcome == Outcome.TIMEOUT:
        (folder / "threads.txt").write_text(found.threads or "no process of the agent's is known here\n")
    return result.evidence
