"""The ledgers: every check that a contract makes, read from spec/*.toml. What names no contract is about the agent's."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from guestwire.judge.contract import AGENT, CONTRACTS, GUEST_KINDS, Contract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TAGS = (
    "native-memory",  # exempt under AddressSanitizer, whose own memory it would measure
    "guest",  # proved in a guest only
    "local",  # on this machine's own transports only: what it is about is not there in a guest, or as good as the same
)


class LedgerError(Exception):
    """A ledger, or a case's use of it, is wrong: a bug of the harness."""


@dataclass(frozen=True)
class Check:
    """One demand. `id` is CLAUSE or CLAUSE/name; `pending` names the issue that will prove it."""

    id: str
    clause: str
    level: str
    text: str
    pending: str = ""
    tags: tuple[str, ...] = ()

    def is_asked_on(self, transports: Collection[str]) -> bool:
        """Whether an agent on these transports has to have it proved: some is proved in guests only, some outside."""
        outside = set(transports) - set(GUEST_KINDS)
        if "guest" in self.tags:
            return len(outside) < len(transports)
        return "local" not in self.tags or bool(outside)


@dataclass(frozen=True)
class Clause:
    """One row of the contract."""

    id: str
    level: str
    text: str
    checks: tuple[Check, ...]
    excluded: str = ""


def _check(clause: str, level: str, name: str, entry: Any) -> Check:
    fields = entry if isinstance(entry, dict) else {"text": entry}
    identity = f"{clause}/{name}" if name else clause
    unknown = set(fields) - {"text", "pending", "tags"} | set(fields.get("tags", ())) - set(TAGS)
    if unknown or not fields.get("text"):
        raise LedgerError(f"{identity}: a check has a text, may have pending and tags, and no {sorted(unknown)}")
    return Check(identity, clause, level, fields["text"], fields.get("pending", ""), tuple(fields.get("tags", ())))


def _clause(identity: str, entry: dict[str, Any]) -> Clause:
    unknown = set(entry) - {"level", "text", "excluded", "checks"}
    if unknown or not entry.get("text"):
        raise LedgerError(
            f"{identity}: a clause has a level, a text, may have excluded or checks, and no {sorted(unknown)}"
        )
    level, text, excluded = entry.get("level"), entry["text"], entry.get("excluded", "")
    if level not in ("MUST", "SHOULD"):
        raise LedgerError(f"{identity}: level {level!r}")
    named = entry.get("checks", {})
    if excluded and named:
        raise LedgerError(f"{identity}: an excluded clause has no checks")
    checks = [_check(identity, level, name, value) for name, value in named.items()]
    if not named and not excluded:
        checks = [_check(identity, level, "", text)]
    return Clause(identity, level, text, tuple(checks), excluded)


def parse(text: str) -> dict[str, Clause]:
    """The clauses of a ledger by id. Raises LedgerError for what a ledger does not have."""
    return {identity: _clause(identity, entry) for identity, entry in tomllib.loads(text).items()}


@cache
def clauses(of: Contract = AGENT) -> dict[str, Clause]:
    """All clauses of a contract by id, in its order."""
    found = parse(of.ledger.read_text(encoding="utf-8"))
    if of.whole_in_guest:
        return found
    return {name: replace(clause, checks=tuple(map(_outside_a_guest, clause.checks))) for name, clause in found.items()}


def _outside_a_guest(check: Check) -> Check:
    return check if "guest" in check.tags else replace(check, tags=(*check.tags, "local"))


@cache
def contract(of: Contract = AGENT) -> dict[str, tuple[str, str]]:
    """(level, whole text) of every clause in the contract itself, spec/protocol-v1.md say."""
    rows = re.finditer(r"^\| ([A-Z][A-Z-]+) \| (\w+) \| (.+) \|$", of.text.read_text(encoding="utf-8"), re.MULTILINE)
    return {row[1]: (row[2], row[3]) for row in rows}


def strayed(of: Contract = AGENT) -> list[str]:
    """Where the ledger does not say what the contract says; empty if it does."""
    found = [f"{name}: in the contract, not in the ledger" for name in contract(of) if name not in clauses(of)]
    for clause in clauses(of).values():
        level, text = contract(of).get(clause.id, ("", ""))
        if not level:
            found.append(f"{clause.id}: in the ledger, not in the contract")
        elif level != clause.level:
            found.append(f"{clause.id}: {clause.level} in the ledger, {level} in the contract")
        elif clause.text not in text:
            found.append(f"{clause.id}: the ledger's text does not stand in the contract")
    return found


@cache
def checks(of: Contract = AGENT) -> dict[str, Check]:
    """All checks of a contract by id, in its order."""
    return {check.id: check for clause in clauses(of).values() for check in clause.checks}


@cache
def every_clause() -> dict[str, Clause]:
    """The clauses of all contracts by id. Raises LedgerError for one that two contracts have."""
    found: dict[str, Clause] = {}
    for each in CONTRACTS.values():
        if twice := found.keys() & clauses(each).keys():
            raise LedgerError(f"{min(twice)}: two contracts have it")
        found |= clauses(each)
    return found


@cache
def every_check() -> dict[str, Check]:
    """The checks of all contracts by id."""
    return {check.id: check for clause in every_clause().values() for check in clause.checks}


@cache
def contract_of(clause: str) -> Contract:
    """That a clause is of. Raises LedgerError for an unknown one."""
    for each in CONTRACTS.values():
        if clause in clauses(each):
            return each
    raise LedgerError(f"unknown clause {clause!r}")


def check(identity: str) -> Check:
    """The check of that id, whatever contract it is of. Raises LedgerError for an unknown one."""
    found = checks().get(identity) or every_check().get(identity)  # those of agents without reading the others
    if found is None:
        raise LedgerError(f"unknown check {identity!r}")
    return found
