"""The host's stream cut, or half-closed, after every byte of every kind of conversation, and in mid-response."""

from __future__ import annotations

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Answer, Conversation
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.judge.transcript import transcript
from guestwire.suite.talks import FILED, LARGE, PLAIN, UPLOADS, Stage, cuts, names, response_cuts

AT_ONCE = 4.0  # seconds for what the contract wants at once; far below every timeout of an agent


def cut_everywhere(host: Host, name: str, at_once: bool) -> None:
    """Close the connection after each byte. Before the agent has all it needs nothing is done."""
    stage = Stage(host, name)
    stage.whole()
    raw = stage.talk.raw
    for at in cuts(host, stage.talk):
        with about(f"closed after {at} of {len(raw)} bytes"):
            conversation = stage.say(raw[:at])
            if not at_once:
                conversation.let_read()  # it then waits for more when the host leaves
            conversation.close()
            stage.settle(untouched=True, done=at >= stage.talk.served)


# ---- the host hangs up


@case("SRV-SURVIVE/cut", "FRAME-TRUNC/request", "SRV-SURVIVE/alive")
@names(PLAIN)
def test_cut(host: Host, talk: str) -> None:
    cut_everywhere(host, talk, at_once=False)


@case("SRV-SURVIVE/cut", "FRAME-TRUNC/request", "SRV-SURVIVE/alive", "SRV-SURVIVE/leaks", needs="witness")
@pytest.mark.parametrize("talk", ["run", "get"])
def test_cut_of_what_leaves_a_trace(host: Host, talk: str) -> None:
    """A command that was cut short is not run."""
    cut_everywhere(host, talk, at_once=False)


@case("PUT-CLEAN/cut", "PUT-CLEAN/gone", "FRAME-TRUNC/upload", "SRV-SURVIVE/leaks", needs="witness")
@pytest.mark.parametrize("talk", UPLOADS)
def test_cut_of_an_upload(host: Host, talk: str) -> None:
    """When the host leaves after the last byte, both are right: the file stored whole, and the target untouched."""
    cut_everywhere(host, talk, at_once=False)


@case("SRV-SURVIVE/cut", variant="at-once", transports=("unix",), needs="witness")
@names(PLAIN, FILED)
def test_cut_at_once(host: Host, talk: str) -> None:
    """The agent sees the host's last byte and its leaving at the same time."""
    cut_everywhere(host, talk, at_once=True)


# ---- the host shuts down its sending side


def half_close_everywhere(host: Host, name: str) -> None:
    """Nothing is answered before the request is whole. An upload that ends too early may be answered with an error."""
    stage = Stage(host, name)
    whole = stage.whole()
    talk = stage.talk
    for at in cuts(host, talk):
        with about(f"half-closed after {at} of {len(talk.raw)} bytes"):
            conversation = stage.say(talk.raw[:at])
            conversation.half_close()
            answer = conversation.answer(AT_ONCE)
            if at >= talk.served:
                talk.good(answer)
                expect_equal(transcript(answer), whole, "the transcript")
            elif at < talk.asked:
                expect(not answer.frames, "closed without a word", answer.frames)
            elif answer.frames:
                refused(host, answer)
            stage.settle(untouched=at < talk.served, done=at >= talk.served)


def refused(host: Host, answer: Answer) -> None:
    """One error, whatever its code."""
    code = answer.terminal.get("code")
    host.error(answer, code if isinstance(code, str) else "size_mismatch", ended=("eof", "reset"))


@case("CONV-HALFCLOSE/anywhere", "CONV-FIRST/silent", "FRAME-TRUNC/request", needs="half-close")
@names(PLAIN)
def test_half_close(host: Host, talk: str) -> None:
    half_close_everywhere(host, talk)


@case("CONV-HALFCLOSE/anywhere", "CONV-FIRST/silent", "FRAME-TRUNC/request", needs="witness half-close")
@pytest.mark.parametrize("talk", ["run", "get"])
def test_half_close_of_what_leaves_a_trace(host: Host, talk: str) -> None:
    half_close_everywhere(host, talk)


@case(
    "PUT-CLEAN/cut", "CONV-HALFCLOSE/anywhere", "FRAME-TRUNC/upload", variant="half-close", needs="witness half-close"
)
@pytest.mark.parametrize("talk", UPLOADS)
def test_half_close_of_an_upload(host: Host, talk: str) -> None:
    half_close_everywhere(host, talk)


# ---- in mid-response


def leave_in_response(host: Host, name: str, half: bool) -> None:
    """The host has read so many bytes of the response, and then leaves, or shuts down its sending side and reads on."""
    stage = Stage(host, name)
    sample = stage.say(stage.talk.raw).answer()
    stage.settle(untouched=False, done=True)
    total = sum(5 + len(payload) for _, payload in sample.frames)
    for at in response_cuts(host, sample.frames):
        with about(f"{'half-closed' if half else 'closed'} after {at} of {total} bytes of the response"):
            conversation = stage.say(stage.talk.raw)
            head = read(conversation, at)
            if half:
                conversation.half_close()
                rest = read(conversation, -1)
                expect_equal(len(head + rest), total, "bytes of the response")
            conversation.close()
            stage.settle(untouched=not half, done=True)


def read(conversation: Conversation, count: int) -> bytes:
    """So many bytes, or up to the end of stream where that is earlier; -1: all of them."""
    conversation.sock.settimeout(AT_ONCE)
    data = b""
    while len(data) != count:
        part = conversation.sock.recv(protocol.CHUNK_SIZE if count < 0 else min(count - len(data), protocol.CHUNK_SIZE))
        if not part:
            break
        data += part
    return data


@case("SRV-SURVIVE/cut", "SRV-SURVIVE/leaks", variant="response", needs="witness")
@names(FILED, LARGE)
def test_cut_in_the_response(host: Host, talk: str) -> None:
    """A download that does not fit into the transport's buffers finds the agent in mid-sending."""
    leave_in_response(host, talk, half=False)


@case("CONV-HALFCLOSE/anywhere", variant="response", transports=("unix",), needs="witness half-close")
@names(FILED, LARGE)
def test_half_close_in_the_response(host: Host, talk: str) -> None:
    leave_in_response(host, talk, half=True)
