"""A narrow run starts few workers, or none; what waits long gets one for itself; a whole run starts as many as ever."""

from __future__ import annotations

import os

import pytest

from guestwire.drive import workers
from guestwire.drive.connectable import TRANSPORTS, parse
from guestwire.drive.prefilter import Wanted
from guestwire.judge.ledger import clauses
from guestwire.tests.harness import CONFORM, TINY, run, temporary

AGENT = parse(f"exec:{TINY}")


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.parametrize("clause", clauses())
def test_every_clause_can_be_counted(clause: str) -> None:
    one, two, three = (
        workers.worth(agents, transports, [clause])
        for agents, transports in (([AGENT], ["unix"]), ([AGENT], ["unix", "fd-conn"]), ([AGENT] * 9, []))
    )
    assert 1 <= one <= two <= three <= 8


def test_few_cases_need_none() -> None:
    assert workers.worth([AGENT], ["unix"], ["PING"]) == 1
    assert workers.worth([AGENT], [], ["PING"]) == 1
    assert workers.worth([AGENT], ["unix"], ["PING", "PING-INSTANCE", "GET-BROKEN"]) == 1


def test_many_and_long_ones_have_all() -> None:
    assert workers.worth([AGENT], ["unix"], ["ERR-CODE"]) == 8
    assert workers.worth([AGENT], [], ["CONV-IDLE"]) == 8
    assert 1 < workers.worth([AGENT], ["unix"], ["RUN-EXIT"]) < 8


def test_a_guest_is_shared_by_four() -> None:
    assert workers.worth([parse(f"qemu-vhost-user:{TINY}")], [], []) <= 4


def test_whole_runs_have_all() -> None:
    assert workers.worth([AGENT], [], []) == 8
    assert workers.worth([AGENT], ["unix"], []) == 8


def test_the_count_is_what_pytest_makes_of_them() -> None:
    """For one transport, where every case has each chunking."""
    with temporary() as folder:
        done = run(folder, *CONFORM, "run", f"exec:{TINY}", "--transport=unix", "--clause=JSON-NUL", "--clause=PING")
    counted = workers._cases(Wanted(clauses=frozenset(["JSON-NUL", "PING"])))
    assert len(done.cases) == sum(counted)
    assert set(TRANSPORTS) >= {case.rpartition("@")[2] for case in done.cases} == {"unix"}
