"""What a case can come to, and how a violation is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """Of one case on one agent over one transport."""

    PASS = "PASS"
    FAIL = "FAIL"
    TIMEOUT = "TIMEOUT"  # a wait ran into its deadline
    CRASH = "CRASH"  # the agent ended by itself
    NOT_APPLICABLE = "NOT-APPLICABLE"  # the agent's descriptor declares that it lacks what is judged
    COULD_NOT_RUN = "COULD-NOT-RUN"  # asked for, not possible here


LONGEST = 10_000  # characters that are kept of what was expected or came: an agent may send a mebibyte


def bounded(text: str) -> str:
    """The text, or its two ends."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} ... {text[-LONGEST // 3 :]} ({len(text)} characters)"


class Violation(AssertionError):
    """The agent broke a check."""

    def __init__(self, expected: str, actual: str) -> None:
        expected, actual = bounded(expected), bounded(actual)
        super().__init__(f"expected: {expected}\n  actual: {actual}")
        self.expected = expected
        self.actual = actual


class DeadlineExceeded(Violation):
    """A wait of the case ran into its deadline: TIMEOUT."""


class Crash(Violation):
    """The agent ended when it should not have: CRASH."""


class CouldNotRun(Exception):
    """The case was asked for and cannot run here; the text says what is missing and what would mend it."""


class NotApplicable(Exception):
    """The case judges or uses what the agent lacks by its descriptor; the text says what."""


def short(value: object, limit: int = 300) -> str:
    """A value for a report line."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 3 :]} ({len(text)} characters)"


def expect(condition: object, expected: str, actual: object) -> None:
    """Raise Violation unless the condition holds."""
    if not condition:
        raise Violation(expected, actual if isinstance(actual, str) else short(actual))


def expect_equal(actual: object, expected: object, what: str) -> None:
    """Raise Violation unless both are equal."""
    if actual != expected:
        raise Violation(f"{what}: {short(expected)}", short(actual))


@contextmanager
def about(what: str) -> Iterator[None]:
    """Say in a violation which of a case's inputs it is about."""
    try:
        yield
    except Violation as error:
        raise type(error)(f"{error.expected} [{what}]", error.actual) from None


@dataclass
class CaseResult:
    """One case on one agent over one transport; `broken` maps each check that failed to (expected, actual)."""

    case: str  # id without transport
    agent: str
    transport: str
    checks: list[str]
    outcome: str = Outcome.PASS.value
    expected: str = ""
    actual: str = ""
    seconds: float = 0.0
    deadline: float = 0.0  # seconds that it may take; 0: not known
    broken: dict[str, list[str]] = field(default_factory=dict)
    evidence: str = ""  # its folder, relative to the report's
    twin: str = ""  # the case without which this one proves nothing; see judge/twins.py

    @property
    def id(self) -> str:
        return f"{self.case}@{self.transport}"

    @property
    def failed(self) -> bool:
        """Whether the agent failed it, or a check on the way."""
        return self.outcome in (Outcome.FAIL, Outcome.TIMEOUT, Outcome.CRASH) or bool(self.broken)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> CaseResult:
        """The result that to_json() gave; names that are not its own are left out."""
        names = {each.name for each in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in fields.items() if name in names})

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)
