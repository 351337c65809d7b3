"""How many workers a run is worth: each takes half a second of CPU time to start, most cases a tenth of a second of waiting."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Collection, Sequence

from guestwire.drive import prefilter
from guestwire.drive.connectable import Connectable
from guestwire.drive.conversation import CHUNKINGS
from guestwire.judge.case import Case
from guestwire.judge.contract import AGENT, Contract

IN_GUEST = 4  # an emulated guest has one processor, which they share
OF_A_GUEST = {"guest", "backend"}  # what a case needs that exists there alone
FEW_IN_GUEST = 2  # the same where a few cases alone exist there
FEW = 8  # cases that one process is done with before workers have started


def worth(agents: Sequence[Connectable], transports: Collection[str], clauses: Collection[str]) -> int:
    """So many for the cases of these clauses, on these transports. Empty: all."""
    contract = agents[0].contract
    most = contract.workers * (os.cpu_count() or 1)
    in_guest = any(agent.in_guest for agent in agents)
    if in_guest:
        most = min(most, IN_GUEST if contract.whole_in_guest else FEW_IN_GUEST)
    if not clauses:
        return most
    short, long = _cases(prefilter.Wanted(clauses=frozenset(clauses)), contract, in_guest)
    rows = sum(len(set(agent.transports) & set(transports or agent.transports)) for agent in agents)
    for_short = 1 if short * rows <= FEW else math.ceil(math.sqrt(short * rows / 3))
    return min(most, for_short + long * rows)


def _cases(wanted: prefilter.Wanted, contract: Contract = AGENT, in_guest: bool = False) -> tuple[int, int]:
    """About how many there are on one transport: short ones, and such as wait long. Some exist in a guest only."""
    count = {False: 0, True: 0}
    for path in contract.suite.glob("test_*.py"):
        if not wanted.within(prefilter.names(path)):
            continue
        for function in vars(importlib.import_module(f"{contract.package}.{path.stem}")).values():
            case = getattr(function, "guestwire_case", None)
            if isinstance(case, Case) and wanted.has(case) and (in_guest or not case.needs & OF_A_GUEST):
                count[case.long] += _items(function)
    return count[False], count[True]


def _items(function: object) -> int:
    """What pytest makes of a test function for one transport."""
    tables = [mark.args[1] for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
    names = getattr(getattr(function, "__code__", None), "co_varnames", ())
    return math.prod(map(len, tables)) * (len(CHUNKINGS) if "chunking" in names else 1)
