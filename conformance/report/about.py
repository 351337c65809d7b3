"""What a report records of the run itself: versions, command, and the agents it judged."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from guestwire import __version__, protocol
from guestwire.drive.connectable import Connectable
from guestwire.report import safe
from guestwire.report.document import Head

_LONGEST = 80  # characters of what stood in KVM's way, in a line


def command() -> str:
    """This process's command line, as one types it."""
    name = Path(sys.argv[0]).stem
    return shlex.join([{"cli": "conform", "__main__": "pytest"}.get(name, name), *sys.argv[1:]])


def program() -> str:
    """How `conform` is started here, as one types it."""
    typed, found = Path(sys.argv[0]), shutil.which("conform")
    if typed.name != "conform" or (found and os.path.realpath(found) == os.path.realpath(typed)):
        return "conform"
    short = os.path.relpath(typed)
    return shlex.quote(str(typed) if short.startswith("..") else short)


def sha256(agent: Connectable) -> str:
    """Of the agent's program, "" where it cannot be read or runs elsewhere."""
    try:
        return hashlib.sha256(Path(agent.program).read_bytes()).hexdigest() if agent.program else ""
    except OSError:
        return ""


def guest(facts: Mapping[str, Any]) -> str:
    """A guest in words; `facts`: see `guest` in spec/report.schema.json."""
    why = f": {safe.cut(facts['why_not_kvm'], _LONGEST)}" if "why_not_kvm" in facts else ""
    cost = ""
    if "rss_kib" in facts:
        cost = (
            f", {facts['agent_seconds']:.2f} s of it the agent's; idle, it holds {facts['rss_kib']} KiB (RSS), "
            f"{facts['pss_kib']} KiB (PSS)"
        )
    return (
        f"{facts['level']}: a guest of {facts['memory_mib']} MiB on QEMU ({facts['arch']}, {facts['accelerator']}{why}), "
        f"Linux {facts['kernel']}; {facts['boot_seconds']:.1f} s from QEMU's start to the first answered ping{cost}"
    )


def head(
    rows: list[tuple[Connectable, str]],
    agent_versions: Mapping[str, str],
    started: float,
    guests: Mapping[str, dict[str, Any]],
    **run: Any,
) -> Head:
    """The head of the report of a run that began at `started` (seconds since the epoch) and ends now. `guests`: those that it
    has booted, by connectable. `run` holds strict, filtered, narrowed, shard and seed."""
    return Head(
        versions={
            "harness": __version__,
            "protocol": protocol.PROTOCOL_VERSION,
            "python": platform.python_version(),
        },
        run={
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(max(time.time() - started, 0), 3),
            "command": command(),
            **run,
        },
        agents=[
            _agent(agent, agent_versions.get(agent.label, ""))
            | ({"guest": guests[agent.text]} if agent.text in guests else {})
            for agent in unique(rows)
        ],
        rows=[(agent.label, transport) for agent, transport in rows],
    )


def _agent(agent: Connectable, version: str) -> dict[str, Any]:
    return {
        "label": agent.label,
        "connectable": agent.text,
        "sha256": sha256(agent),
        "agent_version": version,
        "sanitized": agent.sanitized,
        "lacks": sorted(agent.lacks),
    }


def unique(rows: Iterable[tuple[Connectable, str]]) -> list[Connectable]:
    """The agents of these rows, each once, in their order."""
    return list({agent: None for agent, _ in rows})
