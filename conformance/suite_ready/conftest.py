"""What each case takes."""

from __future__ import annotations

import pytest

from guestwire.drive.far_side import FarSide
from guestwire.drive.gate import GateBench
from guestwire.drive.program import Program


@pytest.fixture
def gate(program: Program) -> GateBench:
    """The gate under judgement."""
    return GateBench(program)


@pytest.fixture
def far(program: Program) -> FarSide:
    """What of the host and the guest a gate in that guest meets over vsock."""
    return FarSide(program)
