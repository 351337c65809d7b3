"""A campaign from its start to its report."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from campaign import corpus, coverage, findings, page, runner
from campaign.child import Children
from campaign.coverage import Coverage, CoverageError
from campaign.findings import Finding
from campaign.places import Places, shown
from campaign.screen import Screen, line, table
from campaign.worker import State
from guestwire.judge.verdict import Exit

FRESH_PERCENT = 90.0  # of the lines that the committed corpus reaches, from nothing
FRESH_SECONDS = 600  # which is asked of a campaign that takes so long


@dataclass
class Campaign:
    """What came out of it."""

    places: Places
    states: list[State]
    seconds: int
    started: datetime.datetime
    finished: bool
    findings: list[Finding] = field(default_factory=list)
    reached: Coverage | None = None
    troubles: list[str] = field(default_factory=list)  # beyond those of single targets
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return bool(self.findings or self.troubles or any(state.failures for state in self.states))

    @property
    def status(self) -> Exit:
        if not self.finished:
            return Exit.INTERRUPTED
        return Exit.RED if self.failed else Exit.GREEN


def run(places: Places, targets: list[str], seconds: int, jobs: int, smoke: bool, console: Console) -> int:
    """`smoke`: only that targets run and nothing breaks; nothing of it is kept but findings. Return: the exit status."""
    if not smoke:
        return _run(places, targets, seconds, jobs, False, console)
    places.build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="smoke-", dir=places.build) as folder:
        return _run(replace(places, scratch=Path(folder)), targets, seconds, jobs, True, console)


def _run(places: Places, targets: list[str], seconds: int, jobs: int, smoke: bool, console: Console) -> int:
    for target in targets:
        if places.fresh:
            shutil.rmtree(places.corpus(target), ignore_errors=True)
        places.corpus(target).mkdir(parents=True, exist_ok=True)
    states = runner.states(targets, jobs)
    started = datetime.datetime.now(datetime.timezone.utc)
    with Screen(console, states) as screen:
        finished = runner.run(places, states, seconds, jobs, screen.tick)
    campaign = Campaign(places, states, seconds, started, finished)
    try:
        _end(campaign, jobs, smoke)
    except KeyboardInterrupt:
        campaign.finished = False
    if not campaign.finished:  # what takes time is left out
        found = (each for state in states for each in state.found)
        campaign.findings = findings.collect(places, found, minimise=0, children=Children())
    _tell(campaign, smoke, console)
    return campaign.status


def _end(campaign: Campaign, jobs: int, smoke: bool) -> None:
    """Merge corpora, minimise what was found, measure what they reach."""
    if not campaign.finished:
        return
    places, targets, children = campaign.places, [state.target for state in campaign.states], Children()

    def finish(state: State) -> list[Finding]:
        wrong, found = ("", []) if smoke else corpus.merge(places, state.target, children)
        state.found += found
        campaign.troubles += [f"{state.target}: {wrong}"] if wrong else []
        return findings.collect(places, state.found, campaign.seconds, children)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            campaign.findings = [finding for each in pool.map(finish, campaign.states) for finding in each]
        except BaseException:
            children.end()
            raise
    if smoke:
        return
    try:
        campaign.reached = coverage.measure(places, {t: [*places.seeds(t), places.corpus(t)] for t in targets})
        if places.fresh:
            _compare(campaign, coverage.measure(places, {t: [places.committed(t)] for t in targets}))
    except CoverageError as error:
        campaign.troubles.append(f"coverage: {error}")


def _compare(campaign: Campaign, committed: Coverage) -> None:
    """What a campaign from nothing reached of what the committed corpora reach."""
    assert campaign.reached is not None
    wanted = {(name, line) for name, found in committed.items() for line, count in found.lines.items() if count}
    missing = {(name, line) for name, line in wanted if not campaign.reached[name].lines.get(line)}
    share = 100 * (len(wanted) - len(missing)) / len(wanted) if wanted else 0.0
    told = f"from nothing {share:.1f} % of the {len(wanted):,} lines that the committed corpora reach"
    if share < FRESH_PERCENT and campaign.seconds >= FRESH_SECONDS:
        campaign.troubles.append(f"{told}, wanted are {FRESH_PERCENT:g} %")
    else:
        campaign.notes.append(told)


def _tell(campaign: Campaign, smoke: bool, console: Console) -> None:
    """The closing words, and the report."""
    places = campaign.places
    if console.is_terminal:
        console.print(table(campaign.states))
    else:
        for state in campaign.states:
            console.print(line(state))
    for state in campaign.states:
        if state.given_up:
            console.print(f"{state.target}: given up: {state.given_up}")
        for failure in state.failures:
            console.print(f"{state.target}: {failure}")
    for each in campaign.findings:
        size = f"{each.size:,} bytes" + (f", minimised from {each.original:,}" if each.size < each.original else "")
        console.print(f"FOUND {each.target}: {each.broken.key} ({size}; seen {each.times} times)")
        console.print(
            f"  replay  {each.replay()}" + ("" if each.repeats else "  # alone it passes: depends on what ran before")
        )
        console.print(f"  keep    {each.keep()}")
    for told in (*campaign.troubles, *campaign.notes):
        console.print(told)
    if not smoke:
        path = places.build / "report.html"
        page.write(path, campaign)
        console.print(f"report: {shown(path)}")
        console.print(_corpora(campaign))
    bad = {each.target for each in campaign.findings} | {state.target for state in campaign.states if state.failures}
    failed = len(bad) or bool(campaign.troubles)
    console.print(f"{len(campaign.states) - len(bad)} passed, {failed:d} failed, 0 skipped")


def _corpora(campaign: Campaign) -> str:
    where = shown(campaign.places.corpora)
    if not campaign.finished:
        return f"interrupted; corpora are as they were found: {where}"
    if campaign.places.fresh:
        return f"corpora: {where}, minimised; the next FRESH=1 begins without them"
    return f"corpora: {where}, minimised; to take them into fuzz/corpus: make seeds"
