"""Section 4: ping."""

from __future__ import annotations

from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal


@case("PING")
def test_ping(host: Host) -> None:
    host.ping()


@case("PING-INSTANCE/stable", needs="server")
def test_instance_is_stable(host: Host) -> None:
    one, other = host.ping().get("instance"), host.ping().get("instance")
    expect(isinstance(one, str) and one, "instance: a string, not empty", one)
    expect_equal(other, one, "instance of a second ping")


@case("PING-INSTANCE/random", needs="start")
def test_instance_differs_between_processes(host: Host) -> None:
    one, other = host.ping().get("instance"), host.start().ping().get("instance")
    expect(isinstance(one, str) and one, "instance: a string, not empty", one)
    expect(other != one, "another instance in another process", other)
