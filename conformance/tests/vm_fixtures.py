"""What the tests of the vsock backend share: a backend for a file's tests, a guest that behaves, and the control of faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from guestwire.tests.vm_guest import Guest, World
from guestwire.vm.faults import Faults


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def guest(world: World) -> Iterator[Guest]:
    guest = Guest(world.front)
    guest.start()
    yield guest
    guest.close()


@pytest.fixture
def faults(world: World) -> Iterator[Faults]:
    with Faults(world.control) as faults:
        yield faults
        faults.patience(1)
