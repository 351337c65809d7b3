"""Section 2: the limits of a control payload, and what they are judged before. Each limit is met exactly and passed by one."""

from __future__ import annotations

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Answer, frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.suite.test_2_json import Table, judge, of, ordered

SIZE = 1_048_576
MIB = 1 << 20

PADDED = {  # payloads that grow to any size: what stands before, what is repeated, what stands behind
    "string": (b'{"op":"ping","x":"', b"a", b'"}'),
    "utf-8": (b'{"op":"ping","x":"', "é".encode(), b'"}'),
    "escapes": (b'{"op":"ping","x":"', b"\\n", b'"}'),
    "name": (b'{"op":"ping","', b"n", b'":0}'),
    "number": (b'{"op":"ping","x":1', b"0", b"}"),
    "space-before": (b"", b" ", b'{"op":"ping"}'),
    "space-inside": (b'{"op":', b"\n", b'"ping"}'),
    "space-behind": (b'{"op":"ping"}', b"\t", b""),
}


def padded(kind: str, size: int) -> bytes:
    """A ping of that many bytes; where the repeated text does not fit evenly, spaces at the end fill it up."""
    before, text, behind = PADDED[kind]
    times = (size - len(before) - len(behind)) // len(text)
    return (before + text * times + behind).ljust(size)


def ask(host: Host, payload: bytes, chunking: str = "whole") -> Answer:
    """One conversation with this control payload."""
    conversation = host.connect()
    conversation.send_chunked(frame(protocol.FRAME_JSON, payload), chunking)
    return conversation.answer()


# ---- JSON-LIMITS


