"""What a host may ask for. A request's length does not depend on the agent, so that the same steps cut it at the same byte."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.stateful.steps import Step

DEADLINE = 0.05  # seconds; `timeout` of the commands that have one
OLD = b"the old content\n"  # of the file `old`, and of `shared` until somebody uploads to it
LARGE = 4 << 20  # bytes; far more than a connection holds, so that it is not over until it is read
UPLOAD_MOST = 200_000  # bytes that one host sends in an upload


@dataclass(frozen=True)
class Ask:
    """A kind of request. `check` is what a wrong answer breaks.

    `kind` says when it is answered: desk (at once, without a work slot), quick (as soon as it has a slot), gate (the command
    says when it has started, and ends when it is released), timed (it runs into its deadline, and says nothing, for a
    slow machine might not start it before), unread (it says when it has started, and ends once the host reads), upload.
    """

    kind: str
    check: str
    command: str = ""
    fields: dict[str, Any] | None = None  # of a run, beside `cmd`
    raw: bytes = b""  # the whole frame, where it is no proper request
    early: bool = False  # an error that an agent may answer before its turn


def _json(payload: bytes) -> bytes:
    return frame(protocol.FRAME_JSON, payload)


# G is the pipe that a command waits at, S the file that says it has started, L the one that says what outlived it went on.
ASKS = {
    "ping": Ask("desk", "PING", raw=_json(b'{"op":"ping"}')),
    "unknown-op": Ask("desk", "CONV-OP/unknown", raw=_json(b'{"op":"reboot"}')),
    "version": Ask("desk", "CONV-VERSION/refused", raw=_json(b'{"v":2,"op":"ping"}')),
    "malformed": Ask("desk", "CONV-FIRST/malformed", raw=_json(b'{"op":"ping",}')),
    "no-control": Ask("desk", "CONV-FIRST/order", raw=frame(protocol.FRAME_DATA, b'{"op":"ping"}')),
    "over-cap": Ask("desk", "FRAME-CAP/closed", raw=struct.pack(">BI", protocol.FRAME_JSON, (16 << 20) + 1)),
    "exit": Ask("quick", "RUN-EXIT/status", "exit N"),
    "signal": Ask("quick", "RUN-EXIT/signal", "kill -9 $$"),
    "output": Ask("quick", "RUN-STREAM/exact", "echo one; echo two N >&2; echo three; echo four >&2; exit N"),
    "env": Ask("quick", "RUN-ENV/wins", 'echo "$WHO"; exit N', {"env": {"WHO": "host N"}}),
    "bad-field": Ask("quick", "RUN-TIMEOUT/bad", ": > S", {"timeout": -1}, early=True),
    "daemon": Ask("quick", "RUN-EXIT/released", "(read x <> G; : > L) </dev/null >/dev/null 2>&1 & exit N"),
    "hold": Ask("gate", "RUN-EXIT/drained", "echo in; : > S; read x <> G; echo out; exit N"),
    "silent": Ask("gate", "RUN-EXIT/status", ": > S; read x <> G; exit N"),
    "background": Ask("gate", "RUN-EXIT/held", "(read x <> G; echo late; exit 1) & : > S; exit N"),
    "timed": Ask("timed", "RUN-TIMEOUT/answer", "read x <> G", {"timeout": DEADLINE}),
    "timed-closed": Ask(
        "timed", "RUN-TIMEOUT-ALWAYS/streams-closed", "exec >&- 2>&-; read x <> G", {"timeout": DEADLINE}
    ),
    "flood": Ask("unread", "RUN-STREAM/exact", f": > S; head -c {LARGE} /dev/zero; exit N"),
    "get": Ask("quick", "GET-OK/content"),
    "get-large": Ask("unread", "GET-OK/content"),
    "put": Ask("upload", "PUT-OK/content"),
}
GETS = {"old": "GET-OK/content", "shared": "GET-OK/content", "missing": "GET-ERRORS/not-found",
        "folder": "GET-ERRORS/directory"}  # fmt: skip
PUTS = ("own", "shared", "missing/x", "folder")
MODE = 0o640  # of uploads


def check_of(step: Step) -> str:
    """What a wrong answer to an opened host's request breaks."""
    if step.ask == "get":
        return GETS[step.to]
    if step.ask == "put" and step.to in ("missing/x", "folder"):
        return "PUT-DRAIN/bad-path"
    return ASKS[step.ask].check


def valid(step: Step) -> bool:
    """Whether an `open` says all that its request needs, and no more."""
    if step.ask not in ASKS:
        return False
    targets = {"get": tuple(GETS), "put": PUTS}.get(step.ask, ("",))
    return step.to in targets and 0 <= step.size <= (UPLOAD_MOST if step.ask == "put" else 0)


def request(step: Step, number: int, folder: str) -> bytes:
    """The first frame of host `number`, whose agent's scratch directory is `folder`."""
    ask = ASKS[step.ask]
    if ask.raw:
        return ask.raw
    if step.ask == "put":
        place = f"up-{number}" if step.to == "own" else step.to
        fields: dict[str, Any] = {"op": "put_file", "path": f"{folder}/{place}", "mode": MODE, "size": step.size}
    elif ask.command:
        fields = {"op": "run", "shell": "raw", "cmd": _place(ask.command, number, folder)}
        fields |= {name: _place_any(value, number, folder) for name, value in (ask.fields or {}).items()}
    else:
        fields = {"op": "get_file", "path": f"{folder}/{'large' if step.ask == 'get-large' else step.to}"}
    return _json(json.dumps(fields).encode())


def _place(text: str, number: int, folder: str) -> str:
    for letter, name in (("G", "gate"), ("S", "started"), ("L", "lived")):
        text = text.replace(f" {letter}", f" {folder}/{name}-{number}")
    return text.replace(" N", f" {number}")


def _place_any(value: Any, number: int, folder: str) -> Any:
    if isinstance(value, dict):
        return {name: _place_any(member, number, folder) for name, member in value.items()}
    return _place(value, number, folder) if isinstance(value, str) else value


def content(number: int, offset: int, size: int) -> bytes:
    """A part of what host `number` uploads; no two hosts' contents are alike."""
    line = f"upload of host {number}\n".encode()
    start = offset % len(line)
    return (line * (size // len(line) + 2))[start : start + size]
