"""From steps that fail to fewer that fail the same way; what is reported in the end failed on fresh agents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from guestwire.stateful.model import World
from guestwire.stateful.player import Finding, TooSlow, play
from guestwire.stateful.search import Search
from guestwire.stateful.side import PATIENCE
from guestwire.stateful.steps import Recording, Step, stalls

SECONDS = 40.0  # for all of it; what is shortest by then is reported
HASTE = 1.0  # seconds; for what is due at once, while steps are tried out
EARLIER = 64  # examples on the same processes that are taken into account

Steps = list[Step]
Fails = Callable[[Steps], bool]


def _numbers(step: Step, last: int) -> list[int]:
    """The hosts that a step opens, if `last` is the last one opened before it."""
    count = {"open": 1, "burst": step.size}.get(step.do, 0)
    return list(range(last + 1, last + 1 + count))


def possible(steps: Steps, kept: set[int]) -> Steps:
    """The steps of these indices, their hosts numbered anew; less those that the model then finds impossible."""
    world = World()
    names: dict[int, int] = {}
    result: Steps = []
    last = 0
    for index, step in enumerate(steps):
        opened = _numbers(step, last)
        last += len(opened)
        if index not in kept or (step.host and not opened and step.host not in names):
            continue
        fresh = range(len(world.talks) + 1, len(world.talks) + 1 + len(opened))
        named = dict(zip(opened, fresh, strict=True))
        host = named.get(step.host, names.get(step.host, 0))
        if world.can(moved := replace(step, host=host)):
            names |= named
            world.take(moved)
            result.append(moved)
    return result


def whole(steps: Steps) -> Steps:
    """An example with the steps that end it."""
    world = World()
    result = list(steps)
    for step in steps:
        world.take(step)
    while (last := world.closing()) is not None:
        world.take(last)
        result.append(last)
    return result


def joined(examples: list[Steps]) -> Steps:
    """Examples one after another, as one."""
    result: Steps = []
    last = 0
    for steps in examples:
        result += [replace(step, host=step.host + last) if step.host else step for step in steps]
        last += sum(len(_numbers(step, 0)) for step in steps)
    return result


def _candidates(steps: Steps) -> Iterator[Steps]:
    """Shorter or simpler lists, the boldest first."""
    everything = set(range(len(steps)))
    for host in sorted({step.host for step in steps if step.host}, reverse=True):
        yield possible(steps, {index for index, step in enumerate(steps) if step.host != host})
    size = max(len(steps) // 2, 1)
    while True:
        for start in range(0, len(steps), size):
            yield possible(steps, everything - set(range(start, start + size)))
        if size == 1:
            break
        size = size // 2
    for index, step in enumerate(steps):
        for simpler in _simpler(step):
            yield possible([*steps[:index], simpler, *steps[index + 1 :]], everything)


def _simpler(step: Step) -> Iterator[Step]:
    least = 2 if step.do == "burst" else 1
    if step.size > least:
        yield replace(step, size=least)
    if step.bytes > 1:
        yield replace(step, bytes=1)
    if step.data > 1:
        yield replace(step, data=1)


def shrink(steps: Steps, fails: Fails, until: float) -> list[Steps]:
    """Ever shorter lists that fail, found until that time on the monotonic clock; the last one is the shortest."""
    tried: set[tuple[Step, ...]] = {tuple(steps)}
    found = [steps]
    again = True
    while again:
        again = False
        for candidate in _candidates(found[-1]):
            if tuple(candidate) in tried or not candidate:
                continue
            if time.monotonic() > until:
                return found
            tried.add(tuple(candidate))
            if fails(candidate):
                found.append(candidate)
                again = True
                break
    return found


def _finding(found: Search, steps: Steps, patience: float, fresh: bool = True) -> Finding | None:
    """What comes of steps, on fresh agents or on those that have passed everything since they were."""
    if fresh:
        found.arena.renew()
    try:
        play(steps, found.arena.sides(found.seconds(steps), patience))
    except Finding as finding:
        found.arena.renew()
        return finding
    except TooSlow:
        found.arena.renew()
    return None


def reproduce(found: Search, until: float) -> Steps | None:
    """Steps that fail on fresh agents: those that failed, after as few of the examples before them, on the same processes, as it
    takes; or None if there are none, or none were found until that time on the monotonic clock."""
    assert found.failing is not None
    earlier = [steps for steps in found.earlier[:-1] if stalls(steps) == stalls(found.failing)]
    count = 0
    while time.monotonic() < until:
        before = [whole(steps) for steps in earlier[len(earlier) - count :]]
        steps = joined([*before, found.failing])
        if _finding(found, steps, PATIENCE) is not None:
            return steps
        if count == min(EARLIER, len(earlier)):
            break
        count = min(max(1, 2 * count), EARLIER, len(earlier))
    return None


def smallest(found: Search) -> tuple[Recording, Finding, bool]:
    """A case to be kept: the shortest failing steps, with what the oracle alone makes of them. The finding, and whether it came
    again on fresh agents; if not, the steps are as they were drawn."""
    assert found.failing is not None
    assert found.finding is not None
    began = time.monotonic()
    steps, finding = reproduce(found, began + SECONDS), found.finding
    repeated = steps is not None
    if steps is not None:
        first = finding

        def fails(candidate: Steps) -> bool:
            seen = _finding(found, candidate, HASTE, fresh=False)
            return seen is not None and (seen.check, seen.late) == (first.check, first.late)

        for shrunk in reversed(shrink(steps, fails, began + SECONDS)):
            if (last := _finding(found, shrunk, PATIENCE)) is not None:
                steps, finding = shrunk, last
                break
    recording = Recording(finding.expected, [finding.check], steps or found.failing)
    found.arena.renew()
    try:
        player = play(recording.steps, found.arena.sides(recording.seconds)[:1])
        recording.outcomes, recording.files = player.outcomes, player.files or {}
    except (Finding, TooSlow) as error:  # it is the oracle that fails: nobody knows the answers
        recording.title += f" (and the oracle by itself: {error})"
    return recording, finding, repeated
