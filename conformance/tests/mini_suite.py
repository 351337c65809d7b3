"""Cases with short deadlines for the tests of the harness, which give this file to pytest in the place of the suite."""

from __future__ import annotations

import pytest

from guestwire.drive.host import Host
from guestwire.judge.case import case


@case("PING", deadline=3, alike=True)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_ping(host: Host, number: int) -> None:  # noqa: ARG001
    host.ping()


@case("JSON-DUP/plain", deadline=3)
def test_duplicate(host: Host) -> None:
    conversation = host.connect()
    conversation.send_frame(1, b'{"op":"ping","op":"ping"}')
    host.error(conversation.answer(), "malformed")


@case("CONV-IDLE/others", deadline=30)
@pytest.mark.parametrize("number", range(8))
def test_slow(host: Host, number: int) -> None:  # noqa: ARG001
    """Nothing comes for long: an interrupt finds it waiting."""
    host.connect().silence(25)
