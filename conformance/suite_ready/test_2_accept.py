"""Section 2: that a connection is accepted proves nothing (READY-ACCEPT), and what comes later is found (READY-LATER)."""

from __future__ import annotations

import time

import pytest

from guestwire.drive.gate import GateBench, expect_ready
from guestwire.drive.services import FORMS, hangs_up, resets, says, silent
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite_ready.names import World

BANNER = says(b"SSH-2.0-OpenSSH_9.2\r\n")
OPTIONS = {"ssh": (), "agent": (), "http": (), "tcp-banner": ("--expect", "220 ")}
KINDS = pytest.mark.parametrize("kind", sorted(OPTIONS))


@case("READY-ACCEPT/closed")
@pytest.mark.parametrize("form", FORMS)
def test_accepted_and_closed(gate: GateBench, form: str) -> None:
    for kind, options in OPTIONS.items() if form == "unix" else [("ssh", ()), ("agent", ())]:
        gate.not_ready(kind, {kind: hangs_up}, *options, reason="closed", form=form)


@case("READY-ACCEPT/reset")
@KINDS
def test_accepted_and_reset(gate: GateBench, kind: str) -> None:
    gate.not_ready(kind, {kind: resets}, *OPTIONS[kind], reason="closed", form="tcp")


@case("READY-ACCEPT/silent")
@pytest.mark.parametrize("form", FORMS)
def test_accepted_and_silent(gate: GateBench, form: str) -> None:
    inputs = {kind: (kind, silent, options) for kind, options in OPTIONS.items()}
    if gate.templated:
        gate.not_ready("ssh", {"ssh": silent})
        return
    for kind, row in gate.seen(inputs, attempt_timeout="0.3", form=form).items():
        expect_equal((row["ready"], row["reason"]), (False, "silent"), f"ready, and reason of {kind}")


@case("READY-ACCEPT/next")
@pytest.mark.parametrize("form", FORMS)
def test_the_next_attempt_may_succeed(gate: GateBench, form: str) -> None:
    """A forwarder that accepts before the guest listens."""
    first = resets if form.startswith("tcp") else hangs_up
    service = gate.service(hangs_up, first, silent, BANNER, form=form)
    expect_ready(gate.run("ssh", service.target, "--timeout", "15", "--attempt-timeout", "0.4"))
    expect_equal(len(service.visits), 4, "connections")


@case("READY-ACCEPT/next", variant="wrong-first")
def test_a_wrong_service_may_go(gate: GateBench) -> None:
    """Whatever a failed attempt has seen is forgotten with it."""
    service = gate.service(says(b"HTTP/1.1 200 OK\r\n\r\n"), says(b"SSH-2.0-half"), says(b"x" * 9000), BANNER)
    expect_ready(gate.run("ssh", service.target, "--timeout", "15", "--attempt-timeout", "0.4"))
    expect_equal(len(service.visits), 4, "connections")


# ---- later


@case("READY-LATER/refused")
@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_a_service_that_listens_later(gate: GateBench, seconds: float) -> None:
    service = gate.service(BANNER, form="tcp", listening=False)
    waiting = gate.start("ssh", service.target, "--timeout", "15")
    time.sleep(seconds)
    expect(waiting.poll() is None, "the gate waits", waiting.poll())
    service.open()
    expect_ready(waiting.end(17))
    expect(time.monotonic() - waiting.began < seconds + 2, "ready within 2 s of the service", waiting.began)


@case("READY-LATER/absent")
@pytest.mark.parametrize("form", ["unix", "hybrid"])
def test_a_socket_file_that_appears_later(gate: GateBench, form: str) -> None:
    service = gate.service(BANNER, form=form, listening=False)
    waiting = gate.start("ssh", service.target, "--timeout", "15")
    time.sleep(0.5)
    expect(waiting.poll() is None, "the gate waits", waiting.poll())
    service.open()
    expect_ready(waiting.end(17))


@case("READY-LATER/unresolved", needs="root")
def test_a_name_that_resolves_later(gate: GateBench) -> None:
    service = gate.service(BANNER, form="tcp")
    with World(gate) as world:
        waiting = gate.start("ssh", f"tcp:guest.test:{service.port}", "--timeout", "15", wrapper=world.wrapper)
        world.asked(2)
        expect(waiting.poll() is None, "the gate waits", waiting.poll())
        world.hosts("127.0.0.1 guest.test")
        expect_ready(waiting.end(17))
