"""The ledger: every check the contract makes, read from spec/clauses.toml."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SPEC = Path(__file__).resolve().parent.parent / "spec"


class LedgerError(Exception):
    """clauses.toml, or a case's use of it, is wrong: a bug of the harness."""


@dataclass(frozen=True)
class Check:
    """One demand. `id` is CLAUSE or CLAUSE/name; `pending` names the issue that will prove it."""

    id: str
    clause: str
    level: str
    text: str
    pending: str = ""
    tags: tuple[str, ...] = ()


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
    unknown = set(fields) - {"text", "pending", "tags"}
    if unknown or "text" not in fields:
        raise LedgerError(f"{clause}/{name}: a check has text, pending and tags, not {sorted(unknown)}")
    identity = f"{clause}/{name}" if name else clause
    return Check(identity, clause, level, fields["text"], fields.get("pending", ""), tuple(fields.get("tags", ())))


@cache
def clauses() -> dict[str, Clause]:
    """All clauses by id, in the contract's order."""
    found: dict[str, Clause] = {}
    for clause, entry in tomllib.loads((SPEC / "clauses.toml").read_text()).items():
        level, text, excluded = entry["level"], entry["text"], entry.get("excluded", "")
        if level not in ("MUST", "SHOULD"):
            raise LedgerError(f"{clause}: level {level!r}")
        named = entry.get("checks", {})
        checks = [_check(clause, level, name, value) for name, value in named.items()]
        if not named and not excluded:
            checks = [_check(clause, level, "", text)]
        found[clause] = Clause(clause, level, text, tuple(checks), excluded)
    return found


@cache
def checks() -> dict[str, Check]:
    """All checks by id, in the contract's order."""
    return {check.id: check for clause in clauses().values() for check in clause.checks}


def check(identity: str) -> Check:
    """The check of that id. Raises LedgerError for an unknown one."""
    try:
        return checks()[identity]
    except KeyError:
        raise LedgerError(f"unknown check {identity!r}") from None
