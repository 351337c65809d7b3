"""`conform clauses`: the ledger, and what the last run made of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from guestwire.drive.connectable import UsageError
from guestwire.judge import ledger
from guestwire.judge.contract import AGENT, CONTRACTS
from guestwire.judge.ledger import Check
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.twins import unfounded
from guestwire.judge.verdict import Exit
from guestwire.report import document, folder, safe

HELP = "list clauses and checks, with the verdict of the last run"
HOST_FUNCTIONS = "host functions"


def add(parser: argparse.ArgumentParser) -> None:
    last = str(Path(folder.DEFAULT, folder.REPORT))
    parser.add_argument(
        "--contract", choices=tuple(CONTRACTS), default="", help="whose (default: that of the last run, else agent)"
    )
    parser.add_argument("--report", metavar="FILE", help=f"take the verdicts from this report (default: {last})")


class Proof:
    """What a run's cases proved, check by check."""

    def __init__(self, results: list[CaseResult], agents: list[str]) -> None:
        self._agents = agents
        self._cases: dict[tuple[str, str], Counter[str]] = {}
        self.unknown = sorted({name for case in results for name in case.checks if name not in ledger.every_check()})
        nothing = {id(case) for case in unfounded(results)}
        for case in results:
            for name in {*(case.checks if id(case) not in nothing else ()), *case.broken}:
                outcome = "FAIL" if name in case.broken and case.outcome == Outcome.PASS else case.outcome
                self._cases.setdefault((case.agent, name), Counter())[outcome] += 1

    def of(self, check: Check) -> Iterator[tuple[str, str, int]]:
        """(agent, verdict, cases) for each agent: what was proved of a check. The verdict is PASS, FAIL or NOT PROVED."""
        for agent in [HOST_FUNCTIONS] if check.clause.startswith("HOST-") else self._agents:
            found = self._cases.get((agent, check.id), Counter())
            bad = sum(found[outcome] for outcome in (Outcome.FAIL, Outcome.TIMEOUT, Outcome.CRASH))
            verdict = "FAIL" if bad else "PASS" if found[Outcome.PASS] else "NOT PROVED"
            yield agent, verdict, sum(found.values())


def _line(check: Check, proof: Proof | None) -> str:
    told = [f"[pending: {check.pending}]"] if check.pending else []
    if proof is not None and not check.pending:
        told = [f"[{safe.line(agent)}: {verdict}, {count} cases]" for agent, verdict, count in proof.of(check)]
    return " ".join([f"  {check.id}: {check.text}", *told])


def main(options: argparse.Namespace) -> int:
    path = Path(options.report or Path(folder.DEFAULT, folder.REPORT))
    proof = None
    report = document.load(path) if options.report or path.exists() else None
    contract = CONTRACTS[options.contract] if options.contract else AGENT
    if report is not None and not options.contract:
        contract = document.contract_of(report)
    if report is not None and document.contract_of(report) is not contract:
        if options.report:
            raise UsageError(
                f"{path} judges by the contract {document.contract_of(report).name}, not by {contract.name}"
            )
        report = None
    if report is not None:
        agents = [agent["label"] for agent in report["agents"]]
        proof = Proof(document.results(report), agents)
    for clause in ledger.clauses(contract).values():
        print(f"{clause.id} ({clause.level}): {clause.text}")
        if clause.excluded:
            print(f"  excluded: {clause.excluded}")
        for check in clause.checks:
            print(_line(check, proof))
    errors = ledger.strayed(contract)
    if proof is None or report is None:
        print(f"no run to take verdicts from: there is no {path} of a {contract.noun} (`conform run` writes it)")
        return _end(errors, Exit.PARTIAL)
    errors += [f"{name}: a case names it, and the ledger does not" for name in proof.unknown]
    unproved = [f"{check.id}: proved by no case of the last run [{', '.join(agents)}]"
                for check in ledger.checks(contract).values() if (agents := _unproved(check, proof, report))]  # fmt: skip
    if report["run"]["filtered"] and unproved:
        print(f"PARTIAL: the run was filtered; {len(unproved)} MUST checks are not proved")
    else:
        errors += unproved
    print(f"verdicts of the run of {safe.line(report['run']['started'])}: {document.told(report)}")
    return _end(errors, Exit(report["footer"]["exit"]))


def _unproved(check: Check, proof: Proof, report: document.Document) -> list[str]:
    """The agents on which a MUST check should have been proved and was not."""
    if check.level != "MUST" or check.pending:
        return []
    exempt = {agent["label"] for agent in report["agents"] if "native-memory" in check.tags and agent.get("sanitized")}
    labels = {agent["label"] for agent in report["agents"]}
    exempt |= {label for label in labels if not check.is_asked_on(document.transports_of(report, label))}
    return [agent for agent, verdict, _ in proof.of(check) if verdict == "NOT PROVED" and agent not in exempt]


def _end(errors: list[str], otherwise: Exit) -> int:
    for error in errors:
        print(f"ERROR {safe.line(error)}")
    return Exit.RED if errors else otherwise
