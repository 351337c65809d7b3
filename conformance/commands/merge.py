"""`conform merge`: the reports of all shards of a run, made into one, with the verdict that the whole run would have got."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from guestwire.drive.connectable import UsageError
from guestwire.judge import expect
from guestwire.judge.ledger import every_check
from guestwire.judge.verdict import RunVerdict, judge
from guestwire.report import document, folder, live, terminal
from guestwire.report.document import Document

HELP = "make one report of those of all shards"
SAME = ("rows", "versions")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help="report.json of each shard")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="known failures, as for `conform run`")
    parser.add_argument(
        "--report-dir", metavar="DIR", default=folder.DEFAULT, help="where the report goes (default: %(default)s)"
    )


def _agents(report: Document) -> list[dict[str, Any]]:
    """Without the guests: each shard boots its own."""
    return [{name: value for name, value in agent.items() if name != "guest"} for agent in report["agents"]]


def _check(paths: list[Path], reports: list[Document]) -> None:
    """The reports are those of one run, every shard once. Raises UsageError."""
    first = reports[0]
    count = (first["run"].get("shard") or "").partition("/")[2]
    if not count:
        raise UsageError(f"{paths[0]} is not the report of a --shard")
    for path, report in zip(paths, reports, strict=True):
        different = ["agents"] if _agents(report) != _agents(first) else []
        different += [name for name in SAME if report[name] != first[name]]
        different += [
            name for name in ("strict", "narrowed", "contract") if report["run"].get(name) != first["run"].get(name)
        ]
        if different:
            raise UsageError(f"{path} and {paths[0]} are not of one run: other {', '.join(different)}")
        unknown = {
            name for case in report["cases"] for name in (*case["checks"], *case["broken"])
        } - every_check().keys()
        if unknown:
            raise UsageError(f"{path} is of another harness: its ledger has a check {min(unknown)}, this one's has not")
        if report["footer"]["verdict"] == "harness-bug":
            raise UsageError(f"{path} holds no verdict: its run failed")
    wanted = [f"{index}/{count}" for index in range(1, int(count) + 1)]
    given = [report["run"]["shard"] for report in reports]
    if sorted(given) != sorted(wanted):
        raise UsageError(
            f"wanted are the shards {', '.join(wanted)}, each once; given are {', '.join(map(str, given))}"
        )


def _judge(reports: list[Document], known: list[expect.Expectation]) -> RunVerdict:
    results = [case for report in reports for case in document.results(report)]
    agents: list[dict[str, Any]] = reports[0]["agents"]
    return judge(
        results,
        [(label, transport) for label, transport in reports[0]["rows"]],
        {agent["label"] for agent in agents if agent.get("sanitized")},
        filtered=reports[0]["run"]["narrowed"],
        strict=reports[0]["run"]["strict"],
        expected=len(results),
        errors=[],
        expectations=known,
        lacked={agent["label"]: frozenset(agent.get("lacks", ())) for agent in agents},
        contract=document.contract_of(reports[0]),
    )


def main(options: argparse.Namespace) -> int:
    reports = [document.load(path) for path in options.reports]
    _check(options.reports, reports)
    known = expect.load(options.expect) if options.expect else []
    verdict = _judge(reports, known)
    first = reports[0]
    run = first["run"] | {"shard": None, "filtered": verdict.filtered, "started": min(r["run"]["started"] for r in reports),
                          "seconds": sum(r["run"]["seconds"] for r in reports)}  # fmt: skip
    head = document.Head(first["versions"], run, first["agents"], [(label, name) for label, name in first["rows"]])
    results = [case for report in reports for case in document.results(report)]
    whole = document.compose(head, results, verdict.exit, verdict.settled.expected, verdict.reasons)
    wrong = document.fault(whole)
    if wrong:
        raise UsageError(f"these reports make none together: it {wrong}")
    target = Path(options.report_dir)
    if any(target.resolve() == path.resolve().parent for path in options.reports):
        raise UsageError(f"{target} holds one of these reports, which would be replaced: choose another --report-dir")
    reserved = folder.reserve(target)
    folder.claim(target)
    for path, report in zip(options.reports, reports, strict=True):
        folder.gather(path.parent, [case.evidence for case in document.results(report)], target)
    folder.fill(target, whole)
    os.close(reserved)
    texts = {agent["label"]: agent["connectable"] for agent in first["agents"]}
    terminal.show(verdict, texts, live.console(), str(target))
    print(terminal.total(verdict))
    return verdict.exit
