"""In which order the cases of a run go to its workers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from guestwire.drive import selection

WORKERS = 4
CONFIG: Any = SimpleNamespace(getoption=lambda name: None)  # noqa: ARG005


def _items(short: int, long: int, machines: int) -> list[Any]:
    """As many cases of each kind, the long ones last; each is called by its kind and number."""
    made: list[tuple[str, bool, set[str]]] = [(f"short-{number}", False, set()) for number in range(short)]
    made += [(f"long-{number}", True, set()) for number in range(long)]
    made += [(f"machine-{number}", True, {"machine"}) for number in range(machines)]
    return [
        SimpleNamespace(name=name, function=SimpleNamespace(guestwire_case=SimpleNamespace(long=waits, needs=needs)))
        for name, waits, needs in made
    ]


def _order(monkeypatch: pytest.MonkeyPatch, workers: int, *counts: int) -> list[str]:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(workers))
    items = _items(*counts)
    order = [item.name for item in selection.spread(CONFIG, items)]
    assert sorted(order) == sorted(item.name for item in items)
    return order


@pytest.mark.parametrize("machines", [0, 3, 9])
def test_what_boots_a_machine_is_the_first_workers(monkeypatch: pytest.MonkeyPatch, machines: int) -> None:
    """In a row, before anything else; what waits long begins the other workers' parts."""
    order = _order(monkeypatch, WORKERS, 400, 6, machines)
    assert order[:machines] == [f"machine-{number}" for number in range(machines)]
    parts = [order[start : start + len(order) // WORKERS] for start in range(0, len(order), len(order) // WORKERS)]
    begun = [sum(name.startswith("long") for name in part[:10]) for part in parts[:WORKERS]]
    assert begun == ([0, 2, 2, 2] if machines else [2, 2, 1, 1])


def test_one_worker_has_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    order = _order(monkeypatch, 1, 20, 2, 2)
    assert [name.partition("-")[0] for name in order[:4]] == ["machine", "machine", "long", "long"]


def test_fewer_cases_than_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    _order(monkeypatch, WORKERS, 0, 1, 1)
    _order(monkeypatch, WORKERS, 1, 0, 0)
    _order(monkeypatch, WORKERS, 0, 0, 2)
