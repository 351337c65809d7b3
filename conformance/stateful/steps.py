"""What hosts can do, as data: one Step is one thing that one host does. Files of steps are TOML, for any language to read."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from guestwire.drive.connectable import UsageError
from guestwire.judge import ledger

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = "guestwire-steps"
FORMAT_VERSION = 1
SLOTS = 2  # --max-requests of the agents that steps are played on, so that waiting one's turn is common
LONG = 30.0  # seconds; --request-timeout, --io-timeout and --linger-timeout of theirs: none passes in an example without a stall
VERBS = {  # verb: the fields it takes beside `do`
    "open": ("host", "ask", "to", "size"),  # connect, with that request in mind; nothing is sent
    "send": (
        "host",
        "bytes",
        "data",
    ),  # `bytes` more of the request but never its last one; all the rest without `bytes`,
    #                                     followed in the same write by a DATA frame of `data` bytes
    "data": (
        "host",
        "size",
        "bytes",
    ),  # a DATA frame of `size` bytes; with `bytes` only so many bytes of what is due go out
    "eof": ("host",),  # an EOF frame
    "stray": ("host",),  # a frame that belongs in no upload
    "half-close": ("host",),
    "close": ("host",),
    "release": ("host",),  # let the host's command, which waits for this, go on
    "read": ("host",),  # read a long response that was left unread, to its end
    "wait": (),  # until every command with a deadline has met it
    "stall": (),  # nobody says a word until the timeouts have passed
    "burst": ("size",),  # so many hosts at once each run a command that exits with a status of its own
}


def options(seconds: float) -> tuple[str, ...]:
    """The command line of an agent whose timeouts are that long."""
    timeouts = [word for name in ("request", "io", "linger") for word in (f"--{name}-timeout", f"{seconds:g}")]
    return ("--max-requests", str(SLOTS), *timeouts)


@dataclass(frozen=True)
class Step:
    """`host` counts from 1 in the order of opening. Numbers that a verb does not take are 0."""

    do: str
    host: int = 0
    ask: str = ""
    to: str = ""
    size: int = 0
    bytes: int = 0
    data: int = 0

    def table(self) -> dict[str, Any]:
        """The fields that say something."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) not in ("", 0)}

    def __str__(self) -> str:
        return " ".join([self.do, *(f"{name}={value}" for name, value in self.table().items() if name != "do")])


def stalls(steps: list[Step]) -> bool:
    """Whether timeouts pass in them."""
    return any(step.do == "stall" for step in steps)


@dataclass
class Recording:
    """Steps with what came of them. `outcomes` maps a host to what it got (player.normalise), `files` a name to [mode,
    content]."""

    title: str
    checks: list[str]
    steps: list[Step]
    outcomes: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The timeouts of an agent that is to replay it, however busy the machine is."""
        return 4.0 if stalls(self.steps) else LONG

    def text(self) -> str:
        """As TOML."""
        lines = [f"format = {_toml(FORMAT)}", f"format_version = {FORMAT_VERSION}", f"title = {_toml(self.title)}"]
        lines += [f"checks = {_toml(self.checks)}"]
        for step in self.steps:
            lines += ["", "[[step]]", *_members(step.table())]
        for host, outcome in sorted(self.outcomes.items()):
            lines += ["", "[[outcome]]", f"host = {host}", *_members(outcome)]
        for name, (mode, content) in sorted(self.files.items()):
            lines += ["", "[[file]]", *_members({"name": name, "mode": mode, "content": content})]
        return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A string, number, boolean or list; JSON's way of writing them is TOML's too, but quotes read better in a literal string."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str) and '"' in value and value.isprintable() and "'" not in value:
        return f"'{value}'"
    return json.dumps(value).replace("\x7f", "\\u007f")


def _members(table: dict[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in table.items()]


def load(path: Path) -> Recording:
    """Read a file of steps. Raises UsageError with one line for a file that is none."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _recording(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError, ledger.LedgerError) as error:
        raise UsageError(f"{path}: not a file of steps: {' '.join(str(error).split())}") from None


def _recording(content: dict[str, Any]) -> Recording:
    if content.get("format") != FORMAT or content.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"format is not {FORMAT!r} version {FORMAT_VERSION}")
    for name in content["checks"]:
        ledger.check(name)
    if not content["checks"] or not content["step"]:
        raise ValueError("it names no check, or holds no step")
    outcomes = {table.pop("host"): table for table in content.get("outcome", [])}
    files = {table["name"]: [table["mode"], table["content"]] for table in content.get("file", [])}
    return Recording(content["title"], content["checks"], [_step(table) for table in content["step"]], outcomes, files)


def _step(table: dict[str, Any]) -> Step:
    if table.get("do") not in VERBS:
        raise ValueError(f"unknown verb {table.get('do')!r}; known: {', '.join(VERBS)}")
    for name, value in table.items():
        if name != "do" and name not in VERBS[table["do"]]:
            raise ValueError(f"{table['do']!r} takes no {name!r}")
        wanted = str if name in ("do", "ask", "to") else int
        if type(value) is not wanted:
            raise ValueError(f"{name!r} of {table['do']!r} is no {wanted.__name__}")
    return Step(**table)
