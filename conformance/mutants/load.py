"""The catalogue of mutants: catalogue/*.toml, one table for each; those of bridges and gates are in catalogue_bridge/ and
catalogue_ready/.

    [length-little-endian]             # the id, permanent
    breaks = ["FRAME-HEADER"]          # checks of the ledger that it breaks; each is proved by one of `kills`
    why = "the length is little-endian"
    replace = [["old", "new"], ...]    # each old text stands exactly once in the oracle: oracle/agent.py
    kills = ["FRAME-HEADER"]           # cases that fail on it, without transport; * stands for anything, and all of it fails
    also = ["RUN-*"]                   # other cases that fail, reviewed; of a pattern, when all are run, at least one does
    outcomes = ["FAIL"]                # what counts as a kill; TIMEOUT and CRASH only where that is the point
    starts = true                      # false only where ping itself is the subject
    source = "oracle"                  # or, of an agent, "agent": replace = [["agent/guest/x.c", "old", "new"], ...]
    same_as = ""                       # why another mutant may be killed by the very same cases

A case with a chunking is meant as `whole` where its name does not say so.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire.drive.conversation import CHUNKINGS
from guestwire.judge import ledger
from guestwire.judge.contract import AGENT
from guestwire.judge.outcome import Outcome

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CATALOGUE = AGENT.catalogue
EXEMPT = AGENT.exempt
DEFAULTS: dict[str, Any] = {"also": [], "outcomes": ["FAIL"], "starts": True, "source": "oracle", "same_as": ""}
NEEDED = ("breaks", "why", "replace", "kills")
OUTCOMES = {Outcome.FAIL.value, Outcome.TIMEOUT.value, Outcome.CRASH.value}


class CatalogueError(Exception):
    """A catalogue file is wrong: a bug of the harness."""


@dataclass(frozen=True)
class Mutant:
    """One broken agent; the fields are the catalogue's."""

    id: str
    breaks: tuple[str, ...]
    why: str
    replace: tuple[tuple[str, ...], ...]
    kills: tuple[str, ...]
    also: tuple[str, ...]
    outcomes: frozenset[str]
    starts: bool
    source: str
    same_as: str


@dataclass(frozen=True)
class Exempt:
    """Checks that no agent can break on purpose here, and cases that no mutant can kill, each with its reason."""

    checks: dict[str, str]
    cases: dict[str, str]


def plain(case: str) -> str:
    """A case's id as the catalogue writes it: without the chunking `whole`."""
    return case.removesuffix(f":{CHUNKINGS[0]}")


def unchunked(case: str) -> str:
    """A case's id without its chunking, whichever."""
    head, _, last = case.rpartition(":")
    return head if last in CHUNKINGS else case


def matches(pattern: str, case: str) -> bool:
    """Whether a name of the catalogue means this case."""
    return _compiled(plain(pattern)).fullmatch(plain(case)) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def is_pattern(name: str) -> bool:
    return "*" in name


def catalogue(folder: Path = CATALOGUE) -> dict[str, Mutant]:
    """All mutants by id, in the files' order. Raises CatalogueError."""
    found: dict[str, Mutant] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise CatalogueError(f"{path.name}: {error}") from None
        for identity, fields in tables.items():
            if identity in found:
                raise CatalogueError(f"{path.name}: a second mutant {identity}")
            found[identity] = _mutant(identity, fields)
    return found


def exempt(path: Path = EXEMPT) -> Exempt:
    """The reviewed lists. Raises CatalogueError."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    for name in tables.get("checks", {}):
        _check(name, path.name)
    return Exempt(tables.get("checks", {}), tables.get("cases", {}))


def _mutant(identity: str, fields: Any) -> Mutant:
    def wrong(what: str) -> CatalogueError:
        return CatalogueError(f"mutant {identity}: {what}")

    if not isinstance(fields, dict) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", identity):
        raise wrong("an id of a-z, 0-9 and single hyphens, and a table are wanted")
    unknown = set(fields) - {*NEEDED, *DEFAULTS}
    missing = [name for name in NEEDED if not fields.get(name)]
    if unknown or missing:
        raise wrong(f"unknown fields {sorted(unknown)}, missing ones {missing}")
    fields = DEFAULTS | fields
    length = {"oracle": 2, "agent": 3}.get(fields["source"])
    if length is None:
        raise wrong(f'source {fields["source"]!r}; "oracle" and "agent" are accepted')
    if any(len(texts) != length or not all(isinstance(text, str) for text in texts) for texts in fields["replace"]):
        raise wrong(f"a replacement has {length} texts")
    if not set(fields["outcomes"]) <= OUTCOMES or not fields["outcomes"]:
        raise wrong(f"outcomes {fields['outcomes']}; accepted: {sorted(OUTCOMES)}")
    for name in fields["breaks"]:
        _check(name, f"mutant {identity}")
    return Mutant(
        identity,
        tuple(fields["breaks"]),
        fields["why"],
        tuple(tuple(texts) for texts in fields["replace"]),
        tuple(fields["kills"]),
        tuple(fields["also"]),
        frozenset(fields["outcomes"]),
        fields["starts"],
        fields["source"],
        fields["same_as"],
    )


def _check(name: str, where: str) -> None:
    try:
        ledger.check(name)
    except ledger.LedgerError as error:
        raise CatalogueError(f"{where}: {error}") from None


def declared(names: Iterable[str], cases: Iterable[str]) -> dict[str, list[str]]:
    """For each name of the catalogue the cases that it means."""
    known = list(cases)
    return {name: [case for case in known if matches(name, case)] for name in names}
