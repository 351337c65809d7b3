"""The sanity bracket: what shows, around what is judged, that somebody is there who tells good requests from bad ones.

It looks at no more than whether an answer is a success, and who gives it: the shapes of answers are the cases' matter.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import struct
import time
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.server import Agent
from guestwire.drive.transcript import Transcript
from guestwire.judge.outcome import DeadlineExceeded, Violation, short

PATIENCE = 5.0  # seconds for one answer
ENOUGH = 65_536  # bytes of an answer; a pong or an error has fewer
PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')


def _receive(sock: socket.socket, size: int, end: float) -> bytes:
    """That many bytes, fewer where the stream ends. Raises TimeoutError."""
    data = b""
    while len(data) < size:
        sock.settimeout(max(end - time.monotonic(), 0.001))
        part = sock.recv(size - len(data))
        if not part:
            break
        data += part
    return data


def _ask(agent: Agent, request: bytes, what: str, transcript: Transcript | None = None) -> dict[str, Any] | None:
    """The object that the first frame of the answer holds, None where the agent ends the conversation instead. Raises Violation
    for anything else, DeadlineExceeded for no answer."""
    made = agent.connect()
    with transcript.record(made, "sanity bracket") if transcript is not None else made as sock:
        end = time.monotonic() + PATIENCE
        sock.settimeout(PATIENCE)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(request)
            header = _receive(sock, 5, end)
            kind, length = struct.unpack(">BI", header) if len(header) == 5 else (0, 0)
            payload = _receive(sock, min(length, ENOUGH), end) if kind == protocol.FRAME_JSON else b""
        except TimeoutError:
            raise DeadlineExceeded(f"{what} within {PATIENCE:g} s (sanity bracket)", "nothing came") from None
        except ConnectionResetError:
            return None
    if not header:
        return None
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    raise Violation(f"{what} (sanity bracket)", f"a frame that is none: {short(header + payload, 80)}")


def pulse(agent: Agent, when: str, transcript: Transcript | None = None) -> str:
    """A ping is served. Return: the pong's `instance`, "" for none. Raises Violation, DeadlineExceeded."""
    answer = _ask(agent, PING, f"a ping served {when}", transcript)
    if answer is None or answer.get("ok") is False:
        raise Violation(f"a ping served {when} (sanity bracket)", "end of stream" if answer is None else short(answer))
    instance = answer.get("instance")
    return instance if isinstance(instance, str) else ""


def canary(agent: Agent, pings: bool = True) -> None:
    """A ping is served (unless the agent lacks it, `pings`), and an operation that nobody knows is not. Raises Violation,
    DeadlineExceeded."""
    if pings:
        pulse(agent, "before anything is judged")
    name = f"canary-{secrets.token_hex(8)}"
    answer = _ask(agent, frame(protocol.FRAME_JSON, f'{{"op":"{name}"}}'.encode()), "an unknown operation refused")
    if answer is not None and answer.get("ok") is not False:
        raise Violation(f"the unknown operation {name} refused (sanity bracket)", short(answer))
