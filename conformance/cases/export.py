"""Cases as plain files: the bytes of each step, and a manifest that says what to do with them and what has to come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from guestwire import __version__, protocol
from guestwire.cases.model import Answer, Conversation, DataCase
from guestwire.spec import generate

MANIFEST = "manifest.json"
SCHEMA = Path(generate.__file__).with_name("vectors.schema.json")


@cache
def _valid() -> Callable[[Any], Any]:
    validate: Callable[[Any], Any] = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return validate


def folder_of(case: DataCase) -> str:
    """The name of a case's folder; `/` and `:` of its id are dots there."""
    return re.sub("[/:]", ".", case.id)


def _write(target: Path, name: str, data: bytes) -> str:
    path = target / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return name


def _expect(target: Path, stem: str, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"closed": True} if answer.closed else {}
    found |= {name: text for name in ("error", "contains", "never") if (text := getattr(answer, name))}
    if not answer.negative:
        found |= {"members": dict(answer.members), "shape": dict(answer.shape)}
    for name in ("stdout", "stderr", "data"):
        content = getattr(answer, name)
        if content or (name == "data" and content is not None):
            found[name] = _write(target, f"{stem}{name}.bin", content)
    return found | {"ended": list(answer.ended)} | ({} if answer.within is None else {"within": answer.within})


def _conversation(target: Path, folder: str, conversation: Conversation) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    before = f"{folder}/{conversation.name}." if conversation.name else f"{folder}/"
    sends = sum(step.kind == "send" for step in conversation.steps)
    for step in conversation.steps:
        if step.kind == "send":
            number = f"-{len(steps) + 1}" if sends > 1 else ""
            steps.append({"send": _write(target, f"{before}send{number}.bin", step.raw())})
        else:
            value = step.value if step.kind != "expect" else _expect(target, before, step.value)
            steps.append({step.kind: value})
    return {"name": conversation.name, "refused": conversation.negative, "steps": steps}


def _twin(case: DataCase) -> str:
    return case.id + case.twin if case.twin.startswith("#") else case.twin


def largest(case: DataCase) -> int:
    """Bytes of the case's largest send."""
    return max(
        (len(step.raw()) for each in case.conversations for step in each.steps if step.kind == "send"), default=0
    )


def write(target: Path, cases: Iterable[DataCase]) -> int:
    """Write the cases below a folder that is there, the manifest last. Return: how many. Raises OSError."""
    listed = []
    for case in cases:
        made = [_conversation(target, folder_of(case), conversation) for conversation in case.conversations]
        listed.append({
            "id": case.id, "about": case.about, "checks": list(case.checks), "twin": _twin(case), "needs": list(case.needs),
            "transports": list(case.transports), "deadline": case.deadline, "conversations": made,
        })  # fmt: skip
    manifest = {"format": "guestwire-vectors", "format_version": 1, "protocol": protocol.PROTOCOL_VERSION,
                "harness": __version__, "cases": listed}  # fmt: skip
    _valid()(manifest)
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return len(listed)
