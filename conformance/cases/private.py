"""A folder of its own for every play of a case: what stands for its name in a case, and what is put in the place of that."""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from guestwire.cases.model import Answer, Conversation, DataCase, Step

ANY = "XXXXXXXX"  # of a name, what each play draws anew, as long: lengths of frames and paths stay as they are
TOP = f"/tmp/guestwire-fuzz-{ANY}"
_LETTERS = string.ascii_lowercase + string.digits


def of_its_own(case: DataCase) -> tuple[DataCase, str]:
    """The case with a name that nobody can foresee for its folder, in all that is sent and expected, and that name; as it is,
    and "", if it has no folder."""
    new = TOP.replace(ANY, "".join(secrets.choice(_LETTERS) for _ in ANY))

    def put(data: bytes) -> bytes:
        return data.replace(TOP.encode(), new.encode())

    made = replace(case, conversations=tuple(_conversation(each, put) for each in case.conversations))
    return (case, "") if made == case else (made, new)


def _conversation(script: Conversation, put: Callable[[bytes], bytes]) -> Conversation:
    steps: list[Step] = []
    for kind, found in itertools.groupby(script.steps, lambda step: step.kind):
        if kind == "send":
            steps += _sent(list(found), put)
        else:
            steps += [replace(each, value=_expected(each.value, put)) if kind == "expect" else each for each in found]
    return replace(script, steps=tuple(steps))


def _sent(steps: list[Step], put: Callable[[bytes], bytes]) -> Iterator[Step]:
    """Sends in a row are one stream: the name may be cut between two of them."""
    pieces = [step.raw() for step in steps] if any(ANY[0] in str(step.value) for step in steps) else []
    stream, at = put(b"".join(pieces)), 0
    if stream == b"".join(pieces):
        yield from steps
        return
    for piece in pieces:
        yield Step("send", {"raw": [{"hex": stream[at : at + len(piece)].hex()}]})
        at += len(piece)


def _expected(answer: Answer, put: Callable[[bytes], bytes]) -> Answer:
    def text(value: Any) -> Any:
        return put(value.encode()).decode() if isinstance(value, str) else value

    return replace(
        answer, contains=text(answer.contains), members=tuple((name, text(value)) for name, value in answer.members),
        stdout=put(answer.stdout), stderr=put(answer.stderr), data=answer.data if answer.data is None else put(answer.data),
    )  # fmt: skip
