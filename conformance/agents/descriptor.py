"""A descriptor: one TOML file that says how an agent is reached, what it lacks and how long it waits.

Reading is strict: every mistake is told, in one line each. `conform init` writes a descriptor with every key explained.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from guestwire.drive.connectable import Timers, UsageError
from guestwire.judge import ledger
from guestwire.judge.contract import AGENT, CONTRACTS, Contract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
OPERATIONS = {"run": "RUN-", "put_file": "PUT-", "get_file": "GET-"}  # and how the clauses of each begin
LONGEST = 86_400  # seconds of a timer: some cases wait it out
LINKS = ("home", "source", "documentation", "issues")


@dataclass(frozen=True)
class Descriptor:
    """A descriptor that was read without a mistake. Either `command`, in which {listen} stands for what to listen on (other
    contracts have other words), or `connect`, the connectable of an agent that runs already."""

    name: str
    path: Path
    command: tuple[str, ...] = ()
    connect: str = ""
    build: str = ""  # how to get a program that is not there
    environment: tuple[tuple[str, str], ...] = ()
    transports: tuple[str, ...] = AGENT.transports
    contract: Contract = AGENT
    operations: frozenset[str] = frozenset()  # lacked
    lacks: frozenset[str] = frozenset()  # ids of checks, those of lacked operations and clauses included
    timers: Timers = field(default_factory=Timers)
    links: tuple[tuple[str, str], ...] = ()

    @property
    def missing(self) -> str:
        """Why the program cannot be started, "" if it seems it can."""
        if not self.command or shutil.which(self.command[0]) is not None:
            return ""
        state = "not executable" if Path(self.command[0]).is_file() else "no such program"
        return f"{state}: {self.command[0]}" + (f" ({self.build})" if self.build else "")


@dataclass
class _Reader:
    """One table of the file and what is wrong with it."""

    where: str
    table: dict[str, Any]
    mistakes: list[str]
    known: list[str] = field(default_factory=list)

    def wrong(self, text: str) -> None:
        self.mistakes.append(f"{self.where}{text}")

    def get(self, key: str, kind: type, what: str, default: Any) -> Any:
        """The value of a key, or the default where it is absent or of the wrong type."""
        self.known.append(key)
        value = self.table.get(key, default)
        if key in self.table and (type(value) is not kind or value == kind()):
            self.wrong(f"{key}: {value!r} is not {what}")
            return default
        return value

    def words(self, key: str, accepted: Callable[[str], bool], hint: str) -> list[str]:
        """A list of strings, each of them accepted."""
        found: list[Any] = self.get(key, list, "a list that is not empty", [])
        for word in found:
            if not isinstance(word, str) or not accepted(word):
                self.wrong(f"{key}: unknown {word!r}; {hint}")
        if len({repr(word) for word in found}) != len(found):
            self.wrong(f"{key}: something is named twice")
        return [word for word in found if isinstance(word, str) and accepted(word)]

    def sub(self, key: str) -> _Reader:
        """A table inside this one."""
        self.known.append(key)
        value = self.table.get(key, {})
        if not isinstance(value, dict):
            self.wrong(f"{key}: {value!r} is not a table")
            value = {}
        return _Reader(f"{self.where}[{key}] ", value, self.mistakes)

    def end(self) -> None:
        """Nothing but what was asked for may be in the table."""
        for key in self.table:
            if key not in self.known:
                self.wrong(f"unknown key {key!r}; accepted: {', '.join(self.known)}")


def _command(top: _Reader, here: Path, contract: Contract) -> tuple[str, ...]:
    """The words of the template; the program as a path, or as a name to be found on PATH."""
    text: str = top.get("command", str, "a command", "")
    try:
        words = shlex.split(text)
    except ValueError as error:
        top.wrong(f"command: {error}")
        return ()
    if not words:
        return ()
    accepted = [f"{{{name}}}" for group in contract.placeholders for name in group] + ["{here}"]
    for name in re.findall(r"\{[a-z_]*\}", text):
        if name not in accepted:
            top.wrong(f"command: unknown {name}; accepted: {', '.join(accepted)}")
    _placed(top, words, contract)
    words = [word.replace("{here}", str(here)) for word in words]
    program = str((here / words[0]).resolve()) if "/" in words[0] else shutil.which(words[0]) or words[0]
    return (program, *words[1:])


def _placed(top: _Reader, words: list[str], contract: Contract) -> None:
    """Each of the contract's placeholders stands there once, or (but for an agent) none of them does."""
    counts = [sum(word.count(f"{{{name}}}") for word in words for name in group) for group in contract.placeholders]
    if contract is AGENT and counts != [1]:
        top.wrong("command: {listen} has to stand in it once, where the agent is told what to listen on")
    elif contract is not AGENT and any(counts) and set(counts) != {1}:
        each = ", ".join(" or ".join(f"{{{name}}}" for name in group) for group in contract.placeholders)
        top.wrong(f"command: either each of {each} has to stand in it once, or none of them")


