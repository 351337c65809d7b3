"""Where mutation begins: the conversations of the cases that are data, files of a corpus, and one plain request of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from guestwire.blackbox import gate
from guestwire.blackbox.inputs import HOME, Frame, Input, parse
from guestwire.cases import DataCase, all_cases
from guestwire.drive.connectable import UsageError

LONGEST = 16 << 10  # bytes of a seed; what is near a limit of the contract is filled up by mutation
MOVED = (  # paths of the cases, and what is there in their place
    (b"/tmp/guestwire-twin", HOME + b"/new"),
    (b"/tmp/guestwire-half", HOME + b"/new"),
    (b"/nowhere/file", HOME + b"/missing/x"),
    (b"/nowhere", HOME + b"/missing"),
    (b"/proc/sys/kernel/ostype", HOME + b"/old"),
)
PLAIN: tuple[dict[str, object], ...] = (
    {"op": "ping"},
    {"op": "run", "cmd": "printf out; printf err >&2", "shell": "raw", "timeout": 30, "env": {"WHO": "me", "N": 7}},
    {"op": "get_file", "path": f"{gate.FOLDER}/old"},
    {"op": "get_file", "path": f"{gate.FOLDER}/large"},
)
UPLOAD: dict[str, object] = {"op": "put_file", "path": f"{gate.FOLDER}/new", "name": "name", "mode": 384, "size": 6}


def _moved(raw: bytes) -> bytes:
    """With the paths of the cases below the private folder."""
    for old, new in MOVED:
        raw = raw.replace(old, new)
    return raw


def control(fields: dict[str, object]) -> Frame:
    """A request."""
    return Frame(1, json.dumps(fields, separators=(",", ":")).encode())


def _of_case(case: DataCase) -> Iterator[Input]:
    """Its conversations. A header that was right follows the new paths, one that was wrong stays as it is."""
    for conversation in case.conversations:
        raw = b"".join(step.raw() for step in conversation.steps if step.kind == "send")
        if len(raw) <= LONGEST:
            cut = parse(raw)
            frames = tuple(replace(frame, payload=_moved(frame.payload)) for frame in cut.frames)
            yield Input(frames, cut.tail, origin="#".join(filter(None, (case.id, conversation.name))))


def _of_corpora(folders: Iterable[Path]) -> Iterator[Input | None]:
    """Files of frames; what does not begin with a frame is taken for a control payload. None for one that is too long."""
    for folder in folders:
        try:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}") from None
        if not files:
            raise UsageError(f"{folder} is no folder with a corpus in it")
        for path in files:
            try:
                with path.open("rb") as file:
                    raw = file.read(LONGEST + 1)
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}") from None
            framed = raw[:1] < b"\x06" and len(raw) > 5
            made = parse(raw, path.name) if framed else Input((Frame(1, raw),), origin=path.name)
            yield made if len(raw) <= LONGEST else None


def _fit(drawn: Input | None) -> bool:
    return drawn is not None and bool(drawn.frames) and gate.passes(drawn)


def seeds(corpora: Iterable[Path] = (), tell: Callable[[str], None] = lambda _: None) -> list[Input]:
    """All of them, each once, in an order that depends on nothing else. `tell` gets a line about what is taken of the corpora.
    Raises UsageError."""
    upload = (control(UPLOAD), Frame(4, b"abc"), Frame(4, b"def"), Frame(5, b""))
    found = [Input((control(fields),), origin=str(fields["op"])) for fields in PLAIN] + [
        Input(upload, origin="put_file")
    ]
    for case in all_cases().values():
        found += _of_case(case)
    given = list(_of_corpora(corpora))
    taken = [each for each in given if each is not None and _fit(each)]
    told = f"{len(taken):,} of {len(given):,} files taken; others are over {LONGEST:,} bytes, no frames, or what may not be sent"
    if given and not taken:
        raise UsageError(f"--corpus: {told}")
    if given:
        tell(
            f"--corpus: {told}"
            if len(taken) < len(given)
            else f"--corpus: {len(taken):,} of {len(given):,} files taken"
        )
    found = [each for each in found if _fit(each)] + taken
    unique = {(each.frames, each.tail): each for each in reversed(found)}
    return list(reversed(unique.values()))
