"""How the vsock backend ends, and where it does not begin."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from guestwire.tests.vm_guest import DEADLINE, World

BUFFER = 1 << 18


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_ends_with_its_parent(tmp_path: Path, world: World) -> None:
    """Also when that was killed: its sockets are gone then."""
    folder = tmp_path / "child"
    folder.mkdir()
    arguments = [argument.replace(str(world.front.parent), str(folder)) for argument in world.arguments]
    starts = "import subprocess, sys, time; child = subprocess.Popen(sys.argv[1:]); print(child.pid, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", starts, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        wait_until((folder / "hybrid.sock").exists)
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
        assert select.select([child], [], [], DEADLINE)[0]
        os.close(child)
    assert not list(folder.iterdir())


def test_a_place_that_cannot_be_listened_on(world: World) -> None:
    result = subprocess.run(world.arguments, capture_output=True, text=True, timeout=DEADLINE)
    assert result.returncode == 2
    assert result.stderr.startswith("vsock backend: cannot listen: ")
    assert world.front.exists()
