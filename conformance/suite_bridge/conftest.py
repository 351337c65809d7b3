"""The bench that every case takes."""

from __future__ import annotations

import pytest

from guestwire.drive.bridge import BridgeBench
from guestwire.drive.program import Program


@pytest.fixture
def bridge(program: Program) -> BridgeBench:
    """A client's and a guest's side around this row's bridge, which is not started yet."""
    return BridgeBench(program)
