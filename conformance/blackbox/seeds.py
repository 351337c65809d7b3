"""Where mutation begins: the conversations of the cases that are data, files of a corpus, and one plain request of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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


def _of_corpora(folders: Iterable[Path]) -> Iterator[Input]:
    """Files of frames; what does not begin with a frame is taken for a control payload."""
    for folder in folders:
        try:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}") from None
        if not files:
            raise UsageError(f"{folder} is no folder with a corpus in it")
        for path in files:
            raw = path.read_bytes()
            if len(raw) <= LONGEST:
                framed = raw[:1] < b"\x06" and len(raw) > 5
                yield parse(raw, path.name) if framed else Input((Frame(1, raw),), origin=path.name)


def seeds(corpora: Iterable[Path] = ()) -> list[Input]:
    """All of them, each once, in an order that depends on nothing else. Raises UsageError."""
    upload = (control(UPLOAD), Frame(4, b"abc"), Frame(4, b"def"), Frame(5, b""))
    found = [Input((control(fields),), origin=str(fields["op"])) for fields in PLAIN] + [
        Input(upload, origin="put_file")
    ]
    for case in all_cases().values():
        found += _of_case(case)
    found += _of_corpora(corpora)
    unique = {(each.frames, each.tail): each for each in reversed(found) if each.frames and gate.passes(each)}
    return list(reversed(unique.values()))
