"""Section 2 and 3: what fuzzing found worth keeping, as requests to an agent. The oracle said what has to be answered
(fuzz/cases.py); over the wire every agent has to say the same."""

from __future__ import annotations

import base64
import json
from functools import cache

from guestwire.cases.load import FOLDER
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect_equal

BROKEN = ("malformed", "too_large")  # codes of a payload that is no good whatever it asks for
BATCH = 60.0  # seconds for some hundred conversations of a millisecond or two each


@cache
def kept() -> dict[str, list[bytes]]:
    """Payloads by an error's code, or pong."""
    content = json.loads((FOLDER / "corpus.json").read_text(encoding="ascii"))
    return {name: [base64.b64decode(text) for text in texts] for name, texts in content.items()}


def ask(host: Host, names: list[str]) -> None:
    """Each payload of these names in a conversation of its own."""
    for name in names:
        for payload in kept()[name]:
            with about(f"{name}: {payload!r}"):
                conversation = host.connect()
                conversation.send_frame(1, payload)
                answer = conversation.answer()
                if name == "pong":
                    expect_equal(answer.terminal.get("op"), "pong", "op of the answer")
                else:
                    terminal = host.error(answer, name)
                    expect_equal(terminal.get("code", name), name, "code, if there is one")


@case("JSON-PROFILE/accept", variant="corpus", transports=("unix",), deadline=BATCH, alike=True)
def test_pongs(host: Host) -> None:
    ask(host, ["pong"])


@case("JSON-PROFILE/reject", "ERR-CODE/malformed", variant="corpus", transports=("unix",), deadline=BATCH, alike=True,
      twin="JSON-PROFILE/accept:corpus")  # fmt: skip
def test_rejected(host: Host) -> None:
    ask(host, [name for name in BROKEN if name in kept()])


@case(
    "ERR-CODE/known",
    variant="corpus",
    transports=("unix",),
    deadline=BATCH,
    alike=True,
    twin="JSON-PROFILE/accept:corpus",
)
def test_refused(host: Host) -> None:
    ask(host, [name for name in kept() if name not in (*BROKEN, "pong")])
