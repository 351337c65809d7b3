"""What a narrow run does not collect has none of the cases that were asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from guestwire.drive import prefilter, selection
from guestwire.drive.prefilter import SUITE, Wanted
from guestwire.judge.case import Case
from guestwire.judge.ledger import clauses

MODULES = sorted(SUITE.glob("test_*.py"))


@cache
def declared(name: str) -> list[Case]:
    """The cases of a module of the suite."""
    functions = vars(importlib.import_module(f"guestwire.suite.{name}")).values()
    return [made for function in functions if isinstance(made := getattr(function, "guestwire_case", None), Case)]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.stem))
def test_a_module_names_what_its_cases_declare(module: Any) -> None:
    """Literally: a check whose name is put together would be overlooked. Data for test_data.py are looked at, too."""
    assert declared(module.stem)
    assert {check for case in declared(module.stem) for check in case.checks} <= prefilter.names(module)


def test_most_modules_are_left_out() -> None:
    """Or it saves nothing."""
    for clause in ("PING", "RUN-EXIT", "PUT-ATOMIC"):
        within = [path for path in MODULES if Wanted(clauses=frozenset([clause])).within(prefilter.names(path))]
        assert 1 <= len(within) <= len(MODULES) / 3, (clause, within)


def test_every_clause_keeps_its_cases() -> None:
    for clause in clauses():
        asked = Wanted(clauses=frozenset([clause]))
        for module in MODULES:
            for case in declared(module.stem):
                meant = any(check.partition("/")[0] == clause for check in case.checks)
                assert asked.has(case) == meant, (clause, case)
                assert asked.within(prefilter.names(module)) or not meant


class _Config:
    """As much of pytest's as is looked at."""

    def __init__(self, failed: Iterable[tuple[str, str]] = (), **options: Any) -> None:
        self._options: dict[str, Any] = {"selection": None, "clause": [], "case_ids": []} | options
        self.stash: dict[object, Any] = {selection.FAILED: set(failed)} if failed else {}

    def getoption(self, name: str) -> Any:
        return self._options[name]


def left(config: Any) -> set[str]:
    """The first checks of the cases that are collected."""
    found: set[str] = set()
    for module in MODULES:
        if prefilter.pytest_ignore_collect(module, config) is None:
            found |= {
                case.checks[0]
                for case in declared(module.stem)
                if prefilter.pytest_pycollect_makeitem(_collector(config), SimpleNamespace(guestwire_case=case)) is None
            }
    return found


def _collector(config: Any) -> Any:
    return SimpleNamespace(config=config)


@pytest.mark.parametrize(
    "identity",
    ["CONV-OP/unknown", "CONV-OP/unknown@unix", "CONV-OP/unknown:null:whole", "CONV-OP/unknown:null:whole@fd-conn"],
)
def test_cases_by_each_of_their_names(identity: str) -> None:
    assert left(_Config(case_ids=[identity])) == {"CONV-OP/unknown"}


def test_several_are_one_or_the_other() -> None:
    assert left(_Config(case_ids=["CONV-OP/unknown:null", "PING"])) == {"CONV-OP/unknown", "PING"}
    assert left(_Config(case_ids=["CONV-OP/unknown:null"], clause=["PING"])) == {"CONV-OP/unknown", "PING"}


def test_what_exists_nowhere_leaves_nothing() -> None:
    assert left(_Config(case_ids=["PONG"])) == set()


def test_failures_of_the_last_run_come_before_what_is_asked_for() -> None:
    """Which of them is asked for is seen among all of them: an unknown case is told from one that passed."""
    failed = [("agent", "PING@unix"), ("agent", "RUN-EXIT/status:7@unix")]
    assert left(_Config(failed, case_ids=["PING"])) == {"PING", "RUN-EXIT/status"}


def test_a_list_for_each_agent(tmp_path: Any) -> None:
    path = tmp_path / "selection.json"
    path.write_text('{"one": ["PING"], "two": ["RUN-EXIT/status:7"]}')
    assert left(_Config(selection=str(path))) == {"PING", "RUN-EXIT/status"}
    assert left(_Config([("one", "PING@unix")], selection=str(path))) == {"PING"}


def test_whole_runs_are_not_touched() -> None:
    every = {case.checks[0] for module in MODULES for case in declared(module.stem)}
    assert left(_Config()) == every


def test_other_modules_are_not_touched(tmp_path: Any) -> None:
    for path in (tmp_path / "test_own.py", SUITE / "files.py", SUITE):
        config: Any = _Config(case_ids=["PING"])
        assert prefilter.pytest_ignore_collect(path, config) is None