@case("JSON-LIMITS/depth", wide=True, deadline=60)
@of("JSON-LIMITS/depth")
def test_depth(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-LIMITS/values", wide=True, deadline=60)
@of("JSON-LIMITS/values")
def test_values(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-LIMITS/values", variant="members")
def test_values_of_one_object(host: Host) -> None:
    """4,096 values, of which 4,094 have a name of their own, and one more."""
    for count, op in ((4_094, "pong"), (4_095, "error")):
        members = "".join(f',"{number}":0' for number in range(count))
        with about(f"{count + 2} values"):
            expect_equal(ask(host, f'{{"op":"ping"{members}}}'.encode()).terminal.get("op"), op, "op of the answer")


@case("JSON-LIMITS/size")
@pytest.mark.parametrize("kind", PADDED)
def test_size(host: Host, kind: str) -> None:
    with about(f"{SIZE} bytes"):
        expect_equal(ask(host, padded(kind, SIZE)).terminal.get("op"), "pong", "op of the answer")
    with about(f"{SIZE + 1} bytes"):
        host.error(ask(host, padded(kind, SIZE + 1)), "too_large")


@case("JSON-LIMITS/size", variant="chunks", transports=("unix",))
@pytest.mark.parametrize("size", [SIZE, SIZE + 1], ids=["at", "beyond"])
def test_size_in_chunks(host: Host, size: int, chunking: str) -> None:
    op = ask(host, padded("string", size), chunking).terminal.get("op")
    expect_equal(op, "pong" if size == SIZE else "error", "op of the answer")


@case("JSON-LIMITS/size", "JSON-LIMITS/depth", "JSON-LIMITS/values", variant="starts-nothing", needs="witness")
def test_too_large_run_starts_nothing(host: Host) -> None:
    """One step beyond each limit the command does not run; at the limit it does."""
    for name, extra in {
        "depth": ["[" * 15 + "]" * 15, "[" * 16 + "]" * 16],
        "values": ["[0" + ",0" * 4_090 + "]", "[0" + ",0" * 4_091 + "]"],
        "size": ['"' + "a" * 1_000_000 + '"', '"' + "a" * SIZE + '"'],
    }.items():
        for step, value in enumerate(extra):
            mark = f"{host.scratch}/{name}-{step}"
            payload = f'{{"op":"run","shell":"raw","cmd":"touch {mark}","x":{value}}}'.encode()
            with about(f"{name}, {'beyond' if step else 'at'} the limit"):
                expect_equal(ask(host, payload).terminal.get("op"), "error" if step else "exit", "op of the answer")
                expect((host.witness.info(mark) is None) == bool(step), "the command run only at the limit", "not so")


# ---- JSON-LIMITS/memory

LARGE = {  # payloads of about 1 MiB that cost much when they are taken literally
    "zeros": b'{"op":"ping","x":[' + b"0," * 520_000,
    "strings": b'{"op":"ping","x":[' + b'"",' * 340_000,
    "objects": b'{"op":"ping","x":[' + b"{}," * 340_000,
    "members": b"{" + b",".join(b'"%d":0' % number for number in range(90_000)) + b"}",
    "arrays": b'{"op":"ping","x":' + b"[" * 1_000_000,
    "nested-objects": b'{"a":' * 200_000,
    "all-values": b'{"op":"ping","x":[' + b",".join([b'"' + b"v" * 250 + b'"'] * 4_093) + b"]}",
    "all-names": b'{"op":"ping"' + b"".join(b',"%0240d":0' % number for number in range(4_094)) + b"}",
    **{f"padded-{kind}": padded(kind, SIZE) for kind in PADDED},
}


@case("JSON-LIMITS/memory", needs="server start witness")
def test_memory(host: Host) -> None:
    """16 MiB more than before is the bound: a tree of all that is in `zeros` would take 40."""
    agent = host.start()
    for _ in range(2):
        agent.ping()
    before = peak(agent)
    for name, payload in LARGE.items():
        with about(name):
            expect(ask(agent, payload).terminal.get("op") in ("pong", "error"), "a pong or an error", "another answer")
    grown = peak(agent) - before
    expect(grown < 16 * MIB, "memory that grows by less than 16 MiB", f"{grown} bytes more")


@case("JSON-LIMITS/memory", "CONV-FIRST/discarded", variant="discarded", needs="server start witness")
def test_memory_of_what_is_discarded(host: Host) -> None:
    """Of a first frame of 16 MiB all that is beyond 1 MiB is read and dropped."""
    agent = host.start()
    agent.ping()
    before = peak(agent)
    for kind in (protocol.FRAME_JSON, protocol.FRAME_DATA):
        conversation = agent.connect()
        conversation.send_frame(kind, b" " * 16 * MIB)
        agent.error(conversation.answer(), "too_large" if kind == protocol.FRAME_JSON else "malformed")
    grown = peak(agent) - before
    expect(grown < 8 * MIB, "memory that grows by less than 8 MiB", f"{grown} bytes more")


def peak(host: Host) -> int:
    """The most memory that was resident so far, in bytes."""
    stats = host.witness.stats(host.pid)
    expect(stats is not None, "the agent's memory", "the agent is gone")
    size: int = stats.peak_rss
    return size


# ---- JSON-ORDER


@case("JSON-ORDER/size", "ERR-CODE/too_large")
def test_size_is_judged_first(host: Host) -> None:
    """What is over 1 MiB is too large whatever it holds; a byte less, and its content decides."""
    for name, start in {
        "garbage": b"!",
        "nothing": b"",
        "mark": b'\xef\xbb\xbf{"op":"ping"}',
        "duplicate": b'{"op":"ping","op":"ping"}',
        "trailing": b'{"op":"ping"}x',
        "not-utf-8": b'{"op":"\xff"}',
    }.items():
        for size, code in ((SIZE, "malformed"), (SIZE + 1, "too_large")):
            with about(f"{name}, {size} bytes"):
                ordered(host.error(ask(host, start.ljust(size)), code).get("code"), code)


@case("JSON-ORDER/left", wide=True, deadline=60)
@of("JSON-ORDER/left")
def test_first_offence(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-ORDER/duplicates", wide=True, deadline=60)
@of("JSON-ORDER/duplicates")
def test_duplicates_are_looked_for_last(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)
