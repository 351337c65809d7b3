"""From case results to verdicts: for each check and row, for each row, for the run."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from guestwire.judge.contract import AGENT, Contract
from guestwire.judge.expect import Expectation, Settled, settle
from guestwire.judge.ledger import Check, check, checks
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.twins import unfounded


def with_known(verdict: str, known: int) -> str:
    """A verdict in words; `known`: how many failures --expect names, which no green may hide."""
    return f"{verdict}, with {known} known failure{'' if known == 1 else 's'}" if known else verdict


class Exit(IntEnum):
    """Exit status of every subcommand."""

    GREEN = 0
    RED = 1
    USAGE = 2
    PARTIAL = 3
    HARNESS_BUG = 4
    INTERRUPTED = 130


@dataclass
class RowVerdict:
    """One agent on one transport: checks by level."""

    agent: str
    transport: str
    passed: dict[str, set[str]] = field(default_factory=lambda: {"MUST": set(), "SHOULD": set()})
    failed: dict[str, set[str]] = field(default_factory=lambda: {"MUST": set(), "SHOULD": set()})
    cases: int = 0
    not_applicable: int = 0


@dataclass
class RunVerdict:
    """The whole run."""

    rows: list[RowVerdict]
    failures: list[CaseResult]  # cases that did not pass
    broken: list[tuple[CaseResult, str]]  # cases that passed but found another check broken
    could_not_run: list[CaseResult]
    pending: list[Check]
    unproved: dict[str, list[str]]  # agent: checks that no case proved on any of its transports
    exempt: dict[str, list[str]]  # agent: checks that AddressSanitizer exempts
    filtered: bool
    strict: bool
    expected: int  # cases collected
    errors: list[str]  # what kept the harness itself from its work
    settled: Settled = field(
        default_factory=Settled
    )  # failures that --expect names, and what is wrong with its entries
    not_applicable: list[CaseResult] = field(default_factory=list)
    lacked: dict[str, list[str]] = field(default_factory=dict)  # agent: checks that its descriptor says it lacks
    unfounded: list[CaseResult] = field(default_factory=list)  # cases that passed and prove nothing, for want of a twin
    contract: Contract = AGENT

    @property
    def counts(self) -> tuple[int, int, int]:
        """(passed, failed, skipped): cases, and among the failed what is wrong with the run itself. A case that could not run or
        does not apply counts as skipped, one that failed as expected as none of the three."""
        cases = {id(c) for c in self.failures} | {id(c) for c, name in self.broken if self._gated(name)}
        skipped = len(self.could_not_run) + len(self.not_applicable)
        passed = sum(row.cases for row in self.rows) - len(cases) - skipped - len(self.settled.expected)
        return passed, len(cases) + len(self.errors) + len(self.settled.errors) + self._lost, skipped

    def _gated(self, name: str) -> bool:
        return self.strict or check(name).level == "MUST"

    @property
    def exit(self) -> Exit:
        """GREEN only if every gated check of every agent was proved and nothing failed; what an agent lacks was not proved."""
        if self.errors:
            return Exit.HARNESS_BUG
        if self.settled.errors:
            return Exit.RED
        if self.counts[1]:
            gated = any(self._gated(name) for case in self.failures for name in case.checks)
            hard = any(case.outcome in (Outcome.CRASH, Outcome.TIMEOUT) for case in self.failures)
            if gated or hard or any(self._gated(name) for _, name in self.broken):
                return Exit.RED
        if self._lost:
            return Exit.HARNESS_BUG
        open_checks = [*self.unproved.values(), *self.lacked.values(), *(case.checks for case in self.not_applicable)]
        unproved = any(self._gated(name) for names in open_checks for name in names)
        partial = self.filtered or self.could_not_run or self.unfounded or unproved
        return Exit.PARTIAL if partial else Exit.GREEN

    @property
    def _lost(self) -> int:
        """Cases that came to no outcome: their worker died, say. A run without any case has lost one."""
        return max(max(self.expected, 1) - sum(row.cases for row in self.rows), 0)

    @property
    def lost(self) -> str:
        """The same in words, "" for none."""
        if not self.expected:
            return "there was no case to run" if self._lost else ""
        return f"of {self.expected} cases {self._lost} came to no outcome" if self._lost else ""

    @property
    def reasons(self) -> list[str]:
        """What, beside cases that failed, keeps the verdict from green; a line each."""
        found = [*self.errors, *self.settled.errors]
        found += [self.lost] if self.lost else []
        found += ["filtered: cases were left out by request"] if self.filtered else []
        found += [f"{len(self.could_not_run)} cases could not run"] if self.could_not_run else []
        found += [f"{len(self.not_applicable)} cases do not apply"] if self.not_applicable else []
        if self.unfounded:
            found.append(f"{len(self.unfounded)} refusals do not count: their twins did not run, or did not pass")
        for title, named in (
            ("not proved", {} if self.filtered else self.unproved),
            ("lacking by its descriptor", self.lacked),
        ):
            for agent, names in named.items():
                gated = [name for name in names if self._gated(name)]
                found += [f"{title} [{agent}]: {', '.join(gated)}"] if gated else []
        return found


def judge(
    results: Iterable[CaseResult],
    rows: list[tuple[str, str]],
    sanitized: set[str],
    *,
    filtered: bool,
    strict: bool,
    expected: int,
    errors: list[str],
    expectations: Sequence[Expectation] = (),
    lacked: dict[str, frozenset[str]] | None = None,
    contract: Contract = AGENT,
) -> RunVerdict:
    """Sum up. `rows` are (agent, transport) as asked for; `sanitized` the agents under AddressSanitizer; `lacked` the checks
    that an agent's descriptor says it lacks; `contract` what all are judged by."""
    results = list(results)
    settled = settle(expectations, results, datetime.date.today())
    known = {id(case) for case in settled.expected}
    table = {key: RowVerdict(*key) for key in rows}
    failures: list[CaseResult] = []
    broken: list[tuple[CaseResult, str]] = []
    could_not_run: list[CaseResult] = []
    not_applicable: list[CaseResult] = []
    twinless = unfounded(results)
    nothing = {id(case) for case in twinless}
    for case in results:
        row = table.setdefault((case.agent, case.transport), RowVerdict(case.agent, case.transport))
        row.cases += 1
        if case.outcome == Outcome.COULD_NOT_RUN:
            could_not_run.append(case)
            continue
        if case.outcome == Outcome.NOT_APPLICABLE:
            not_applicable.append(case)
            row.not_applicable += 1
            continue
        good = case.outcome == Outcome.PASS
        if not good and id(case) not in known:
            failures.append(case)
        for name in case.checks if id(case) not in nothing else ():
            (row.passed if good and name not in case.broken else row.failed)[check(name).level].add(name)
        for name in case.broken:
            row.failed[check(name).level].add(name)
            if id(case) not in known:
                broken.append((case, name))
    for row in table.values():
        for level in row.passed:
            row.passed[level] -= row.failed[level]
    unproved, exempt = _unproved(list(table.values()), rows, sanitized, contract)
    declared = {
        agent: [name for name in checks(contract) if name in names] for agent, names in (lacked or {}).items() if names
    }
    for agent, names in declared.items():
        unproved[agent] = [name for name in unproved.get(agent, []) if name not in names]
    pending = [each for each in checks(contract).values() if each.pending]
    return RunVerdict(
        list(table.values()),
        failures,
        broken,
        could_not_run,
        pending,
        unproved,
        exempt,
        filtered,
        strict,
        expected,
        errors,
        settled,
        not_applicable,
        declared,
        twinless,
        contract,
    )


def _unproved(
    table: list[RowVerdict], rows: list[tuple[str, str]], sanitized: set[str], contract: Contract
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Checks that no case of an agent proved or broke; host-function checks belong to no agent."""
    touched: dict[str, set[str]] = {}
    for row in table:
        for level in row.passed:
            touched.setdefault(row.agent, set()).update(row.passed[level] | row.failed[level])
    unproved: dict[str, list[str]] = {}
    exempt: dict[str, list[str]] = {}
    transports: dict[str, set[str]] = {}
    for agent, transport in rows:
        transports.setdefault(agent, set()).add(transport)
    for each in checks(contract).values():
        if each.pending:
            continue
        if each.clause.startswith("HOST-"):
            if not any(each.id in names for names in touched.values()):
                unproved.setdefault("host functions", []).append(each.id)
            continue
        for agent in sorted(transports):
            if each.id in touched.get(agent, set()) or not each.is_asked_on(transports[agent]):
                continue
            where = exempt if agent in sanitized and "native-memory" in each.tags else unproved
            where.setdefault(agent, []).append(each.id)
    return unproved, exempt
