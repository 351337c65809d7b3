"""report.html of a campaign: one file without a script, which asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from campaign.coverage import Coverage, FileCoverage, source
from campaign.findings import Finding
from campaign.screen import duration
from campaign.worker import Sample, State
from guestwire.report import safe
from guestwire.report.page import TEMPLATE

if TYPE_CHECKING:
    from campaign.whole import Campaign

POINTS = 400  # of a curve
ROWS = 12  # of the table beside it
LOG = 6_000  # characters of a finding's output
STYLE = Path(__file__).with_name("page.css")


def write(path: Path, campaign: Campaign) -> None:
    """Put the page there, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(render(campaign))
    Path(name).chmod(0o644)
    Path(name).replace(path)


def text(value: object) -> str:
    """Of whatever origin, as text of the page."""
    return html.escape(safe.printable(str(value)))


def render(campaign: Campaign) -> str:
    style = "".join(path.read_text(encoding="utf-8") for path in (TEMPLATE / "page.css", STYLE))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    told, tone = _verdict(campaign)
    body = "\n".join(_body(campaign, told, tone))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-{digest}'">
<link rel="icon" href="data:,">
<title>{text(told)}: fuzzing campaign</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _verdict(campaign: Campaign) -> tuple[str, str]:
    """In words, and how it looks."""
    findings = len(campaign.findings)
    told = f"{findings} finding{'' if findings == 1 else 's'}" if findings else "nothing found"
    if not campaign.finished:
        return f"{told}, interrupted", "bad" if campaign.failed else "odd"
    if campaign.failed and not findings:
        return "a target does not work", "bad"
    return told, "bad" if findings else "good"


def _body(campaign: Campaign, told: str, tone: str) -> Iterator[str]:
    runs = sum(state.executions for state in campaign.states)
    started = campaign.started.strftime("%Y-%m-%d %H:%M UTC")
    yield '<a class="skip" href="#targets">Skip to the targets</a>'
    yield f'<header><h1>Fuzzing campaign</h1><p id="verdict" class="{tone}">{text(told)}</p>'
    kind = "from nothing" if campaign.places.fresh else "from the corpora"
    per_target = f"{duration(campaign.seconds)} for each of {len(campaign.states)} targets"
    yield f'<p id="counts" class="dim">{started}, {per_target}, {kind}, {runs:,} runs</p></header>'
    yield "<main>"
    troubles = [*campaign.troubles, *campaign.notes]
    if troubles:
        yield '<ul id="reasons">' + "".join(f"<li>{text(each)}</li>" for each in troubles) + "</ul>"
    if campaign.findings:
        yield '<section id="findings" aria-labelledby="findings-title"><h2 id="findings-title">Findings</h2>'
        yield from map(_finding, campaign.findings)
        yield "</section>"
    yield '<section id="targets" aria-labelledby="targets-title" tabindex="-1"><h2 id="targets-title">Targets</h2>'
    for state in campaign.states:
        yield from _target(state)
    yield "</section>"
    yield '<section id="missed" aria-labelledby="missed-title"><h2 id="missed-title">Lines not reached</h2>'
    yield from _missed(campaign.reached)
    yield "</section></main>"


def _finding(finding: Finding) -> str:
    log = finding.path.with_name(f"{finding.path.name}.log")
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    alone = "" if finding.repeats else "<p>Alone it passes: it depends on what ran before.</p>"
    return f"""<details class="case"><summary><span class="tag bad">{text(finding.target)}</span> {text(finding.broken.key)}
<span class="message">{finding.size:,} bytes, found as {finding.original:,}, seen {finding.times} times</span></summary>
<div class="body">{alone}<h3>Replay</h3><pre>{text(finding.replay())}</pre>
<h3>Keep as a regression</h3><pre>{text(finding.keep())}</pre>
<h3>What it said</h3><pre>{text(safe.cut(said, LOG))}</pre></div></details>"""


# ---- a target


