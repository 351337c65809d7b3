"""Plays a case that is data: its bytes to the agent, the agent's frames against what is expected."""

from __future__ import annotations

from typing import Any

from guestwire import protocol
from guestwire.cases.model import Answer as Expected
from guestwire.cases.model import Conversation as Script
from guestwire.cases.model import DataCase
from guestwire.cases.private import of_its_own
from guestwire.drive.conversation import Answer
from guestwire.drive.host import Host, file_of
from guestwire.drive.witness import NoWitness
from guestwire.judge.outcome import DeadlineExceeded, Violation, expect, expect_equal

KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def perform(host: Host, case: DataCase, chunking: str = "") -> None:
    """A case, with a folder of its own if it names one, which is gone afterwards wherever the agent can be seen."""
    case, folder = of_its_own(case)
    try:
        _perform(host, case, chunking)
    finally:
        if folder and not isinstance(host.witness, NoWitness):
            host.witness.drop(folder)


def _perform(host: Host, case: DataCase, chunking: str) -> None:
    """All conversations of a case, one after the other; the violation names those that went wrong. One that ran into its deadline
    is the last."""
    wrong: dict[str, Violation] = {}
    for script in case.conversations:
        name = f" [{script.name}]" if script.name else ""
        try:
            _converse(host, case, script, chunking)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"{error.expected}{name}", error.actual) from None
        except Violation as error:
            wrong[name] = error
    if wrong:
        name, first = next(iter(wrong.items()))
        names = ", ".join(name.strip(" []") for name in wrong)
        others = f" (and so for {len(wrong)} conversations: {names})" if len(wrong) > 1 else ""
        raise Violation(f"{first.expected}{name}", first.actual + others)


def _converse(host: Host, case: DataCase, script: Script, chunking: str) -> None:
    conversation = host.connect()
    try:
        for step in script.steps:
            if step.kind == "send" and chunking:
                conversation.send_chunked(step.raw(), chunking)
            elif step.kind == "send":
                conversation.send_raw(step.raw())
            elif step.kind == "wait":
                conversation.silence(step.value)
            elif step.kind == "shutdown":
                conversation.half_close()
            elif step.kind == "close":
                conversation.close()
            else:
                _compare(host, case, conversation.answer(step.value.within), step.value)
    except Violation:
        conversation.close()
        raise


def _compare(host: Host, case: DataCase, answer: Answer, expected: Expected) -> None:
    """Raise Violation unless the answer is what is expected."""
    if expected.closed:
        expect(not answer.frames, "closed without a word", answer.frames[:3])
        return
    if expected.error:
        _compare_error(host, case, answer, expected)
        return
    if expected.data is None:
        members = answer.terminal
    else:
        members, data = file_of(answer)
        expect_equal(data, expected.data, "DATA of the answer")
    for name, value in expected.members:
        found = members.get(name)
        expect(type(found) is type(value) and found == value, f"{name} of the answer: {value!r}", members)
    for name, kind in expected.shape:
        found = members.get(name)
        good = name in members and isinstance(found, KINDS[kind]) and (kind == "boolean" or not isinstance(found, bool))
        expect(good, f"{name} of the answer: a value of kind {kind}", members)
    expect_equal(answer.stdout, expected.stdout, "STDOUT of the answer")
    expect_equal(answer.stderr, expected.stderr, "STDERR of the answer")
    known = {protocol.FRAME_JSON, protocol.FRAME_STDOUT, protocol.FRAME_STDERR}
    kinds = {kind for kind, _ in answer.frames} if expected.data is None else set()
    expect(kinds <= known, "no frame of another type", sorted(kinds - known))
    expect(answer.ended in expected.ended, f"{' or '.join(expected.ended)} after the answer", answer.ended)


def _compare_error(host: Host, case: DataCase, answer: Answer, expected: Expected) -> None:
    """An error. Its code is a SHOULD; a code that it must `never` have is the case's own matter."""
    terminal: dict[str, Any] = host.error(answer, expected.error, expected.contains, expected.ended)
    code = terminal.get("code")
    for check in case.checks:
        if check.startswith("ERR-ERRNO/"):
            host.should(check, code == expected.error, f"code {expected.error}", terminal)
    expect(not expected.never or code != expected.never, f"{expected.error}: the first offence decides", expected.never)
