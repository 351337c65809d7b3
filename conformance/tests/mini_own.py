"""A case that has an agent of its own refuse something; see mini_suite.py."""

from __future__ import annotations

from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect_equal


@case("CONV-OP/unknown", needs="start", deadline=10, twin="PING")
def test_refused_by_one_of_its_own(host: Host) -> None:
    expect_equal(host.start().ask({"op": "frail"}).terminal["ok"], False, "ok of the answer")
