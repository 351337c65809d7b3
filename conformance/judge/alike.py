"""One case, the same bytes: what an agent says does not depend on the transport, nor, where that is asked for, on the agent.

Only cases that are declared so are compared, and only where they passed: what failed is told already.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from guestwire.judge.outcome import CaseResult, Outcome, short
from guestwire.judge.outline import digest

KEPT = 40  # lines of an outline that are sent from a worker to the controller
LONGEST = 400  # characters of one of them


@dataclass(frozen=True)
class Said:
    """What an agent sent in a case: the digest of its outline, and how it begins."""

    digest: str
    begins: tuple[str, ...]

    @classmethod
    def of(cls, lines: Sequence[str]) -> Said:
        return cls(digest(list(lines)), tuple(line[:LONGEST] for line in lines[:KEPT]))

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Said:
        return cls(found["digest"], tuple(found["begins"]))

    def to_json(self) -> dict[str, Any]:
        return {"digest": self.digest, "begins": self.begins}


@dataclass(frozen=True)
class Difference:
    """A case that failed because its agent said something else than the reference."""

    result: CaseResult
    reference: CaseResult
    mine: Said
    theirs: Said

    def readable(self) -> str:
        """Both, a line each: `-` the reference alone, `+` this case alone."""
        before, now = (f"{each.id} [{each.agent}]" for each in (self.reference, self.result))
        told = difflib.ndiff(self.theirs.begins, self.mine.begins)
        lines = [f"- {before} alone, + {now} alone; the first {KEPT} lines of each", ""]
        lines += [line.rstrip("\n") for line in told if line[0] != "?"]
        lines += ["", f"SHA-256 of all of it: {self.theirs.digest} and {self.mine.digest}"]
        return "\n".join(lines) + "\n"


def _difference(one: Said, other: Said) -> tuple[str, str]:
    """The first line that differs in each."""
    for number in range(max(len(one.begins), len(other.begins))):
        pair = tuple(said.begins[number] if number < len(said.begins) else "nothing more" for said in (one, other))
        if pair[0] != pair[1]:
            return pair[0], pair[1]
    return f"an outline with the digest {one.digest[:16]}", f"one with {other.digest[:16]}"


def judge(
    results: Iterable[CaseResult], said: dict[tuple[str, str], Said], rows: Sequence[tuple[str, str]], agents: bool
) -> list[Difference]:
    """Fail each case that passed and whose agent said something else than in the first row, of the same agent (or, if `agents`,
    of any), that has it. `said` maps (agent, id) to what was said. Return: those cases."""
    found: list[Difference] = []
    order = {row: number for number, row in enumerate(rows)}
    first: dict[tuple[str, str], tuple[CaseResult, Said]] = {}
    for result in sorted(results, key=lambda result: order.get((result.agent, result.transport), len(order))):
        mine = said.get((result.agent, result.id))
        if mine is None or result.outcome != Outcome.PASS:
            continue
        reference, theirs = first.setdefault(("" if agents else result.agent, result.case), (result, mine))
        if theirs.digest != mine.digest:
            expected, actual = _difference(theirs, mine)
            result.outcome = Outcome.FAIL.value
            result.expected = f"what {reference.agent} sent over {reference.transport}: {short(expected)}"
            result.actual = short(actual)
            found.append(Difference(result, reference, mine, theirs))
    return found
