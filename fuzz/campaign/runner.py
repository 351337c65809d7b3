"""Run targets side by side, as many processes at a time as there are jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from campaign.places import Places
from campaign.worker import State, Worker

TICK = 0.2  # seconds
GRACE = 10.0  # seconds that a process has to end once it is told to


def states(targets: list[str], jobs: int) -> list[State]:
    """More jobs than targets: several processes share a target and its corpus."""
    share, rest = divmod(max(jobs, len(targets)), len(targets))
    return [State(target, share + (number < rest)) for number, target in enumerate(targets)]


def run(places: Places, all_states: list[State], seconds: int, jobs: int, tick: Callable[[], None]) -> bool:
    """Give each target `seconds`. `tick` is called now and then. Return: whether it came to its end, False after a Ctrl-C; all
    that was found is on the disk and in the states either way."""
    waiting = [Worker(places, state, number, seconds) for state in all_states for number in range(state.workers)]
    running: list[Worker] = []
    try:
        while waiting or running:
            running = [worker for worker in running if worker.is_alive()]
            while waiting and len(running) < jobs:
                running.append(waiting.pop(0))
                running[-1].start()
            for state in all_states:
                with state.lock:
                    state.look()
            tick()
            time.sleep(TICK)
    except KeyboardInterrupt:
        _stop(running)
        return False
    tick()
    return True


def _stop(running: list[Worker]) -> None:
    """Also if there is another Ctrl-C."""
    for worker in running:
        worker.stop()
    with suppress(KeyboardInterrupt):
        end = time.monotonic() + GRACE
        for worker in running:
            worker.join(max(0.0, end - time.monotonic()))
    for worker in running:
        worker.kill()
        worker.join()
