"""The bench that every case takes."""

from __future__ import annotations

import pytest

from guestwire.drive.bridge import BridgeBench
from guestwire.drive.bridge_vsock import VsockBench
from guestwire.drive.program import Program


@pytest.fixture
def bridge(program: Program) -> BridgeBench:
    """A client's and a guest's side around this row's bridge, which is not started yet."""
    return BridgeBench(program)


@pytest.fixture
def vsock(program: Program) -> VsockBench:
    """The same in a guest, over its vsock."""
    return VsockBench(program)
