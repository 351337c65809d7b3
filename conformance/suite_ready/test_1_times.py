"""Section 1: times (READY-TIMES). A machine that is busy may be late by START seconds, never early."""

from __future__ import annotations

import time

import pytest

from guestwire.drive.gate import OVERRUN, START, GateBench, expect_late
from guestwire.drive.services import Service, asked, bytewise, hangs_up, says, silent
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.suite_ready.test_1_target import deaf

EARLY = 0.2  # seconds that something may seem too short: a busy machine notes its beginning late
PONG = b'\x01\0\0\x00\x41{"ok":true,"op":"pong","agent_version":"1.0","proto":1}'.ljust(70)


def lived(service: Service, visit: int) -> float:
    """Seconds from a connection to the gate's closing it."""
    found = service.visits[visit]
    assert found.ended is not None
    return found.ended - found.began


def expect_between(seconds: float, least: float, what: str, late: float = START) -> None:
    expect(
        least - EARLY <= seconds <= least + late,
        f"{what} after {least:g} s, at most {late:g} s late",
        f"{seconds:.3f} s",
    )


@case("READY-TIMES/attempt")
def test_an_attempt_ends_at_its_deadline(gate: GateBench) -> None:
    service = gate.service(silent)
    running = gate.start("ssh", service.target, "--attempt-timeout", "0.4", "--interval", "0.1", "--timeout", "20")
    service.visited(3)
    running.stop()
    service.left()
    for visit in (0, 1):
        expect_between(lived(service, visit), 0.4, "an attempt's end")


TRICKLES = {
    "ssh, a byte at a time": ("ssh", bytewise(b"SSH-2.0-" + b"x" * 200, every=0.1), ()),
    "ssh, a line at a time": ("ssh", says(*[b"hello\r\n"] * 200, every=0.1), ()),
    "agent": ("agent", asked(bytewise(PONG, every=0.1), b'"ping"'), ()),
    "http": ("http", asked(bytewise(b"HTTP/1.1 200 " + b"x" * 200, every=0.1), b"\r\n\r\n"), ()),
    "http, interim responses": ("http", asked(says(*[b"HTTP/1.1 102 \r\n\r\n"] * 200, every=0.1), b"\r\n\r\n"), ()),
    "tcp-banner": ("tcp-banner", bytewise(b"x" * 200, every=0.1), ("--expect", "x" * 100)),
}


@case("READY-TIMES/trickle", twin="READY-SSH/segments")
def test_what_trickles_in(gate: GateBench) -> None:
    """Each attempt is given 0.5 s, and something comes every 0.1 s."""
    services = {name: gate.service(act) for name, (_, act, _) in TRICKLES.items()}
    words = [word for name, (kind, _, more) in TRICKLES.items() for word in (kind, services[name].target, *more)]
    times = ("--attempt-timeout", "0.5", "--timeout", "1.5", "--interval", "50")
    told = gate.run(*words, *times, "--json")
    expect_late(told)
    for (name, service), probe in zip(services.items(), told.probes, strict=True):
        with about(name):
            service.left()
            expect_between(lived(service, 0), 0.5, "an attempt's end", late=0.8)
            expect_equal(probe["reason"], "incomplete", "reason")


@case("READY-TIMES/trickle", variant="one-a-second", twin="READY-SSH/segments")
def test_one_byte_a_second(gate: GateBench) -> None:
    told = gate.probe("ssh", gate.service(bytewise(b"SSH-2.0-OpenSSH_9.2\r\n", every=1)).target, 2.5)
    expect_late(told)
    expect_between(told.seconds, 2.5, "the end", OVERRUN + START)


@case("READY-TIMES/default", long=True)
def test_an_attempt_has_5_s(gate: GateBench) -> None:
    service = gate.service(silent)
    running = gate.start("ssh", service.target)
    service.visited(2)
    running.stop()
    service.left()
    expect_between(lived(service, 0), 5, "an attempt's end")


def whiles(gate: GateBench) -> dict[str, str]:
    """Targets at which a gate is in the middle of something for long."""
    return {
        "a read": gate.service(silent).target,
        "a slow answer": gate.service(bytewise(b"SSH-2.0-" + b"x" * 200, every=0.2)).target,
        "a flood": gate.service(says(*[b"x" * 8000 + b"\r\n"] * 1000, every=0.01)).target,
        "a pause": gate.service(hangs_up).target,
        "refusals": gate.service(form="tcp", listening=False).target,
    }


@case("READY-TIMES/whole")
def test_the_whole_ends_in_the_middle_of_anything(gate: GateBench) -> None:
    times = ("--timeout", "0.8", "--attempt-timeout", "30", "--interval", "30")
    running = {name: gate.start("ssh", target, *times) for name, target in whiles(gate).items()}
    service = gate.service(form="tcp", listening=False)
    with deaf("127.77.0.5", service.port):
        running["a connect"] = gate.start("ssh", f"tcp:127.77.0.5:{service.port}", *times)
        for name, each in running.items():
            with about(name):
                told = each.end()
                expect_late(told)
                expect_between(told.seconds, 0.8, "the end", OVERRUN + START)


def gaps(service: Service) -> list[float]:
    """Seconds from each attempt's end to the next one's beginning, as the service saw them."""
    ends = [visit.began if visit.ended is None else visit.ended for visit in service.visits]
    return [later.began - end for end, later in zip(ends, service.visits[1:], strict=False)]


@case("READY-TIMES/interval")
@pytest.mark.parametrize("interval", [None, 0.5], ids=["default", "given"])
def test_the_pause_between_attempts(gate: GateBench, interval: float | None) -> None:
    """After attempts that fail at once. Of several pauses one may be prolonged by a busy machine, not all."""
    service = gate.service(hangs_up)
    words = [] if interval is None else ["--interval", str(interval)]
    running = gate.start("ssh", service.target, *words, "--timeout", "30")
    service.visited(5)
    running.stop()
    found, wanted = gaps(service)[:4], interval or 0.2
    expect(sum(found) / 4 >= 0.6 * wanted, f"{wanted:g} s between attempts, on average", found)
    expect(min(found) <= wanted + 0.15, f"no more than {wanted:g} s between attempts", found)


@case("READY-TIMES/interval", variant="after-a-deadline")
def test_the_pause_after_an_attempt_that_lasted(gate: GateBench) -> None:
    """It is counted from the attempt's end, not from its beginning."""
    service = gate.service(silent)
    running = gate.start("ssh", service.target, "--attempt-timeout", "0.5", "--interval", "0.5", "--timeout", "30")
    service.visited(3)
    running.stop()
    service.left()
    expect(max(gaps(service)[:2]) >= 0.5 - EARLY, "0.5 s after an attempt's end", gaps(service))


@case("READY-TIMES/fraction")
@pytest.mark.parametrize("timeout", ["0.3", "1", "0.75"])
def test_seconds_may_have_a_fraction(gate: GateBench, timeout: str) -> None:
    began = time.monotonic()
    told = gate.run("ssh", gate.service(hangs_up).target, "--timeout", timeout)
    expect_late(told)
    expect_between(time.monotonic() - began, float(timeout), "the end", OVERRUN + START)
