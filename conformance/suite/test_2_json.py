"""Section 2: control frames. What is accepted and what is not stands in conformance/cases; here it is sent.

A payload is accepted when the ping that it is gets its pong, and rejected when an error comes instead.
"""

from __future__ import annotations

import pytest

from guestwire import protocol
from guestwire.cases import tables
from guestwire.drive.conversation import frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import DeadlineExceeded, Violation, expect, expect_equal

Table = tuple[str, str]  # the answer that every payload has to get, and the table's name
FILES = {"pong": "json_accept", "malformed": "json_malformed", "too_large": "json_too_large"}


def of(check: str) -> pytest.MarkDecorator:
    """All tables of a check, by topic."""
    found = [(answer, name) for answer, file in FILES.items() for name in tables(file) if name.startswith(f"{check}:")]
    return pytest.mark.parametrize("table", [pytest.param(table, id=table[1].partition(":")[2]) for table in found])


def judge(host: Host, table: Table, chunking: str) -> None:
    """Send every payload of a table and look at each answer; the violation names the entries that were answered wrongly."""
    wrong: dict[str, Violation] = {}
    for entry, payload in tables(FILES[table[0]])[table[1]].items():
        conversation = host.connect()
        conversation.send_chunked(frame(protocol.FRAME_JSON, payload), chunking)
        try:
            answer = conversation.answer()
            if table[0] == "pong":
                expect_equal(answer.terminal.get("op"), "pong", "op of the answer")
            else:
                code = host.error(answer, table[0]).get("code")
                if table[1].startswith("JSON-ORDER/"):
                    ordered(code, table[0])
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"{error.expected} [{entry}]", error.actual) from None
        except Violation as error:
            wrong[entry] = error
    if wrong:
        entry, first = next(iter(wrong.items()))
        others = f" (and so for {len(wrong)} entries: {', '.join(wrong)})" if len(wrong) > 1 else ""
        raise Violation(f"{first.expected} [{entry}]", first.actual + others)


def ordered(code: object, expected: str) -> None:
    """JSON-ORDER decides between two codes. An agent that sends none leaves that to ERR-CODE; one that sends the other of the two
    has judged in the wrong order."""
    other = {"malformed": "too_large", "too_large": "malformed"}[expected]
    expect(code != other, f"{expected}: the first offence decides", f"{other}")


# ---- JSON-PROFILE


@case("JSON-PROFILE/accept", wide=True, deadline=60)
@of("JSON-PROFILE/accept")
def test_accepted(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-PROFILE/numbers", wide=True, deadline=60)
@of("JSON-PROFILE/numbers")
def test_numbers_of_any_length(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-PROFILE/reject", "ERR-CODE/malformed", wide=True, deadline=60)
@of("JSON-PROFILE/reject")
def test_rejected(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-PROFILE/utf8", wide=True, deadline=60)
@of("JSON-PROFILE/utf8")
def test_not_utf8(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-PROFILE/surrogate", wide=True, deadline=60)
@of("JSON-PROFILE/surrogate")
def test_lone_surrogates(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-PROFILE/trailing", wide=True, deadline=60)
@of("JSON-PROFILE/trailing")
def test_something_after_the_object(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-PROFILE/object", wide=True, deadline=60)
@of("JSON-PROFILE/object")
def test_no_object(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


# ---- JSON-DUP, JSON-NUL


@case("JSON-DUP/plain", wide=True, deadline=60)
@of("JSON-DUP/plain")
def test_duplicates(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-DUP/escaped", wide=True, deadline=60)
@of("JSON-DUP/escaped")
def test_duplicates_once_unescaped(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-DUP/nested", wide=True, deadline=60)
@of("JSON-DUP/nested")
def test_duplicates_in_nested_objects(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-DUP/plain", variant="thousands", transports=("unix",))
def test_duplicate_among_thousands(host: Host) -> None:
    """The last of 4,094 names is that of the first; and names made so that a poor hash or a plain comparison takes long."""
    names = [f"{number:0>200}" for number in range(4_094)]
    for last, op in ((names[0], "error"), ("another", "pong")):
        members = "".join(f',"{name}":0' for name in [*names[:-1], last])
        conversation = host.connect()
        conversation.send_frame(protocol.FRAME_JSON, f'{{"op":"ping"{members}}}'.encode())
        expect_equal(conversation.answer(within=5).terminal.get("op"), op, "op of the answer")


@case("JSON-NUL/escaped", wide=True, deadline=60)
@of("JSON-NUL/escaped")
def test_nul_escaped(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


@case("JSON-NUL/raw", wide=True, deadline=60)
@of("JSON-NUL/raw")
def test_nul_raw(host: Host, table: Table, chunking: str) -> None:
    judge(host, table, chunking)


# ---- nothing is started


@case("JSON-PROFILE/reject", "JSON-DUP/plain", "JSON-NUL/escaped", variant="starts-nothing", needs="witness",
      transports=("unix", "fd-listen"))  # fmt: skip
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
