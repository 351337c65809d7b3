"""`conform report`: look at the report of an earlier run."""

from __future__ import annotations

import argparse
from pathlib import Path

from guestwire.drive.connectable import UsageError
from guestwire.report import document, folder, junit, page, safe

LONGEST = 2_000  # characters of a line
HELP = "check a report, and write it in other forms"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", type=Path, metavar="REPORT", help="report.json of an earlier run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as one HTML page")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML")
    parser.add_argument(
        "--history", type=Path, nargs="+", default=[], metavar="REPORT", help="earlier reports, for the page's trend"
    )


def main(options: argparse.Namespace) -> int:
    """Exit status: that of the run it reports."""
    report = document.load(options.report)
    if options.history and not options.html:
        raise UsageError("--history is of the page: say where with --html FILE")
    earlier = [document.load(path) for path in options.history]
    if options.html:
        _write(options.html, page.render(report, options.report.parent, earlier))
    if options.junit:
        _write(options.junit, junit.xml(report))
    footer = report["footer"]
    outcomes = ", ".join(f"{count} {name}" for name, count in footer["outcomes"].items())
    print(f"{safe.line(str(options.report))}: {document.told(report)}, {footer['cases']} cases ({outcomes})")
    for reason in footer.get("reasons", ()):
        print(f"  {safe.cut(safe.line(reason), LONGEST)}")
    status: int = footer["exit"]
    return status


def _write(path: Path, text: str) -> None:
    try:
        folder.put(path, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
