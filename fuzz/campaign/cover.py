"""`make fuzz-coverage`: what the committed corpora reach, judged by fuzz/uncovered.toml."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from campaign import bars, coverage
from campaign.places import Places, shown
from guestwire.judge.verdict import Exit


def run(places: Places, targets: list[str], console: Console) -> int:
    """Return: the exit status."""
    try:
        wanted, listed = bars.load(places.source / "uncovered.toml")
    except bars.ListError as error:
        console.print(f"fuzz-coverage: {error}")
        return Exit.USAGE
    html = places.build / "coverage/html"
    try:
        with tempfile.TemporaryDirectory() as folder:
            corpora = {target: [places.committed(target)] for target in targets}
            counted = coverage.profile(places, corpora, Path(folder))
            found = coverage.export(places, targets, counted)
            coverage.pages(places, targets, counted, html)
    except coverage.CoverageError as error:
        console.print(f"fuzz-coverage: {error}")
        return Exit.RED
    wrong = list(bars.judge(wanted, listed, found))
    summary = list(_summary(bars.shares(wanted, listed, found), found))
    (places.build / "coverage/summary.txt").write_text("\n".join([*summary, *wrong]) + "\n", encoding="utf-8")
    for line in [*summary, *wrong]:
        console.print(line)
    console.print(f"pages: {shown(html / 'index.html')}")
    console.print(f"{max(0, len(wanted) + len(listed) - len(wrong))} passed, {len(wrong)} failed, 0 skipped")
    return Exit.RED if wrong else Exit.GREEN


def _summary(reached: list[bars.Share], found: coverage.Coverage) -> list[str]:
    lines = [f"{'':34} {'lines':>16} {'branches':>18}"]
    for name, each in sorted(found.items()):
        taken = sum(taken for _, taken in each.branches)
        lines.append(_row(name, len(each.lines) - len(each.uncovered), len(each.lines), taken, len(each.branches)))
    for share in reached:
        lines.append(_row(share.bar.name, share.covered, share.lines, share.taken, share.branches))
        lines.append(
            f"{'':6}wanted: {share.bar.lines:g} % of lines ({share.excused} excused), {share.bar.branches:g} % of branches"
        )
    return lines


def _row(name: str, covered: int, lines: int, taken: int, branches: int) -> str:
    def part(some: int, whole: int) -> str:
        return f"{some}/{whole} {100 * some / whole:6.2f} %" if whole else "-"

    return f"{name:34} {part(covered, lines):>16} {part(taken, branches):>18}"
