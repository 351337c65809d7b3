"""What came out, compared with what was declared: pure judging, no processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from guestwire.judge import ledger
from guestwire.judge.contract import AGENT, Contract
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.mutants.load import OUTCOMES, Exempt, Mutant, declared, is_pattern, matches, plain, unchunked
from guestwire.mutants.trial import Known, Trial

PING = "PING"
TOLD = 6  # so many undeclared failures of one mutant are told with their reasons


@dataclass
class Findings:
    """What is wrong; empty lists are what is wanted. Each line names the mutant, the check or the case."""

    survivors: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    coverage: list[str] = field(default_factory=list)
    unbroken: list[str] = field(default_factory=list)  # MUST checks without a mutant
    idle: list[str] = field(default_factory=list)  # cases that kill none

    @property
    def green(self) -> bool:
        return not (self.survivors or self.mismatches or self.of_the_catalogue)

    @property
    def of_the_catalogue(self) -> list[str]:
        """What is wrong with no one mutant, but with all together."""
        return [*self.coverage, *self.unbroken, *self.idle]

    def failed(self, mutants: Iterable[Mutant]) -> set[str]:
        """Those that were not killed as they declare."""
        told = [line.partition(":")[0] for line in (*self.survivors, *self.mismatches)]
        return {mutant.id for mutant in mutants if mutant.id in told}


def failed(result: CaseResult) -> str:
    """The outcome as the catalogue counts it: a case that passed, but found another check broken, is a FAIL. "" for a pass."""
    if result.outcome == Outcome.PASS:
        return Outcome.FAIL.value if result.broken else ""
    return result.outcome


def killers(trial: Trial) -> list[CaseResult]:
    """The results that kill the mutant."""
    return [
        result
        for result in trial.results.values()
        if failed(result) in trial.mutant.outcomes and any(matches(name, result.case) for name in trial.mutant.kills)
    ]


def trial_findings(trial: Trial, findings: Findings, full: bool = False) -> None:
    """Judge one mutant, which has met all cases (`full`) or some: then a pattern of `also` may be met by none that fails."""
    mutant = trial.mutant
    if trial.error:
        findings.mismatches.append(f"{mutant.id}: {trial.error}")
        return
    if not killers(trial):
        findings.survivors.append(f"{mutant.id}: survives ({mutant.why})")
    lost = [plain(case) for case in trial.cases if case not in trial.results]
    if lost:
        findings.mismatches.append(f"{mutant.id}: cases without a result: {', '.join(lost)}")
    ping = trial.results.get(PING)
    is_agent = all(check in ledger.checks() for check in mutant.breaks)
    if mutant.starts and is_agent and (ping is None or failed(ping)):
        findings.mismatches.append(f"{mutant.id}: does not start and answer a ping")
    for name, meant in declared((*mutant.kills, *mutant.also), trial.results).items():
        allows = name not in mutant.kills and is_pattern(name)
        if not meant and (full or not allows):
            findings.mismatches.append(f"{mutant.id}: declares {name}, and no such case was run")
        outcomes = {case: failed(trial.results[case]) for case in meant}
        wanted = mutant.outcomes if name in mutant.kills else OUTCOMES
        if allows and (not full or set(outcomes.values()) & wanted):
            continue
        for case, outcome in outcomes.items():
            if outcome not in wanted:
                came = outcome or "PASS"
                findings.mismatches.append(f"{mutant.id}: {plain(case)} was to fail ({name}), it came to {came}")
    undeclared = [r for r in trial.results.values() if failed(r) and not _declared(mutant, r.case)]
    for result in undeclared[:TOLD]:
        findings.mismatches.append(f"{mutant.id}: {plain(result.case)} failed undeclared: {_reason(result)}")
    if undeclared:
        names = ", ".join(f'"{plain(result.case)}"' for result in undeclared)
        findings.mismatches.append(f"{mutant.id}: if that is right, declare: {names}")
    proved = {check for result in killers(trial) for check in (*result.checks, *result.broken)}
    for check in mutant.breaks:
        if check not in proved and killers(trial):
            findings.mismatches.append(f"{mutant.id}: is said to break {check}, which no case that killed it proves")


def _declared(mutant: Mutant, case: str) -> bool:
    """Another chunking of a declared case is declared with it."""
    names = (*mutant.kills, *mutant.also)
    return any(matches(name, case) or matches(name, unchunked(case)) for name in names)


def _reason(result: CaseResult) -> str:
    expected, actual = (result.expected, result.actual) if result.outcome != Outcome.PASS else _soft(result)
    return f"{failed(result)}: expected {expected[:160]}; actual {actual[:160]}"


def _soft(result: CaseResult) -> tuple[str, str]:
    check, (expected, actual) = next(iter(result.broken.items()))
    return f"{check}: {expected}", actual


def coverage_findings(
    mutants: Sequence[Mutant],
    cases: Sequence[Known],
    exempt: Exempt,
    findings: Findings,
    met: Sequence[Trial] = (),
    contract: Contract = AGENT,
) -> None:
    """Judge the catalogue as a whole: every check, every case, no two mutants alike. A case kills what it is declared to kill by
    name or in `kills`, under whatever chunking; where all were run (`met`) what it has killed. That no case is idle is asked of
    the agent's alone."""
    names = [case.case for case in cases if case.first_chunking]
    for mutant in mutants:
        for name, meant in declared((*mutant.kills, *mutant.also), [case.case for case in cases]).items():
            if not meant:
                findings.coverage.append(f"{mutant.id}: declares {name}, and there is no such case")
    kill_sets = {mutant.id: frozenset(_said([mutant], names)) for mutant in mutants}
    twins: dict[frozenset[str], list[Mutant]] = {}
    for mutant in mutants:
        twins.setdefault(kill_sets[mutant.id], []).append(mutant)
    for alike in twins.values():
        if sum(not mutant.same_as for mutant in alike) > 1:
            findings.coverage.append(
                f"killed by the very same cases, without a reason (same_as): {', '.join(m.id for m in alike)}"
            )
    broken = {check for mutant in mutants for check in mutant.breaks}
    for check in ledger.checks(contract).values():
        must = check.level == "MUST" and not check.pending and not check.clause.startswith("HOST-")
        if must and check.id not in broken and check.id not in exempt.checks:
            findings.unbroken.append(check.id)
        if check.id in exempt.checks and check.id in broken:
            findings.coverage.append(f"exempt, and yet a mutant breaks it: {check.id}")
    killing = {unchunked(r.case) for trial in met for r in trial.results.values() if failed(r) in OUTCOMES} or _said(
        mutants, [case.case for case in cases]
    )
    idle = [name for name in names if unchunked(name) not in killing] if contract is AGENT else []
    excused = exempt.cases
    findings.idle += [plain(name) for name in idle if not any(matches(excuse, name) for excuse in excused)]
    findings.coverage += [
        f"the excuse for {excuse} excuses no case"
        for excuse in excused
        if not any(matches(excuse, name) for name in idle)
    ]


def _said(mutants: Iterable[Mutant], names: Sequence[str]) -> set[str]:
    """The cases that are said to kill a mutant, without chunking; that something of a pattern in `also` fails says little."""
    firm = {name for mutant in mutants for name in (*mutant.kills, *(n for n in mutant.also if not is_pattern(n)))}
    return {unchunked(name) for name in names if any(matches(f, name) or matches(f, unchunked(name)) for f in firm)}
