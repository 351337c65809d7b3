"""Reads case files, and refuses what is no case: CaseFileError names file and case in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from guestwire.cases import parts
from guestwire.cases.model import Answer, Conversation, DataCase, Step
from guestwire.spec import generate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent
SCHEMA = Path(generate.__file__).with_name("cases.schema.json")
PRESETS: dict[str, dict[str, Any]] = {"pong": {"members": {"ok": True, "op": "pong"}}, "closed": {"closed": True}}
TRANSPORTS = ("unix", "fd-listen", "fd-conn", "unix-ns")
BODIES = ("payload", "payloads", "steps", "conversations")


class CaseFileError(Exception):
    """A case file is wrong."""


@cache
def _valid() -> Callable[[Any], Any]:
    validate: Callable[[Any], Any] = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return validate


# ---- one case


def _answer(value: Any) -> Answer:
    """An expectation. Raises ValueError for words that contradict each other."""
    fields = dict(PRESETS[value] if isinstance(value, str) else value)
    kinds = [name for name in ("closed", "error", "exit", "members") if name in fields]
    if len(kinds) != 1:
        raise ValueError(
            f"an expectation is one of closed, error, exit and members, not {' and '.join(kinds) or 'none'}"
        )
    if "exit" in fields:
        fields["members"] = {"ok": True, "op": "exit", "exit_code": fields.pop("exit")}
    for name in ("stdout", "stderr", "data"):
        if name in fields:
            fields[name] = parts.payload(fields[name])
    for name in ("members", "shape"):
        fields[name] = tuple(fields.get(name, {}).items())
    either = fields.get("closed") or fields.pop("ended", "eof") == "any"
    fields["ended"] = ("eof", "reset") if either else ("eof",)
    return Answer(**fields)


def _conversation(name: str, steps: list[dict[str, Any]], expect: Any) -> Conversation:
    """Steps with the case's expectation behind them where they have none. Raises ValueError."""
    made = []
    for step in steps:
        ((kind, value),) = step.items()
        made.append(Step(kind, _answer(value) if kind == "expect" else value))
    if made[-1].kind not in ("expect", "close"):
        if expect is None:
            raise ValueError(f"{name or 'the conversation'} ends without expect or close")
        made.append(Step("expect", _answer(expect)))
    if any(step.kind in ("expect", "close") for step in made[:-1]):
        raise ValueError(f"{name or 'the conversation'} goes on after expect or close")
    return Conversation(name, tuple(made))


def _conversations(table: dict[str, Any]) -> tuple[Conversation, ...]:
    bodies = [name for name in BODIES if name in table]
    if len(bodies) != 1:
        raise ValueError(f"one of {', '.join(BODIES)} is needed, found {' and '.join(bodies) or 'none'}")
    body, expect = table[bodies[0]], table.get("expect")
    if bodies[0] in ("payload", "steps"):
        body = {"": body}
    if bodies[0].startswith("payload"):
        body = {name: [{"send": {"json": payload}}] for name, payload in body.items()}
    return tuple(_conversation(name, steps, expect) for name, steps in body.items())


def _case(identity: str, file: str, table: dict[str, Any]) -> DataCase:
    conversations = _conversations(table)
    kinds = {step.kind for conversation in conversations for step in conversation.steps}
    needs = {*table.get("needs", ()), *(["half-close"] if "shutdown" in kinds else [])}
    chunkings = table.get("chunkings", "none")
    for conversation in conversations if chunkings != "none" else ():
        if [step.kind for step in conversation.steps] != ["send", "expect"]:
            raise ValueError(f"with chunkings a conversation is one send and one expect: {conversation.name}")
    refused = [conversation.name for conversation in conversations if conversation.negative]
    apart = table.get("apart", {})
    apart = dict.fromkeys(refused, apart) if isinstance(apart, str) else apart
    if set(apart) - set(refused) or ("apart" in table and not apart):
        raise ValueError(f"apart is about what is refused: {', '.join(refused) or 'nothing here'}")
    return DataCase(
        identity, file, table.get("about", ""), (identity.partition(":")[0], *table.get("checks", ())), table.get("twin", ""),
        tuple(sorted(needs)), tuple(table.get("transports", ())), chunkings, float(table.get("deadline", 20)), conversations,
        tuple(apart.items()),
    )  # fmt: skip


# ---- a file, all files


def parse(text: str, file: str) -> dict[str, DataCase]:
    """The cases of a file's text by id. Raises CaseFileError; twins are check_twins()'s matter."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CaseFileError(f"{file}: no TOML: {error}") from None
    defaults = content.get("defaults", {})
    try:
        _valid()(content)
    except fastjsonschema.JsonSchemaValueException as error:
        where = ": ".join([file, *error.path[1:2]])
        raise CaseFileError(f"{where}: {error.message.replace('data', 'the file', 1)}") from None
    cases = {}
    for identity, table in content.items():
        if identity == "defaults":
            continue
        try:
            cases[identity] = _case(identity, file, defaults | table)
        except ValueError as error:
            raise CaseFileError(f"{file}: {identity}: {error}") from None
    return cases


def check_twins(cases: dict[str, DataCase]) -> None:
    """Every case that is refused names a case (or one conversation of a case, CASE#NAME) that differs in one thing, is not
    refused, and runs wherever it does. Raises CaseFileError."""
    for case in cases.values():
        where = f"{case.file}: {case.id}"
        if not case.negative:
            if case.twin:
                raise CaseFileError(f"{where}: has a twin, but the agent has to refuse nothing")
            continue
        if not case.twin:
            raise CaseFileError(f"{where}: the agent has to refuse it, so it needs a twin that is not refused")
        name, _, part = case.twin.partition("#")
        twin = cases.get(name or case.id)
        found = [c for c in twin.conversations if not part or c.name == part] if twin else []
        if twin is None or not found:
            raise CaseFileError(f"{where}: its twin {case.twin!r} does not exist")
        if any(conversation.negative for conversation in found):
            raise CaseFileError(f"{where}: its twin {case.twin!r} is refused itself")
        missing = set(case.transports or TRANSPORTS) - set(twin.transports or TRANSPORTS)
        if missing or set(twin.needs) - set(case.needs) - {"half-close"}:
            raise CaseFileError(f"{where}: its twin {case.twin!r} does not run everywhere it does")


def load(path: Path) -> dict[str, DataCase]:
    """The cases of a file. Raises CaseFileError."""
    return parse(path.read_text(encoding="utf-8"), path.name)


@cache
def all_cases() -> dict[str, DataCase]:
    """Every case of this folder by id, twins checked. Raises CaseFileError."""
    cases: dict[str, DataCase] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for identity, case in load(path).items():
            if identity in cases:
                raise CaseFileError(f"{path.name}: {identity}: also in {cases[identity].file}")
            cases[identity] = case
    check_twins(cases)
    return cases


@cache
def tables(file: str) -> dict[str, dict[str, bytes]]:
    """The payloads of FILE.toml: case to conversation to payload. For files whose cases send one control frame each time."""
    return {
        case.id: {conversation.name: conversation.payload for conversation in case.conversations}
        for case in load(FOLDER / f"{file}.toml").values()
    }
