"""Every case of conformance/cases: one function for each, under the id that its file gives it."""

from __future__ import annotations

import re
from collections.abc import Callable

from guestwire.cases import DataCase, all_cases
from guestwire.drive.host import Host
from guestwire.drive.script import perform
from guestwire.judge.case import case


def _function(data: DataCase) -> Callable[..., None]:
    """The test function that plays a case."""

    def play(host: Host) -> None:
        perform(host, data)

    def play_chunked(host: Host, chunking: str) -> None:
        perform(host, data, chunking)

    declare = case(
        *data.checks,
        variant=data.id.partition(":")[2],
        needs=" ".join(data.needs),
        deadline=data.deadline,
        transports=data.transports,
        wide=data.chunkings == "unix",
        alike=True,
        twin=data.twin.partition("#")[0],  # one in the same case was played in it
    )
    function = declare(play if data.chunkings == "none" else play_chunked)
    function.__doc__ = data.about or None
    return function


for _case in all_cases().values():
    globals()["test_" + re.sub(r"[^a-zA-Z0-9]", "_", _case.id)] = _function(_case)
