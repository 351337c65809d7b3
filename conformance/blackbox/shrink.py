"""From an input that fails to a smaller one that fails the same way, each tried on processes that have not failed before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from guestwire.blackbox import gate, words
from guestwire.blackbox.duel import SOON, Duel, Finding
from guestwire.blackbox.inputs import Input
from guestwire.blackbox.side import PATIENCE
from guestwire.drive.row import SETTLE_TIMEOUT

if TYPE_CHECKING:
    from guestwire.blackbox.campaign import Found

TRIES = 200  # for one finding; what is smallest by then is kept
SECONDS = 60.0  # the same, where tries take long
HASTE = 0.7  # seconds for an answer, while smaller inputs are tried out that hang
Try = Callable[[Input], bool]


def smallest(duel: Duel, found: Found) -> None:
    """See it again on fresh processes, and replace its input by a smaller one. If it is not seen again, it stays as it is."""
    hangs, whole, tries = found.finding.kind == "hang", found.drawn, 0

    def fails(drawn: Input) -> bool:
        nonlocal tries
        if not drawn.frames or not gate.passes(drawn) or tries >= TRIES or time.monotonic() > end:
            return False
        tries += 1
        finding = _again(duel, drawn, found.finding)
        if finding is None:
            return False
        found.finding = finding
        return True

    duel.renew()
    first = _again(duel, whole, found.finding, SETTLE_TIMEOUT)
    if first is None:
        return
    found.finding, found.again = first, True
    end = time.monotonic() + SECONDS
    duel.agent.patience = HASTE if hangs else PATIENCE
    try:
        for drawn in _walk(whole, fails):
            found.drawn = drawn
    finally:
        duel.agent.patience = PATIENCE
    if found.finding.kind in ("hang", "leak") and _again(duel, found.drawn, first, SETTLE_TIMEOUT) is None:
        found.drawn, found.finding = whole, first  # what was left is merely slow


def _again(duel: Duel, drawn: Input, wanted: Finding, within: float = SOON) -> Finding | None:
    """The finding, if it is one of the same kind; what leaks stays for so many seconds. Whatever fails, the sides are fresh
    afterwards."""
    finding = duel.leaks(drawn, within) if wanted.kind == "leak" else duel.play(drawn)
    if finding is not None and finding.kind in ("crash", "hang", "leak", "frames"):
        duel.renew()
    elif finding is not None:
        for side in duel.sides:
            side.hang_up()
    return finding if finding is not None and finding.signature == wanted.signature else None


def _walk(drawn: Input, fails: Try) -> Iterator[Input]:
    """Ever smaller ones that fail, each of which is tried once."""
    seen: set[Input] = set()
    going = True
    while going:
        going = False
        for candidate in _smaller(drawn):
            if candidate in seen:
                continue
            seen.add(candidate)
            if fails(candidate):
                drawn, going = candidate, True
                yield drawn
                break


def _smaller(drawn: Input) -> Iterator[Input]:
    """By one thing, the largest first."""
    if drawn.cuts:
        yield replace(drawn, cuts=())
        for number in range(len(drawn.cuts)):
            yield replace(drawn, cuts=drawn.cuts[:number] + drawn.cuts[number + 1 :])
    if drawn.tail:
        yield replace(drawn, tail=b"")
    for number in reversed(range(len(drawn.frames))):
        yield drawn.with_frame(number)
    for number, frame in enumerate(drawn.frames):
        if frame.announced is not None:
            yield drawn.with_frame(number, replace(frame, announced=None))
        for payload in _shorter(frame.payload):
            yield drawn.with_frame(number, replace(frame, payload=payload))


def _shorter(payload: bytes) -> Iterator[bytes]:
    """Without a run of its JSON tokens, or of its bytes: half of all, a quarter, down to one."""
    tokens = words.TOKEN.findall(payload)
    for pieces in (tokens, [payload[at : at + 1] for at in range(len(payload))] if len(payload) <= 400 else []):
        size = len(pieces) // 2 or len(pieces)
        while size:
            for start in range(0, len(pieces), size):
                yield b"".join(pieces[:start] + pieces[start + size :])
            size //= 2
