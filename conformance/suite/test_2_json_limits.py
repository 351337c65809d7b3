"""Section 2: memory at the limits of a control payload, and that a rejected request starts nothing."""

from __future__ import annotations

from guestwire import protocol
from guestwire.cases import tables
from guestwire.drive.conversation import Answer, frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal

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


# ---- nothing is started


@case("JSON-PROFILE/reject", "JSON-DUP/plain", "JSON-NUL/escaped", variant="starts-nothing", needs="witness",
      transports=("unix", "fd-listen"), twin="JSON-PROFILE/accept:structure")  # fmt: skip
def test_rejected_run_starts_nothing(host: Host) -> None:
    """Every payload that is malformed or too large, but as a request to run a command: the command does not run."""
    mark = f"{host.scratch}/started"
    run = f'"op":"run","shell":"raw","cmd":"touch {mark}"'.encode()
    for file in ("json_malformed", "json_too_large"):
        for name, entries in tables(file).items():
            for entry, payload in entries.items():
                conversation = host.connect()
                conversation.send_frame(protocol.FRAME_JSON, payload.replace(b'"op":"ping"', run))
                terminal = conversation.answer().terminal
                expect_equal(terminal.get("ok"), False, f"ok of the answer [{name}, {entry}]")
    expect(host.witness.info(mark) is None, "no command run for a request that is rejected", "one ran")
    conversation = host.connect()
    conversation.send_frame(protocol.FRAME_JSON, b"{" + run + b"}")
    expect_equal(
        conversation.answer().terminal.get("op"), "exit", "op of the answer to the request that is none of these"
    )
    expect(host.witness.info(mark) is not None, "its command run", "it did not run")


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


@case("JSON-LIMITS/memory", needs="server start witness", deadline=180, long=True)
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


@case(
    "JSON-LIMITS/memory",
    "CONV-FIRST/discarded",
    variant="discarded",
    needs="server start witness",
    twin="CONV-FIRST/discarded:twin",
)
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
