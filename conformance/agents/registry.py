"""Where descriptors are found: the built-in ones first, then the person's, then the machine's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from guestwire.agents import descriptor
from guestwire.agents.descriptor import Descriptor
from guestwire.drive.connectable import FORMS, UsageError

BUILT_IN = Path(__file__).resolve().parent
MACHINE = Path("/usr/local/libexec/guestwire/agents")


def folders() -> tuple[Path, ...]:
    """In the order in which a name is looked for."""
    data = os.environ.get("XDG_DATA_HOME", "")
    person = Path(data) if os.path.isabs(data) else Path.home() / ".local/share"  # a relative one is to be ignored
    return (BUILT_IN, person / "guestwire/agents", MACHINE)


@dataclass
class Found:
    """Every agent by name; what is wrong with some files; what was passed over."""

    agents: dict[str, Descriptor] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)  # by name


def _files(folder: Path) -> Iterator[Path]:
    """NAME.toml and NAME/agent.toml."""
    yield from sorted([*folder.glob("*.toml"), *folder.glob("*/agent.toml")])


def find() -> Found:
    """All descriptors. A file with mistakes keeps no other from being found."""
    found = Found()
    for folder in folders():
        for path in _files(folder):
            try:
                read = descriptor.read(path)
            except UsageError as error:
                found.mistakes += str(error).splitlines()
                continue
            first = found.agents.setdefault(read.name, read)
            if first is not read:
                kind = "the built-in one" if first.path.parent == BUILT_IN else str(first.path)
                warning = f"warning: {path} is not used: the name {read.name!r} stands for {kind}"
                found.warnings.setdefault(read.name, []).append(warning)
    return found


def named(name: str) -> tuple[Descriptor, tuple[str, ...]]:
    """The agent of that name, and what to warn of. Raises UsageError."""
    found = find()
    if name not in found.agents:
        here = ", ".join(found.agents) or "none"
        beside = f" ({'; '.join(found.mistakes)})" if found.mistakes else ""
        raise UsageError(f"{name!r} is no agent that `conform list` shows: {here}{beside}; accepted too: {FORMS}")
    return found.agents[name], tuple(found.warnings.get(name, ()))
