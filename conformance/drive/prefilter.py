"""What a narrow run need not collect: modules and functions of the suite none of whose cases can be asked for.

A shortcut and no more. What it lets through is selected by drive/selection.py, case by case; whole runs do not pass here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from guestwire.drive import selection
from guestwire.judge.case import Case
from guestwire.judge.contract import AGENT, CONTRACTS

CONFORMANCE = Path(__file__).resolve().parent.parent
SUITE = AGENT.suite
SUITES = {contract.suite for contract in CONTRACTS.values()}
DATA = {"test_data": "*.toml", "test_7_stateful": "stateful/*.toml"}  # modules whose cases are in files below cases/
NAME = re.compile(r"[A-Z][A-Z-]*(?:/[a-z0-9_-]+)?")  # of a clause or a check
DECLARED = re.compile(r"^(?:\[|checks ).*", re.MULTILINE)  # the lines of such a file that name checks


@dataclass(frozen=True)
class Wanted:
    """Cases whose first check is one of `first`, and those with a check of one of `clauses`."""

    first: frozenset[str] = frozenset()
    clauses: frozenset[str] = frozenset()

    def has(self, case: Case) -> bool:
        """Whether a case of this declaration can be asked for."""
        return case.checks[0] in self.first or any(name.partition("/")[0] in self.clauses for name in case.checks)

    def within(self, names: frozenset[str]) -> bool:
        """The same of a module that names these clauses and checks."""
        return bool(self.first & names) or any(name.partition("/")[0] in self.clauses for name in names)


WANTED = pytest.StashKey[list[Wanted]]()


def wanted(config: pytest.Config) -> list[Wanted]:
    """What the options ask for: a case has to be in each of these."""
    if WANTED not in config.stash:
        config.stash[WANTED] = list(_wanted(config))
    return config.stash[WANTED]


def _wanted(config: pytest.Config) -> Iterable[Wanted]:
    if config.getoption("selection"):
        named = json.loads(Path(config.getoption("selection")).read_text(encoding="utf-8"))
        yield Wanted(first=_first(identity for ids in named.values() for identity in ids))
    if selection.FAILED in config.stash:
        yield Wanted(first=_first(identity for _, identity in config.stash[selection.FAILED]))
    elif config.getoption("clause") or config.getoption("case_ids"):
        yield Wanted(_first(config.getoption("case_ids")), frozenset(config.getoption("clause")))


def _first(identities: Iterable[str]) -> frozenset[str]:
    """The checks that the ids of cases begin with."""
    return frozenset(re.split("[:@]", identity)[0] for identity in identities)


@cache
def names(module: Path) -> frozenset[str]:
    """At least every clause and check that the module's cases declare: all that its text names."""
    found = set(NAME.findall(module.read_text(encoding="utf-8")))
    for path in (CONFORMANCE / "cases").glob(DATA[module.stem]) if module.stem in DATA else ():
        found.update(NAME.findall("\n".join(DECLARED.findall(path.read_text(encoding="utf-8")))))
    return frozenset(found)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """True for a module without any case that is asked for."""
    if collection_path.parent not in SUITES or not collection_path.match("test_*.py"):
        return None
    return True if any(not asked.within(names(collection_path)) for asked in wanted(config)) else None


def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """The empty list for a case that is not asked for."""
    case = getattr(obj, "guestwire_case", None)
    if not isinstance(case, Case):
        return None
    return [] if any(not asked.has(case) for asked in wanted(collector.config)) else None
