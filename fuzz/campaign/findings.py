"""From what processes left behind to findings: one for each defect, minimised, under a name that says what broke."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from campaign import libfuzzer, stack
from campaign.child import Children
from campaign.places import Places, shown
from campaign.worker import Found

MINIMISE = 30  # seconds at most for each finding
AS_FOUND = stack.WHEREVER  # each try at a smaller input would take until the limit


@dataclass
class Finding:
    """A defect. `path` is a ready regression file, below build/fuzz/findings/TARGET/."""

    target: str
    broken: stack.Broken
    path: Path
    size: int
    original: int  # bytes of the input as it was found
    times: int
    repeats: bool  # the target fails when it is given nothing but this file
    program: Path

    def replay(self) -> str:
        """The command that replays it."""
        return f"{shown(self.program)} {shown(self.path)}"

    def keep(self) -> str:
        """The command that makes it a regression."""
        folder = f"fuzz/regressions/{self.target}"
        return f"mkdir -p {folder} && cp {shown(self.path)} {folder}/"


def collect(places: Places, found: Iterable[Found], minimise: int, children: Children) -> list[Finding]:
    """One for each defect (the smallest input), written below findings/. `minimise`: for so many seconds each, at most MINIMISE;
    with 0 nothing is run any more. Raises Stopped."""
    groups: dict[tuple[str, str], list[Found]] = {}
    for each in found:
        groups.setdefault((each.target, each.broken.key), []).append(each)
    return [_finding(places, group, minimise, children) for group in groups.values()]


def _finding(places: Places, group: list[Found], minimise: int, children: Children) -> Finding:
    first = min(group, key=lambda each: each.artifact.stat().st_size)
    original = first.artifact.stat().st_size
    program, smallest = places.program(first.target), first.artifact
    if minimise and first.broken.kind not in AS_FOUND:
        smallest = _minimised(program, first, min(minimise, MINIMISE), children)
    path = _place(places.findings(first.target), first.broken)
    shutil.copyfile(smallest, path)
    log = path.with_name(f"{path.name}.log")
    log.write_text("\n".join([first.broken.key, *first.log]) + "\n", encoding="utf-8")
    repeats = not minimise or alone(program, path, children) is not None
    return Finding(first.target, first.broken, path, path.stat().st_size, original, len(group), repeats, program)


def _place(folder: Path, broken: stack.Broken) -> Path:
    """Where a finding goes: where the same one went before, else where none has been."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (broken.name if number == 1 else f"{broken.name}-{number}")
        log = path.with_name(f"{path.name}.log")
        if not path.exists() or (log.exists() and log.read_text(encoding="utf-8").split("\n", 1)[0] == broken.key):
            return path
        number += 1


def _minimised(program: Path, first: Found, seconds: int, children: Children) -> Path:
    """A smaller input with the same defect, else the one that was found."""
    with tempfile.TemporaryDirectory(dir=first.artifact.parent) as folder:
        made = Path(folder, "minimised")
        options = ["-minimize_crash=1", f"-max_total_time={seconds}", f"-exact_artifact_path={made}"]
        options += [f"-artifact_prefix={folder}/"]
        children.run([str(program), *options, str(first.artifact)], seconds + 60)
        if made.exists() and made.stat().st_size < first.artifact.stat().st_size:
            broken = alone(program, made, children)
            if broken is not None and broken.key == first.broken.key:
                kept = first.artifact.with_name(f"minimised-{first.artifact.name}")
                made.replace(kept)
                return kept
    return first.artifact


def alone(program: Path, path: Path, children: Children) -> stack.Broken | None:
    """What breaks when the target is given nothing but this file. Raises Stopped."""
    limits = [f"-timeout={libfuzzer.TIMEOUT}", f"-rss_limit_mb={libfuzzer.MEMORY}"]
    status, lines = children.run([str(program), *limits, str(path)], libfuzzer.TIMEOUT * 3 + 60)
    return stack.read(lines) if status != 0 else None
