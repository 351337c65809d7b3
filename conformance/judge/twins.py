"""Twins: a case that the agent has to refuse proves something only where the same request, right but for one thing, is served."""

from __future__ import annotations

from collections.abc import Iterable

from guestwire.judge.outcome import CaseResult, Outcome


def unfounded(results: Iterable[CaseResult]) -> list[CaseResult]:
    """Cases that passed and prove nothing: of their twin no case passed on the same agent over the same transport, or one did
    not pass. `twin` names a case; where it is parametrised or chunked, all of that name and what follows a colon."""
    results = list(results)
    good: dict[tuple[str, str, str], bool] = {}
    for case in results:
        parts = case.case.split(":")
        for end in range(1, len(parts) + 1):
            key = (case.agent, case.transport, ":".join(parts[:end]))
            good[key] = good.get(key, True) and case.outcome == Outcome.PASS
    return [
        case
        for case in results
        if case.twin and case.outcome == Outcome.PASS and not good.get((case.agent, case.transport, case.twin), False)
    ]