def _contract(top: _Reader) -> Contract:
    name: str = top.get("contract", str, "a contract", AGENT.name)
    if name not in CONTRACTS:
        top.wrong(f"contract: unknown {name!r}; accepted: {', '.join(CONTRACTS)}")
    return CONTRACTS.get(name, AGENT)


def _lacks(top: _Reader, contract: Contract) -> tuple[frozenset[str], frozenset[str]]:
    """(operations, ids of checks)."""
    lacks = top.sub("lacks")
    judged = {name: clause for name, clause in ledger.clauses(contract).items() if not name.startswith("HOST-")}
    checks = {check.id for clause in judged.values() for check in clause.checks}
    of_one = f"{'an' if contract is AGENT else 'a'} {contract.noun}"
    listed = "`conform clauses` lists them; HOST- ones are not an agent's"
    if contract is not AGENT:
        listed = f"`conform clauses --contract {contract.name}` lists them"
    operations = []
    if contract is AGENT:
        operations = lacks.words(
            "operations", OPERATIONS.__contains__, f"accepted: {', '.join(OPERATIONS)}; every agent answers ping"
        )
    clauses = lacks.words("clauses", judged.__contains__, f"no clause of {of_one}: {listed}")
    single = lacks.words("checks", checks.__contains__, f"no check of {of_one}: {listed}")
    lacks.end()
    clauses += [name for name in judged if any(name.startswith(OPERATIONS[word]) for word in operations)]
    found = {*single, *(check.id for name in clauses for check in judged[name].checks)}
    return frozenset(operations), frozenset(found)


def _timers(top: _Reader) -> Timers:
    table = top.sub("timers")
    given = {}
    for timer in fields(Timers):
        table.known.append(timer.name)
        value = table.table.get(timer.name)
        if value is None:
            continue
        if type(value) not in (int, float) or not 0 < value <= LONGEST:
            table.wrong(f"{timer.name}: {value!r} is not a number of seconds over 0, {LONGEST} at most")
            continue
        given[timer.name] = float(value)
    table.end()
    return Timers(**given)


def _strings(table: _Reader, accepted: Callable[[str], bool], hint: str) -> tuple[tuple[str, str], ...]:
    """A table of strings under free, but accepted, names."""
    found = []
    for key, value in table.table.items():
        if not accepted(key):
            table.wrong(f"unknown key {key!r}; {hint}")
        elif not isinstance(value, str) or "\0" in value:
            table.wrong(f"{key}: {value!r} is not a string")
        else:
            found.append((key, value))
    return tuple(found)


def parse(text: str, path: Path) -> Descriptor:
    """The descriptor that stands in `text`, read from `path`. Raises UsageError, with one line for each mistake."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None
    mistakes: list[str] = []
    top = _Reader(f"{path}: ", table, mistakes)
    name: str = top.get("name", str, "a name", "")
    if not NAME.fullmatch(name):
        top.wrong(f"name: {name!r} is no name; accepted: a-z, 0-9, and after the first of them also . _ -")
    contract = _contract(top)
    command = _command(top, path.resolve().parent, contract)
    connect: str = top.get("connect", str, "a connectable", "")
    if ("command" in table) == ("connect" in table):
        top.wrong("either command (a program to be started) or connect (an agent that runs already) has to be there")
    if connect and contract is not AGENT:
        top.wrong(f"connect: a {contract.noun} is started by the harness: give command")
    if connect.startswith(("exec:", "descriptor:")) or (connect and ":" not in connect):
        top.wrong(f"connect: {connect!r} is no agent that runs already; accepted: unix:, tcp:, vsock:, hybrid:")
    transports = top.words(
        "transports", contract.transports.__contains__, f"accepted: {', '.join(contract.transports)}"
    )
    if connect and transports:
        top.wrong("transports: an agent that runs already has the one it is reached by")
    operations, lacks = _lacks(top, contract)
    made = Descriptor(
        name, path, command, connect,
        build=top.get("build", str, "a text", ""),
        environment=_strings(top.sub("environment"), lambda key: key != "" and not {"=", "\0"} & set(key), "no = in it"),
        transports=tuple(transports) or contract.transports, contract=contract,
        operations=operations, lacks=lacks, timers=_timers(top) if contract is AGENT else Timers(),
        links=_strings(top.sub("links"), LINKS.__contains__, f"accepted: {', '.join(LINKS)}"),
    )  # fmt: skip
    top.end()
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return made


def read(path: Path) -> Descriptor:
    """The descriptor at `path`. Raises UsageError."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
