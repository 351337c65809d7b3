"""Seeds of the targets with a guest in memory: conversations as world/script.h has them, and uploads' places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from guestwire.cases.load import all_cases
from guestwire.cases.model import Conversation

# world/script.h
(
    CONNECT,
    HOST,
    SHUT,
    LEAVE,
    QUIET,
    WAIT,
    JUMP,
    FAULT,
    PIECE,
    DEAF,
    COMMAND,
    FILE,
    DISK,
    RAW,
    SIGNAL,
    PREEMPT,
    FILL,
    OTHERS,
) = range(0xE0, 0xF2)
STEPS = {"shutdown": SHUT, "close": LEAVE, "wait": QUIET, "expect": QUIET}
MOST = 4_096  # bytes of a seed: fuzz_request is for long requests
CALLS = 22  # world/world.h, and some of them
RECV, SEND, OPEN, WRITE, READ, PIPE, SPLICE_IN, SPLICE_OUT = 0, 1, 6, 8, 9, 13, 14, 15
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
    """A command that does what its script says (world/command.c)."""
    return frame(COMMAND, bytes(script)) + request("run", **{"cmd": "x", "shell": "raw", **fields})


def get(path: str) -> bytes:
    return request("get_file", path=path)


FLOOD = [15, 15, 15, 47]
SLEEP, EXIT, CLOSE, DIE, NO_PIDFD, SLOW, ESCAPE = 0xA0, 0x60, 0x40, 0x80, 0xC1, 0xC2, 0xE0
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
    run([ESCAPE, 15, 15, 15, SLEEP | 11, 9, 41, SLEEP | 12, 9], timeout=1),
    run([], shell="login"),
    run([SLOW, SLEEP | 20], timeout=1),
    request("\x01" * 99),
    request("get_file", path="\x01" * 99),
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
    busy = b"".join([run([SLEEP | 9]), frame(CONNECT)] * 2)
    yield busy + seed + frame(QUIET) + frame(SHUT) + frame(WAIT, b"\5") + frame(LEAVE)
    yield busy + seed + frame(QUIET) + frame(LEAVE)


def crowds() -> Iterator[bytes]:
    """Requests that wait for one another's memory (SRV-CONNS)."""
    ping = request("ping", x="x" * 600)
    for held in (0xB000, 0xCFA0, 0xCFC0, 0xCFE0, 0xD000):
        for size in (ping, ping[:-9], request("run", cmd="x" * 4000)):
            hosts = frame(OTHERS, held.to_bytes(2, "big")) + frame(CONNECT).join([frame(RAW, size)] * 4) + frame(QUIET)
            yield hosts
            yield (
                hosts
                + b"".join(frame(HOST, bytes([number])) + frame(RAW, ping[-9:]) for number in range(4))
                + frame(QUIET)
            )
            for number in range(4):
                host = frame(HOST, bytes([number]))
                yield hosts + host + frame(LEAVE) + frame(QUIET)
                yield hosts + host + frame(RAW, ping[-9:]) + frame(QUIET) + frame(LEAVE)
                yield hosts + host + frame(SHUT) + frame(QUIET) + frame(SIGNAL, b"\1")


def pairs() -> Iterator[bytes]:
    """Two calls that fail, one after the other: where the agent has a second way, it may fail too."""
    for first in (
        bytes([PIPE, 0, 1, 0]),
        bytes([SPLICE_IN, 0, 1, 1]),
        bytes([SPLICE_OUT, 0, 1, 1]),
        bytes([OPEN, 1, 1, 0]),
    ):
        for call in (OPEN, WRITE, READ, RECV, SEND, SPLICE_OUT):
            for error in range(ERRORS):
                for after in (0, 1):
                    for seed in (put(), get("file"), run([15, 15])):
                        yield frame(FAULT, first + bytes([call, after, 1, error])) + seed
                        yield frame(PIECE, b"\2") + frame(FAULT, first + bytes([call, after, 1, error])) + seed


def sessions() -> Iterator[bytes]:
    yield from cases()
    for path in (*PATHS, "secret", "silent", "nope"):
        yield get(path)
        yield put(path, name="x")
    yield frame(CONNECT, b"\1") + request("ping")
    yield from crowds()
    yield from pairs()
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
