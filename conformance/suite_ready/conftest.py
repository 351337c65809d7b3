"""What each case takes."""

from __future__ import annotations

import pytest

from guestwire.drive.gate import GateBench
from guestwire.drive.program import Program


@pytest.fixture
def gate(program: Program) -> GateBench:
    """The gate under judgement."""
    return GateBench(program)
