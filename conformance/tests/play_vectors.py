#!/usr/bin/env python3
"""A player of exported vectors that knows nothing of the harness: play_vectors.py DIR SOCKET prints each case that fails."""

import json
import pathlib
import socket
import sys
import time
from typing import Any

KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def answer(sock: socket.socket, end: float) -> tuple[list[tuple[int, bytes]], str]:
    data, ended = b"", "eof"
    try:
        while True:
            sock.settimeout(max(end - time.monotonic(), 0.001))
            part = sock.recv(65536)
            if not part:
                break
            data += part
    except ConnectionError:
        ended = "reset"
    frames = []
    while data:
        frames.append((data[0], data[5 : 5 + int.from_bytes(data[1:5], "big")]))
        data = data[5 + len(frames[-1][1]) :]
    return frames, ended


def holds(expect: dict[str, Any], frames: list[tuple[int, bytes]], ended: str, read: Any) -> bool:
    streams = {kind: b"".join(data for type_, data in frames if type_ == kind) for kind in (2, 3, 4)}
    if expect.get("closed"):
        return not frames
    told = [json.loads(data) for type_, data in frames if type_ == 1]
    if ended not in expect["ended"] or len(told) != 1:
        return False
    if "error" in expect:
        text, code = told[0].get("error", ""), told[0].get("code")
        named = (
            ("never" not in expect or code != expect["never"])
            and 0 < len(text.encode()) <= 1024
            and expect.get("contains", "") in text
        )
        return len(frames) == 1 and told[0].get("ok") is False and told[0].get("op") == "error" and named
    good = all(json.dumps(told[0].get(name)) == json.dumps(value) for name, value in expect["members"].items())
    good &= all(name in told[0] and isinstance(told[0][name], KINDS[kind]) for name, kind in expect["shape"].items())
    wanted = {
        kind: read(expect[name]) if name in expect else b""
        for kind, name in ((2, "stdout"), (3, "stderr"), (4, "data"))
    }
    return good and streams == wanted and ("data" not in expect or frames[-1] == (5, b""))


def play(conversation: dict[str, Any], path: str, deadline: float, read: Any) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        for step in conversation["steps"]:
            (kind, value), end = next(iter(step.items())), time.monotonic() + deadline
            if kind == "send":
                try:
                    sock.settimeout(deadline)
                    sock.sendall(read(value))
                except ConnectionError:
                    pass  # the answer tells
            elif kind == "wait":
                sock.settimeout(value)
                try:
                    sock.recv(1, socket.MSG_PEEK)
                    return False
                except TimeoutError:
                    pass
            elif kind == "shutdown":
                sock.shutdown(socket.SHUT_WR)
            elif kind == "expect":
                return holds(value, *answer(sock, min(end, time.monotonic() + value.get("within", deadline))), read)
    return True


folder = pathlib.Path(sys.argv[1])
played = failed = 0
for case in json.loads((folder / "manifest.json").read_text())["cases"]:
    for conversation in case["conversations"]:
        played += 1
        try:
            good = play(conversation, sys.argv[2], case["deadline"], lambda name: (folder / name).read_bytes())
        except (ValueError, LookupError, OSError):
            good = False
        if not good:
            failed += 1
            print(f"{case['id']} {conversation['name']}")
print(f"{played} played, {failed} failed")
sys.exit(failed > 0)
