"""Every kind of conversation under every segmentation of the host's bytes: the transcript is the same."""

from __future__ import annotations

import pytest

from guestwire.drive.conversation import CHUNKINGS
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect_equal
from guestwire.judge.transcript import transcript
from guestwire.suite.talks import FILED, PLAIN, STEP, Stage, cuts, names


def same_under(host: Host, name: str, chunking: str) -> None:
    """The talk as a whole, then under the chunking: the same transcript, the same files."""
    stage = Stage(host, name)
    whole = stage.whole()
    conversation = host.connect()
    conversation.send_chunked(stage.talk.raw, chunking)
    answer = conversation.answer()
    stage.talk.good(answer)
    expect_equal(transcript(answer), whole, "the transcript")
    stage.settle(untouched=False, done=True)


@case("FRAME-SEGMENT/transcript", "FRAME-SEGMENT/drip", "FRAME-SEGMENT/bytewise", "FRAME-SEGMENT/boundaries")
@names(PLAIN)
@pytest.mark.parametrize("under", CHUNKINGS[1:])
def test_segmented(host: Host, talk: str, under: str) -> None:
    same_under(host, talk, under)


@case("FRAME-SEGMENT/transcript", "FRAME-SEGMENT/drip", "FRAME-SEGMENT/bytewise", "FRAME-SEGMENT/boundaries",
      variant="files", needs="witness")  # fmt: skip
@names(FILED)
@pytest.mark.parametrize("under", CHUNKINGS[1:])
def test_segmented_with_files(host: Host, talk: str, under: str) -> None:
    same_under(host, talk, under)


@case("FRAME-SEGMENT/transcript", variant="in-two", transports=("unix",), needs="witness")
@names(PLAIN, FILED)
def test_cut_in_two(host: Host, talk: str) -> None:
    """In two writes, split at every place where the cut sweeps cut; at fewer where each try is a command."""
    stage = Stage(host, talk)
    whole = stage.whole()
    raw = stage.talk.raw
    step = STEP if "run" in talk else 1
    for at in cuts(host, stage.talk)[1:-1:step]:
        with about(f"split after {at} of {len(raw)} bytes"):
            conversation = stage.say(raw[:at])
            conversation.let_read()
            conversation.send_raw(raw[at:], tolerate=True)
            answer = conversation.answer()
            expect_equal(transcript(answer), whole, "the transcript")
            stage.talk.good(answer)
            stage.settle(untouched=False, done=True)
