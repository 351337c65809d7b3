"""What a campaign shows: one table that changes on a terminal, a line for each target now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from campaign.worker import State

PLAIN_EVERY = 15.0  # seconds between lines where nothing can be overwritten
REDRAW = 0.5  # seconds
COLUMNS = ("runs", "per second", "edges", "features", "corpus", "newest edge", "found")


def duration(seconds: float) -> str:
    """For people: 7 s, 3 min 5 s, 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def cells(state: State) -> tuple[str, ...]:
    """In the order of COLUMNS."""
    return (
        f"{state.executions:,}",
        f"{state.per_second:,}",
        f"{state.edges:,}",
        f"{state.features:,}",
        f"{state.corpus:,}",
        f"{duration(state.since_newest)} ago" if state.edges else "-",
        str(len({found.broken.key for found in state.found})),
    )


def phase(state: State) -> str:
    if state.failures:
        return "failed"
    if state.begun is None:
        return "waits"
    if state.ended is None:
        return duration(state.seconds)
    return "given up" if state.given_up else "done"


def table(states: list[State]) -> Table:
    made = Table(box=None, pad_edge=False)
    made.add_column("target", no_wrap=True)
    for column in COLUMNS:
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    for state in states:
        style = "red" if state.found or state.failures else "dim" if state.ended else ""
        made.add_row(state.target, *cells(state), phase(state), style=style)
    return made


class Screen:
    """A context that shows the states; `tick()` is to be called often."""

    def __init__(self, console: Console, states: list[State]) -> None:
        self._console, self._states = console, states
        self._told = self._drawn = time.monotonic()
        moving = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(table(states), console=console, auto_refresh=False, transient=True) if moving else None

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tick(self) -> None:
        now = time.monotonic()
        if self._live is not None:
            if now - self._drawn >= REDRAW:
                self._drawn = now
                self._live.update(table(self._states), refresh=True)
        elif now - self._told >= PLAIN_EVERY:
            self._told = now
            for state in self._states:
                if state.begun is not None and state.ended is None:
                    self._console.print(line(state))
            self._console.file.flush()


def line(state: State) -> str:
    """A target in one line."""
    parts = ", ".join(f"{name} {value}" for name, value in zip(COLUMNS, cells(state), strict=True))
    return f"{state.target} ({phase(state)}): {parts}"
