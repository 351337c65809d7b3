"""Seeds of the targets with a guest in memory: conversations as world_script.h has them, and uploads' places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from guestwire.cases.load import all_cases
from guestwire.cases.model import Conversation

# world_script.h
CONNECT, HOST, SHUT, LEAVE, QUIET, WAIT, JUMP, FAULT, PIECE, DEAF, COMMAND, FILE, DISK, RAW, SIGNAL, PREEMPT, FILL = (
    range(0xE0, 0xF1)
)
STEPS = {"shutdown": SHUT, "close": LEAVE, "wait": QUIET, "expect": QUIET}
MOST = 4_096  # bytes of a seed: fuzz_request is for long requests
CALLS = 22  # world.h
ERRORS = 7  # of a call, at the most
DATA, EOF = 4, 5


def frame(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(4, "big") + payload


def request(op: str, **fields: Any) -> bytes:
    return frame(1, json.dumps({"op": op, **fields}, separators=(",", ":")).encode())


def put(path: str = "new", content: bytes = b"abc", size: int | None = None, **fields: Any) -> bytes:
    said = len(content) if size is None else size
    return request("put_file", path=path, size=said, **fields) + frame(DATA, content) + frame(EOF)


def run(script: Iterable[int] = (), **fields: Any) -> bytes:
    """A command that does what its script says (world_command.c)."""
    return frame(COMMAND, bytes(script)) + request("run", **{"cmd": "x", "shell": "raw", **fields})


def get(path: str) -> bytes:
    return request("get_file", path=path)


FLOOD = [15, 15, 15, 15, 15, 47, 47, 47]
SLEEP, EXIT, CLOSE, DIE, NO_PIDFD = 0xA0, 0x60, 0x40, 0x80, 0xC0
BASIC = [
    request("ping"),
    put(),
    put("dir", name="x/y"),
    put("dirlink", name="inner", mode=0o4755),
    put("new", b"abc", size=5),
    put("new", b"abc", size=2),
    request("put_file", path="new", size=9) + frame(1, b"{}"),
    request("put_file", path="new", size="x") + frame(DATA, b"abc") + frame(EOF),
    request("put_file", path="new", size=3, mode="x") + frame(DATA, b"abc") + frame(EOF),
    put("big-one", bytes(9000)),
    frame(FILL, b"\0x") + put(),
    get("file"),
    get("big"),
    get("no/" * 500),
    run([10, 42, EXIT | 3]),
    run([NO_PIDFD, 3, SLEEP | 8, 35, DIE | 9, 5]),
    run([*FLOOD, CLOSE | 1, EXIT]),
    run([14, SLEEP | 12], timeout=0.5),
    run([SLEEP | 20], timeout=1, env={"A": "b", "N": 3}),
    run([], shell="login"),
]
PATHS = [
    *(
        "new",
        "dir",
        "dir/",
        "dirlink",
        "link",
        "/w/x/../new",
        "..",
        "/",
        "../../w/./dir",
        "loop",
        "loop/x",
        "nope/x",
        "fifo",
    ),
    *("file/x", "locked/x", "dir/inner", ".", "a/b/../../new", "//w//dir//", "dirlink/../new"),
]
PATHS += ["x" * 255, "x" * 256]
NAMES = ["", "x", "a/b", "..", ".", "x/", "inner", "z" * 256, "dir"]
MORE_FILES = (
    frame(FILE, b"\1\4\1\xedsub\0") + frame(FILE, b"\2\1\1\xedescape\0/tmp") + frame(FILE, b"\2\4\1\xedout\0../../tmp")
)


def talk(conversation: Conversation) -> bytes:
    """A conversation of a case that is data."""
    return b"".join(step.raw() if step.kind == "send" else frame(STEPS[step.kind]) for step in conversation.steps)


def cases() -> Iterator[bytes]:
    for case in all_cases().values():
        talks = [talk(conversation) for conversation in case.conversations]
        yield from talks
        yield frame(CONNECT).join(talks)


def moods(seed: bytes) -> Iterator[bytes]:
    """The same with a host, and a machine, of another kind."""
    for piece in (1, 7, 200):
        yield frame(PIECE, bytes([piece])) + seed
    for room in (3, 6, 14):
        yield frame(DEAF, bytes([1, room])) + seed + frame(QUIET) + frame(WAIT, b"\6") + frame(DEAF, b"\0")
        yield frame(DEAF, bytes([1, room])) + seed
    for at in range(5, len(seed), max(len(seed) // 6, 1)):
        yield seed[:at] + frame(QUIET) + seed[at:]
        for word in (SHUT, LEAVE):
            yield frame(RAW, seed[:at]) + frame(QUIET) + frame(word)
    for last in (frame(SHUT), frame(LEAVE), frame(SIGNAL, b"\1"), frame(JUMP, b"\x0e"), frame(WAIT, b"\x0e")):
        yield seed + last
        yield seed + frame(QUIET) + last
    yield frame(DISK, b"\0\1") + seed
    yield frame(PREEMPT, b"\3") + seed
    yield b"".join([seed, frame(CONNECT), seed, frame(CONNECT), seed, frame(CONNECT), request("ping"), frame(QUIET)])
    yield b"".join(
        [run([SLEEP | 9]), frame(CONNECT)] * 2 + [seed, frame(QUIET), frame(SHUT), frame(QUIET), frame(LEAVE)]
    )
    yield b"".join([run([SLEEP | 9]), frame(CONNECT)] * 2 + [seed, frame(QUIET), frame(LEAVE)])


def crowds() -> Iterator[bytes]:
    """Big requests that wait for one another's memory (SRV-CONNS), one of them whole in the end or given up."""
    half = frame(FILL, b"\x13 ")
    hosts = frame(CONNECT).join([frame(RAW, b"\1\0\x10\0\0{") + half] * 8) + frame(QUIET)
    for rest in (b"", frame(HOST, b"\0") + half, frame(HOST, b"\1") + frame(LEAVE), frame(HOST, b"\7") + frame(LEAVE)):
        yield hosts + rest + frame(QUIET) + frame(HOST, b"\2") + frame(LEAVE)
        yield hosts + rest + frame(QUIET) + frame(SIGNAL, b"\1")


def sessions() -> Iterator[bytes]:
    yield from cases()
    for path in (*PATHS, "secret", "silent", "nope"):
        yield get(path)
        yield put(path, name="x")
    yield frame(CONNECT, b"\1") + request("ping")
    yield from crowds()
    for seed in BASIC:
        yield seed
        yield from moods(seed)
        for call in range(CALLS):
            for error in range(ERRORS):
                for after, times in ((0, 1), (1, 1), (2, 1), (0, 9)):
                    yield frame(FAULT, bytes([call, after, times, error])) + seed


def places() -> Iterator[bytes]:
    for path in PATHS:
        for name in NAMES:
            for files in (b"", MORE_FILES):
                yield path.encode() + b"\0" + name.encode() + b"\0" + files


def seeds() -> dict[str, Iterator[bytes]]:
    """By target."""
    return {"fuzz_session": sessions(), "fuzz_path": places()}