def _target(state: State) -> Iterator[str]:
    facts = [
        ("Runs", f"{state.executions:,}"),
        ("Runs a second", f"{state.per_second:,}"),
        ("Edges", f"{state.edges:,}"),
        ("Features", f"{state.features:,}"),
        ("Corpus", f"{state.corpus:,} inputs"),
        ("Newest edge", f"{duration(state.since_newest)} before the end" if state.edges else "none"),
    ]
    tone = "bad" if state.found or state.failures else "good"
    words = state.failures or ([f"found {len(state.found)}"] if state.found else ["nothing found"])
    words = [*words, state.given_up] if state.given_up else words
    yield f'<article class="target"><h3>{text(state.target)} <span class="tag {tone}">{text("; ".join(words))}</span></h3>'
    yield "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>" for name, value in facts) + "</dl>"
    if len(state.samples) > 1:
        yield from _curve(state)
    yield "</article>"


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many of them, the first and the last among them."""
    if len(samples) <= most:
        return list(samples)
    step = (len(samples) - 1) / (most - 1)
    return [samples[round(number * step)] for number in range(most)]


def _curve(state: State) -> Iterator[str]:
    """Edges over time, as a picture and as a table."""
    end, most = max(state.seconds, 0.1), max(sample.edges for sample in state.samples)
    points = thinned(state.samples, POINTS)
    steps = [(0.0, points[0].edges)]
    for sample in points:
        steps += [(sample.at, steps[-1][1]), (sample.at, sample.edges)]
    steps.append((end, steps[-1][1]))
    drawn = " ".join(f"{1000 * at / end:.1f},{100 - 96 * edges / most:.2f}" for at, edges in steps)
    told = f"{state.target}: from {points[0].edges:,} edges to {most:,} in {duration(end)}"
    yield f"""<figure><div class="curve"><span class="top">{most:,} edges</span>
<svg role="img" aria-label="{text(told)}" viewBox="0 0 1000 100" preserveAspectRatio="none"><polyline points="{drawn}"/></svg>
<span class="left">start</span><span class="right">{duration(end)}</span></div>
<details><summary>As a table</summary><table>
<thead><tr><th>After</th><th>Edges</th><th>Corpus</th><th>Runs</th></tr></thead><tbody>"""
    for sample in thinned(state.samples, ROWS):
        numbers = "".join(f"<td>{number:,}</td>" for number in (sample.edges, sample.corpus, sample.executions))
        yield f"<tr><td>{duration(sample.at)}</td>{numbers}</tr>"
    yield "</tbody></table></details></figure>"


# ---- lines


def _missed(reached: Coverage | None) -> Iterator[str]:
    if reached is None:
        yield "<p>Not measured.</p>"
        return
    touched = {name: found for name, found in sorted(reached.items()) if len(found.uncovered) < len(found.lines)}
    for name, found in touched.items():
        yield from _file(name, found)
    rest = sorted(set(reached) - set(touched))
    if rest:
        yield f'<details class="case"><summary>{len(rest)} files of which nothing was reached</summary>'
        yield f'<div class="body"><pre>{text(chr(10).join(rest))}</pre></div></details>'


def _file(name: str, found: FileCoverage) -> Iterator[str]:
    missed, total = found.uncovered, len(found.lines)
    percent = 100 * (total - len(missed)) / total
    tone = "odd" if missed else "good"
    head = f'<span class="tag {tone}">{percent:.1f} %</span> <span class="id">{text(name)}</span>'
    if not missed:
        yield f'<p class="whole">{head}</p>'
        return
    yield f'<details class="case"><summary>{head}<span class="message">{len(missed)} of {total} lines</span></summary>'
    yield f'<div class="body"><pre>{text(chr(10).join(_excerpt(name, missed)))}</pre></div></details>'


def _excerpt(name: str, missed: list[int]) -> Iterator[str]:
    """The lines with their numbers, a blank line between those that do not follow each other; a whole function with its head."""
    for number, (_, group) in enumerate(groupby(enumerate(missed), key=lambda pair: pair[1] - pair[0])):
        if number:
            yield ""
        lines = [line for _, line in group]
        first = lines[0] - 1 if source(name, lines[0]) == "{" else lines[0]
        for line in [*range(first, lines[0]), *lines]:
            yield f"{line:5}  {source(name, line)}"
