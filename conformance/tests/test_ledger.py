"""The ledger against the contract on one side and the cases on the other."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guestwire.cases import all_cases
from guestwire.judge import ledger
from guestwire.judge.case import Case, case
from guestwire.judge.contract import AGENT, BRIDGE, CONTRACTS, READY, VHOST_USER, Contract

PACKAGE = Path(ledger.__file__).parent.parent
GOOD = '[PING]\nlevel = "MUST"\ntext = "a pong"\n'


def functions() -> list[Any]:
    """All that the suite's modules define."""
    names = sorted(path.stem for path in (PACKAGE / "suite").glob("test_*.py"))
    return [value for name in names for value in vars(importlib.import_module(f"guestwire.suite.{name}")).values()]


def cases() -> list[Case]:
    """What the suite declares."""
    found = [getattr(function, "guestwire_case", None) for function in functions()]
    return [declared for declared in found if isinstance(declared, Case)]


@pytest.mark.parametrize("of", CONTRACTS.values(), ids=list(CONTRACTS))
def test_ledger_says_what_the_contract_says(of: Contract) -> None:
    assert list(ledger.clauses(of)) == list(ledger.contract(of)), "another set, or another order"
    assert ledger.strayed(of) == []


def test_ids_tell_their_contract() -> None:
    """No id is of two contracts, and what is judged after every case is in the ledger."""
    assert len(ledger.every_clause()) == sum(len(ledger.clauses(of)) for of in CONTRACTS.values())
    assert {name: ledger.contract_of(name).name for name in ("PING", "BRIDGE-HALF", "READY-SSH")} == {
        "PING": "agent",
        "BRIDGE-HALF": "bridge",
        "READY-SSH": "ready",
    }
    for of in CONTRACTS.values():
        assert {of.leaks, of.files} - {""} <= ledger.checks(of).keys()


def test_a_ledger_that_has_strayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another level, another text, a clause too many and one too few are each told."""
    clauses = dict(ledger.clauses())
    clauses["PING"] = replace(clauses["PING"], text="a pong, or so")
    clauses["JSON-DUP"] = replace(clauses["JSON-DUP"], level="SHOULD")
    clauses["PONG"] = replace(clauses.pop("RUN-CMD"), id="PONG")
    monkeypatch.setattr(ledger, "clauses", lambda _: clauses)
    assert ledger.strayed() == [
        "RUN-CMD: in the contract, not in the ledger",
        "JSON-DUP: SHOULD in the ledger, MUST in the contract",
        "PING: the ledger's text does not stand in the contract",
        "PONG: in the ledger, not in the contract",
    ]


def test_every_check_is_proved_by_a_case() -> None:
    proved = {name for declared in cases() for name in declared.checks}
    wanted = {name for name, check in ledger.checks().items() if not check.pending}
    assert sorted(wanted - proved) == []


def test_every_case_that_is_data_is_played() -> None:
    """Under its own id; and none says the same thing twice."""
    played = [f"{c.checks[0]}:{c.variant}".strip(":") for c in cases()]
    assert [name for name in all_cases() if played.count(name) != 1] == []
    for data in all_cases().values():
        sent = [[step.raw() if step.kind == "send" else step for step in c.steps] for c in data.conversations]
        assert [one for one in sent if sent.count(one) > 1] == [], data.id


@pytest.mark.parametrize(
    ("of", "name", "outside", "inside"),
    [
        (AGENT, "PING", True, True),
        (AGENT, "SRV-PEER/allow", False, True),
        (BRIDGE, "BRIDGE-BYTES/both", True, False),
        (BRIDGE, "BRIDGE-TARGET/vsock", False, True),
        (READY, "READY-NOTIFY/vsock", False, True),
    ],
)
def test_where_a_check_is_asked(of: Contract, name: str, outside: bool, inside: bool) -> None:
    """Of agents all in a guest too; of bridges and gates what shows nowhere else."""
    found = ledger.checks(of)[name]
    assert (found.is_asked_on(of.transports), found.is_asked_on([VHOST_USER])) == (outside, inside)
    assert found.is_asked_on([*of.transports, VHOST_USER])


def test_what_is_pending_waits_for_an_issue() -> None:
    pending = [check.pending for check in ledger.checks().values() if check.pending]
    assert [text for text in pending if not re.fullmatch(r"issue \d+", text)] == []


def test_ids_are_plain() -> None:
    odd = [name for name in ledger.checks() if not re.fullmatch(r"[A-Z]+(-[A-Z]+)*(/[a-z0-9]+([-_][a-z0-9]+)*)?", name)]
    assert odd == []


def test_good_ledger() -> None:
    """The twin of the bad ones below."""
    assert [check.id for check in ledger.parse(GOOD)["PING"].checks] == ["PING"]
    named = ledger.parse(
        GOOD + '[PING.checks]\na = "one"\nb = {text = "two", pending = "issue 9", tags = ["native-memory"]}\n'
    )
    assert [(check.id, check.pending) for check in named["PING"].checks] == [("PING/a", ""), ("PING/b", "issue 9")]
    assert ledger.parse(GOOD + 'excluded = "why"\n')["PING"].checks == ()


@pytest.mark.parametrize(
    "text",
    [
        GOOD + 'note = "x"\n',
        GOOD + '[PING.check]\na = "one"\n',
        GOOD.replace("MUST", "MAY"),
        GOOD.replace("MUST", "must"),
        '[PING]\nlevel = "MUST"\n',
        '[PING]\ntext = "a pong"\n',
        GOOD + '[PING.checks]\na = {text = "one", pendig = "issue 9"}\n',
        GOOD + '[PING.checks]\na = {pending = "issue 9"}\n',
        GOOD + '[PING.checks]\na = {text = "one", tags = ["native"]}\n',
        GOOD + '[PING.checks]\na = ""\n',
        GOOD + 'excluded = "why"\n[PING.checks]\na = "one"\n',
    ],
    ids=[
        "key",
        "table",
        "level",
        "case",
        "no-text",
        "no-level",
        "check-key",
        "check-no-text",
        "tag",
        "empty",
        "excluded",
    ],
)
def test_bad_ledger(text: str) -> None:
    with pytest.raises(ledger.LedgerError):
        ledger.parse(text)


@pytest.mark.parametrize(
    ("checks", "needs"),
    [((), ""), (("PONG",), ""), (("PING/nothing",), ""), (("FRAME-CAP",), ""), (("PING",), "luck")],
    ids=["none", "clause", "check", "clause-with-checks", "needs"],
)
def test_bad_declaration(checks: tuple[str, ...], needs: str) -> None:
    """A case cannot name what is not there."""
    with pytest.raises(ledger.LedgerError):
        case(*checks, needs=needs)
