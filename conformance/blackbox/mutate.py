"""Draws inputs: a seed, changed a few times frame by frame. What is drawn depends on the seed, the number and the seeds alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from guestwire.blackbox import gate, words
from guestwire.blackbox.inputs import HEADER, Frame, Input
from guestwire.cases.parts import LIMITS

TRIES = 12  # until something passes the gate; then a seed goes as it is
PLAIN = 5  # seeds at the head that are served: cases are of refusals, most of them
FRAMES = 24  # an input has no more
TYPES = (0, 1, 1, 2, 3, 4, 4, 5, 5, 6, 0x7B, 0xFF)
FILLERS = (b" ", b"\n", b"\t")
Random = random.Random
Change = Callable[[Random, Input, Sequence[Input]], Input]


def draw(seed: int, number: int, seeds: Sequence[Input], floods: bool = True) -> Input:
    """Input `number` of a campaign. `floods`: some are filled up to the limits of the contract."""
    chance = random.Random(f"{seed}/{number}")
    for _ in range(TRIES):
        drawn = chance.choice(seeds[:PLAIN] if chance.random() < 0.3 else seeds)
        for _ in range(1 + int(chance.expovariate(0.7))):
            drawn = chance.choices(CHANGES, WEIGHTS)[0](chance, drawn, seeds)
        if floods and chance.random() < 0.01:
            drawn = _fill(chance, drawn)
        if chance.random() < 0.15:
            drawn = _cut(chance, drawn)
        drawn = replace(drawn, frames=drawn.frames[:FRAMES])
        if gate.passes(drawn):
            return drawn
    return chance.choice(seeds)


def _some(chance: Random, drawn: Input) -> int:
    """A frame's number; mostly the first one's, which is the request."""
    return 0 if chance.random() < 0.7 else chance.randrange(len(drawn.frames))


# ---- of frames


def _frame_type(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    number = _some(chance, drawn)
    return drawn.with_frame(number, replace(drawn.frames[number], kind=chance.choice(TYPES)))


def _frame_length(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    """The header lies."""
    number = _some(chance, drawn)
    frame = drawn.frames[number]
    near = [len(frame.payload) + step for step in (-5, -1, 1, 5)]
    far = [0, 1, 255, 256, LIMITS["chunk"], LIMITS["control-limit"], LIMITS["control-limit"] + 1]
    cap = [LIMITS["cap"], LIMITS["cap"] + 1, 1 << 31, (1 << 32) - 1]
    announced = max(chance.choice([*near, *far, *cap]), 0)
    return drawn.with_frame(number, replace(frame, announced=announced))


def _frame_again(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    number = chance.randrange(len(drawn.frames))
    return drawn.with_frame(number, drawn.frames[number], drawn.frames[number])


def _frame_gone(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    number = chance.randrange(len(drawn.frames))
    return drawn.with_frame(number) if len(drawn.frames) > 1 else drawn


def _frame_more(chance: Random, drawn: Input, seeds: Sequence[Input]) -> Input:
    """One of its own making, or of another seed, somewhere."""
    made = [Frame(4, bytes(chance.choice((0, 1, 3, 6, 300)))), Frame(5, chance.choice((b"", b"x"))), Frame(2, b"out")]
    frame = chance.choice([*made, chance.choice(chance.choice(seeds).frames)])
    number = chance.randrange(len(drawn.frames) + 1)
    return replace(drawn, frames=(*drawn.frames[:number], frame, *drawn.frames[number:]))


def _frame_order(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    frames = list(drawn.frames)
    chance.shuffle(frames)
    return replace(drawn, frames=tuple(frames))


def _frame_split(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    """Its payload in two frames."""
    number = chance.randrange(len(drawn.frames))
    frame = drawn.frames[number]
    at = chance.randrange(len(frame.payload) + 1)
    return drawn.with_frame(number, Frame(frame.kind, frame.payload[:at]), Frame(frame.kind, frame.payload[at:]))


def _tail(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    """The stream ends inside a header, or inside a frame."""
    header = HEADER.pack(chance.choice(TYPES), chance.choice((0, 1, 7, 1 << 16, 1 << 32)) % (1 << 32))
    return replace(drawn, tail=header[: chance.randrange(1, 6)])


# ---- of payloads


def _payload(chance: Random, drawn: Input, change: Callable[[Random, bytes], bytes]) -> Input:
    number = _some(chance, drawn)
    frame = drawn.frames[number]
    changed = change(chance, frame.payload)
    announced = frame.announced if chance.random() < 0.9 else len(frame.payload)  # one in ten is not repaired
    return drawn.with_frame(number, replace(frame, payload=changed, announced=announced))


def _bytes(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    return _payload(chance, drawn, words.some_bytes)


def _tokens(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    return _payload(chance, drawn, words.some_tokens)


def _members(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    return _payload(chance, drawn, words.some_members)


def _request(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    """A request of its own making in the place of the first frame."""
    return drawn.with_frame(0, Frame(1, words.request(chance)))


def _upload(chance: Random, drawn: Input, _: Sequence[Input]) -> Input:
    """An upload of its own making."""
    size = chance.choice((0, 1, 3, 6, 70_000))
    sent = size if chance.random() < 0.6 else max(size + chance.choice((-1, 1)), 0)
    at = chance.randrange(sent + 1)
    frames = [Frame(1, words.request(chance, "put_file", size)), Frame(4, b"a" * at), Frame(4, b"b" * (sent - at))]
    return replace(drawn, frames=(*frames, Frame(5, b"")), tail=b"")


def _fill(chance: Random, drawn: Input) -> Input:
    """White space before the object, up to about the size that a control frame may have."""
    number = _some(chance, drawn)
    frame = drawn.frames[number]
    wanted = LIMITS["control-limit"] + chance.choice((-1, 0, 1, 2, 4096))
    filler = chance.choice(FILLERS) * max(wanted - len(frame.payload), 0)
    return drawn.with_frame(number, replace(frame, payload=filler + frame.payload, announced=None))


def _cut(chance: Random, drawn: Input) -> Input:
    size = len(drawn.stream())
    cuts = (chance.randrange(size + 1) for _ in range(chance.randrange(1, 5)))
    return replace(drawn, cuts=tuple(sorted(cuts)))


CHANGES: tuple[Change, ...] = (
    *(_frame_type, _frame_length, _frame_again, _frame_gone, _frame_more, _frame_order, _frame_split, _tail),
    *(_bytes, _tokens, _members, _request, _upload),
)
WEIGHTS = (2, 3, 1, 1, 3, 1, 1, 1, 6, 8, 8, 6, 3)
