"""Twins: a case that the agent has to refuse proves something only where the same request, right but for one thing, is served."""

from __future__ import annotations

from collections.abc import Iterable

from guestwire.judge.outcome import CaseResult, Outcome

FAILED = (Outcome.FAIL, Outcome.TIMEOUT, Outcome.CRASH)


def unfounded(results: Iterable[CaseResult]) -> list[CaseResult]:
    """Cases that passed and prove nothing: of their twin no case passed on the same agent over the same transport, or one
    failed. `twin` names a case; where it is parametrised or chunked, all of that name and what follows a colon."""
    results = list(results)
    served: set[tuple[str, str, str]] = set()
    failed: set[tuple[str, str, str]] = set()
    for case in results:
        parts = case.case.split(":")
        names = {(case.agent, case.transport, ":".join(parts[:end])) for end in range(1, len(parts) + 1)}
        if case.outcome == Outcome.PASS:
            served |= names
        elif case.outcome in FAILED:
            failed |= names
    served -= failed
    refused = [case for case in results if case.twin and case.outcome == Outcome.PASS]
    return [case for case in refused if (case.agent, case.transport, case.twin) not in served]
