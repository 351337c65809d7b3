"""`conform list`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from guestwire.agents import registry
from guestwire.agents.descriptor import Descriptor
from guestwire.judge.verdict import Exit
from guestwire.report import safe

HELP = "list the agents that have a descriptor"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = "Agents that `conform run NAME` takes, in the order in which a name is looked for."
    parser.epilog = f"looked for: built-in, {', '.join(f'{path}/*.toml and /*/agent.toml' for path in _outside())}"


def _outside() -> tuple[Path, ...]:
    return registry.folders()[1:]


def _where(found: Descriptor) -> str:
    return "built-in" if found.path.parent == registry.BUILT_IN else str(found.path)


def main(options: argparse.Namespace) -> int:  # noqa: ARG001
    """One agent a line: name, where it is from, how it is reached, what it lacks, why it cannot be started."""
    found = registry.find()
    width = max(map(len, found.agents), default=0)
    places = {name: safe.line(_where(agent)) for name, agent in found.agents.items()}
    for name, agent in found.agents.items():
        notes = [agent.connect or ",".join(agent.transports)]
        notes += [f"lacks {len(agent.lacks)} checks"] if agent.lacks else []
        notes += [agent.missing] if agent.missing else []
        place = f"{places[name]:{max(map(len, places.values()))}}"
        print(f"{name:{width}}  {place}  {safe.line('; '.join(notes))}")
    for line in [*(warning for lines in found.warnings.values() for warning in lines), *found.mistakes]:
        print(safe.line(line), file=sys.stderr)
    return Exit.USAGE if found.mistakes else Exit.GREEN
