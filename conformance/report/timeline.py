"""The transcript of a case, as evidence holds it, cut down to what a page can show."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from guestwire.report import safe

EVENTS = 200  # of one conversation
CONVERSATIONS = 12  # of one case; the last ones tell most
PAYLOAD = 256  # bytes of one frame
TEXT = 2_000  # characters of a control frame


class Budget:
    """How many bytes all transcripts of a page may take: the rest stays in its evidence folder."""

    def __init__(self, left: int = 2_000_000) -> None:
        self.left = left


def conversations(report: Path, evidence: str, budget: Budget) -> list[dict[str, Any]]:
    """A case's conversations. Empty without a transcript, with a damaged one, or when the budget is spent."""
    path = report / evidence / "transcript.json"
    if budget.left <= 0 or not path.resolve().is_relative_to(report.resolve()):
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["conversations"]
        made = [_conversation(each) for each in found[-CONVERSATIONS:]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    budget.left -= len(json.dumps(made))
    return made


def _conversation(found: dict[str, Any]) -> dict[str, Any]:
    events = found["events"]
    made = {"label": safe.line(str(found["label"])), "events": [_event(event) for event in events[:EVENTS]]}
    return made | ({"cut": len(events) - EVENTS} if len(events) > EVENTS else {})


def _event(event: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"at": float(event["at"]), "from": event["from"], "what": safe.line(_what(event))}
    payload, got = base64.b64decode(event.get("payload", "")), int(event.get("got", 0))
    if "text" in event:
        made["text"] = safe.cut(safe.printable(event["text"]), TEXT)
        shown = len(payload)
    else:
        shown = min(len(payload), PAYLOAD)
        made |= {"payload": base64.b64encode(payload[:PAYLOAD]).decode()} if payload else {}
    return made | ({"more": got - shown} if got > shown else {})


def _what(event: dict[str, Any]) -> str:
    if event["what"] != "frame":
        return str(event["what"])
    many = f"{event['frames']} frames " if event.get("frames", 1) > 1 else ""
    missing = "" if event["got"] == event["length"] else f", of which {event['got']:,} came"
    return f"{many}{event['name']}, {event['length']:,} bytes{missing}"
