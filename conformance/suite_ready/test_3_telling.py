"""Section 3: what it tells (READY-REASON, READY-HINT, READY-JSON, READY-PROGRESS)."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import time

import pytest

from guestwire.drive.gate import NEVER, GateBench, Told, expect_late, expect_ready
from guestwire.drive.services import Act, asked, hangs_up, resets, says, silent, then_hangs_up
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.suite_ready.test_1_target import deaf
from guestwire.suite_ready.test_2_agent import PONG, frame

BANNER = says(b"SSH-2.0-OpenSSH_9.2\r\n")
END = b"\r\n\r\n"
ONCE = ("--interval", NEVER, "--json")  # one attempt


# ---- reasons


def reasons(told: Told) -> list[str]:
    """Of the probes; each stands on stderr too."""
    expect_late(told)
    for probe, line in zip(told.probes, told.lines, strict=True):
        expect(probe["target"] in line and probe["reason"] in line, f"a line with {probe['reason']}", line)
    return [probe["reason"] for probe in told.probes]


@case("READY-REASON/refused")
def test_refused(gate: GateBench) -> None:
    """A port and a socket file that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(gate.path("leftover"))
    targets = [gate.service(form=form, listening=False).target for form in ("tcp", "tcp6")]
    targets += [f"unix:{gate.path('leftover')}", f"hybrid:{gate.path('leftover')}:22"]
    told = gate.run(*(word for target in targets for word in ("ssh", target)), "--timeout", "1", "--json")
    expect_equal(reasons(told), ["refused"] * 4, "reasons")


@case("READY-REASON/absent")
def test_absent(gate: GateBench) -> None:
    targets = [f"unix:{gate.path('absent')}", f"unix:{gate.path('no/folder')}", f"hybrid:{gate.path('absent')}:22"]
    told = gate.run(*(word for target in targets for word in ("ssh", target)), "--timeout", "1", "--json")
    expect_equal(reasons(told), ["absent"] * 3, "reasons")


@case("READY-REASON/unresolved")
def test_unresolved(gate: GateBench) -> None:
    told = gate.run("ssh", "tcp:no-such-name.invalid:22", "--timeout", "1", "--json")
    expect_equal(reasons(told), ["unresolved"], "reasons")


@case("READY-REASON/unreachable")
def test_unreachable(gate: GateBench) -> None:
    """An address where no connection comes about."""
    port = gate.service(form="tcp", listening=False).port
    with deaf("127.77.0.7", port):
        words = ["--timeout", "1", "--attempt-timeout", "0.4", *ONCE]
        told = gate.run("ssh", f"tcp:127.77.0.7:{port}", *words)
    expect_equal(reasons(told), ["unreachable"], "reasons")


@case("READY-REASON/closed")
def test_closed(gate: GateBench) -> None:
    targets = [gate.service(hangs_up).target, *(gate.service(resets, form=form).target for form in ("tcp", "tcp6"))]
    told = gate.run(*(word for target in targets for word in ("ssh", target)), "--timeout", "1", *ONCE)
    expect_equal(reasons(told), ["closed"] * 3, "reasons")


@case("READY-REASON/silent")
def test_silent(gate: GateBench) -> None:
    rows = gate.seen({kind: (kind, silent, ()) for kind in ("ssh", "agent", "http")}, attempt_timeout="0.3")
    expect_equal([row["reason"] for row in rows.values()], ["silent"] * 3, "reasons")


@case("READY-REASON/silent", variant="cut-off")
def test_silent_until_the_end_of_all(gate: GateBench) -> None:
    """The first attempt is still under way when the time is over."""
    told = gate.run("ssh", gate.service(silent).target, "--timeout", "1", "--json")
    expect_equal(reasons(told), ["silent"], "reasons")


@case("READY-REASON/incomplete")
def test_incomplete(gate: GateBench) -> None:
    inputs: dict[str, tuple[str, Act, tuple[str, ...]]] = {
        "ssh": ("ssh", says(b"SSH-2.0-OpenSSH"), ()),
        "ssh, lines before it": ("ssh", says(b"hello\r\n" * 3), ()),
        "agent": ("agent", asked(says(frame(PONG)[:-1]), b'"ping"'), ()),
        "http": ("http", asked(says(b"HTTP/1.1 200 OK"), END), ()),
        "http, interim": ("http", asked(says(b"HTTP/1.1 100 Continue\r\n\r\n"), END), ()),
        "tcp-banner": ("tcp-banner", says(b"220"), ("--expect", "220 ")),
    }
    for name, row in gate.seen(inputs, attempt_timeout="0.4").items():
        with about(name):
            expect_equal(row["reason"], "incomplete", "reason")


@case("READY-REASON/unexpected")
def test_unexpected(gate: GateBench) -> None:
    """Each kind, and a service of another one."""
    inputs: dict[str, tuple[str, Act, tuple[str, ...]]] = {
        "ssh": ("ssh", says(b"SSH-1.5-x\r\n"), ()),
        "agent": ("agent", says(b"SSH-2.0-OpenSSH_9.2\r\n"), ()),
        "http": ("http", asked(says(frame(PONG)), END), ()),
        "tcp-banner": ("tcp-banner", says(b"SSH-2.0-OpenSSH_9.2\r\n"), ("--expect", "220 ")),
    }
    for name, row in gate.seen(inputs).items():
        with about(name):
            expect_equal(row["reason"], "unexpected", "reason")


@case("READY-REASON/waiting")
def test_waiting(gate: GateBench) -> None:
    told = gate.run("notify", f"unix:{gate.program.folder}/notify", "--timeout", "0.4", "--json")
    expect_equal(reasons(told), ["waiting"], "reasons")


NASTY = b"\x1b]0;owned\x07\x1b[2J\r\x08\x00\x7f\x9b31m\xc2\x9b31m\xe2\x80\xae\n"  # what a terminal would obey
JSON_NASTY = json.dumps(
    {"ok": False, "op": "error", "error": "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202e", "code": "malformed"}
)
FORGED = b"ready: ssh tcp:192.0.2.1:22: all is well"


def harmless(text: str, what: str) -> None:
    """One that can be written to a terminal."""
    bad = [char for char in text if not char.isprintable() or char == "\ufffd"]
    expect(
        not bad, f"nothing in {what} that a terminal would obey, and no byte that is no text", f"{bad!r} in {text!r}"
    )


@case("READY-REASON/escaped")
def test_untrusted_bytes_are_escaped(gate: GateBench) -> None:
    inputs: dict[str, tuple[str, Act, tuple[str, ...]]] = {
        "ssh": ("ssh", says(b"SSH-" + NASTY), ()),
        "ssh, 2.0": ("ssh", says(b"SSH-2.0-" + NASTY), ()),
        "ssh, cut": ("ssh", then_hangs_up(says(b"SSH-2.0-\x1b[2J")), ()),
        "ssh, a line": ("ssh", says((FORGED + b"\x1b[2J\r\n") * 1025), ()),
        "tcp-banner": ("tcp-banner", says(NASTY), ("--expect", "220 ")),
        "http": ("http", asked(says(b"HTTP/1.1 " + NASTY), END), ()),
        "http, status": ("http", asked(says(b"HTTP/1.1 500 " + NASTY + END), END), ()),
        "agent": ("agent", asked(says(NASTY), b'"ping"'), ()),
        "agent, an error": ("agent", asked(says(frame(JSON_NASTY.encode())), b'"ping"'), ()),
        "agent, as it stands": ("agent", asked(says(frame(NASTY)), b'"ping"'), ()),
    }
    for name, row in gate.seen(inputs).items():
        with about(name):
            harmless(row["detail"] or "", "the detail")
            expect(row["detail"], "a line for a person", row)
    words = []
    for kind, act, more in inputs.values():
        words += [kind, gate.service(act).target, *more]
    told = gate.run(*words, "--timeout", "1", "--interval", NEVER)
    expect_late(told)
    expect_equal(len(told.stderr.split("\n")) - 1, len(inputs), "lines on stderr")
    for line in told.stderr.removesuffix("\n").split("\n"):
        harmless(line, "stderr")


# ---- hints


@case("READY-HINT/reason")
def test_a_hint_for_each_reason(gate: GateBench) -> None:
    """Nothing listens, accepted then closed, silent, wrong service: one for each, and it ends the line."""
    nobody = gate.service(form="tcp", listening=False).target
    targets = [
        nobody,
        gate.service(hangs_up).target,
        gate.service(silent).target,
        gate.service(says(b"SSH-9-x\n")).target,
    ]
    words = [word for target in targets for word in ("ssh", target)]
    told = gate.run(*words, "--timeout", "1", "--attempt-timeout", "0.4", *ONCE)
    expect_equal(reasons(told), ["refused", "closed", "silent", "unexpected"], "reasons")
    hints = [probe["hint"] for probe in told.probes]
    expect(all(hints) and len(set(hints)) == 4, "a hint of its own for each", hints)
    for hint, line in zip(hints, told.lines, strict=True):
        expect(line.endswith(hint), f"a line that ends with {hint!r}", line)


@case("READY-HINT/text")
def test_a_hint_that_is_given(gate: GateBench) -> None:
    """Each belongs to the probe before it."""
    one, other, third = (gate.service(form="tcp", listening=False).target for _ in range(3))
    words = ["ssh", one, "--hint", "look at one", "ssh", other, "ssh", third, "--hint=siehe Gerät 3"]
    told = gate.run(*words, "--timeout", "1", "--json")
    expect_late(told)
    hints = [probe["hint"] for probe in told.probes]
    expect_equal((hints[0], hints[2]), ("look at one", "siehe Gerät 3"), "hints")
    expect(hints[1] and hints[1] not in (hints[0], hints[2]), "a hint by its reason for the second", hints)
    for hint, line in list(zip(hints, told.lines, strict=True))[:2]:  # stderr may escape what is not ASCII
        expect(line.endswith(hint), f"a line that ends with {hint!r}", line)


# ---- JSON


@case("READY-JSON/ready")
def test_report_of_success(gate: GateBench) -> None:
    target = gate.service(hangs_up, BANNER).target
    told = gate.run("ssh", target, "--timeout", "10", "--json")
    expect_ready(told)
    expect(told.report["ready"] is True, "ready true", told.report)
    probe = told.probe
    said = {name: probe[name] for name in ("kind", "target", "ready", "attempts", "reason")}
    wanted = {"kind": "ssh", "target": target, "ready": True, "attempts": 2, "reason": None}
    expect_equal(said, wanted, "what is said of the probe")
    expect(0.15 < probe["elapsed"] <= told.report["elapsed"] <= told.seconds, "times that fit", told.report)


@case("READY-JSON/late")
def test_report_of_failure(gate: GateBench) -> None:
    target = gate.service(hangs_up).target
    told = gate.run("ssh", target, "--timeout", "0.7", "--interval", "50", "--json")
    expect_late(told)
    expect(told.report["ready"] is False, "ready false", told.report)
    probe = told.probe
    said = {name: probe[name] for name in ("kind", "target", "ready", "attempts", "reason")}
    wanted = {"kind": "ssh", "target": target, "ready": False, "attempts": 1, "reason": "closed"}
    expect_equal(said, wanted, "what is said of the probe")
    expect(bool(probe["detail"]) and bool(probe["hint"]), "a detail and a hint", probe)
    expect(0.65 <= told.report["elapsed"] <= told.seconds, "the time", told.report)


@case("READY-JSON/signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["sigint", "sigterm"])
def test_report_after_a_signal(gate: GateBench, number: int) -> None:
    service = gate.service(silent)
    running = gate.start("ssh", service.target, "notify", f"unix:{gate.program.folder}/notify", "--json")
    service.visited()
    time.sleep(0.1)
    told = running.stop(number)
    expect_equal(told.status, 128 + number, "exit status")
    expect(told.report["ready"] is False, "ready false", told.report)
    expect_equal([probe["reason"] for probe in told.probes], ["silent", "waiting"], "reasons")


@case("READY-JSON/usage", twin="READY-JSON/late")
def test_no_report_of_a_bad_command_line(gate: GateBench) -> None:
    for words in (["--json", "--bogus"], ["ssh", "nowhere", "--json"], ["--json"]):
        told = gate.run(*words)
        expect_equal((told.status, told.stdout), (2, ""), f"exit status and stdout for {words}")


@case("READY-JSON/many")
def test_report_of_several_probes(gate: GateBench) -> None:
    """In order, also where they answer in another one; names that are not ASCII as they were given."""
    slow = gate.service(says(b"", b"SSH-2.0-slow\r\n", every=0.3)).target
    quick = gate.service(BANNER, place=gate.path("schön")).target
    nobody = f"unix:{gate.path('nobody')}"
    told = gate.run("ssh", slow, "agent", nobody, "ssh", quick, "--timeout", "1.5", "--json")
    expect_late(told)
    expect(told.report["ready"] is False, "ready false", told.report)
    said = [(probe["kind"], probe["target"], probe["ready"], probe["reason"]) for probe in told.probes]
    wanted = [("ssh", slow, True, None), ("agent", nobody, False, "absent"), ("ssh", quick, True, None)]
    expect_equal(said, wanted, "kind, target, ready and reason of each")
    enough = gate.run("--any", "agent", nobody, "ssh", quick, "--timeout", "10", "--json")
    expect_equal((enough.status, enough.report["ready"]), (0, True), "exit status and ready with --any")
    expect_equal([probe["ready"] for probe in enough.probes], [False, True], "ready of each with --any")


@case("READY-JSON/quiet")
def test_nothing_on_stdout_without_it(gate: GateBench) -> None:
    done = gate.run("ssh", gate.service(BANNER).target, "--timeout", "10")
    expect_equal((done.status, done.stdout, done.stderr), (0, "", ""), "exit status, stdout and stderr")
    late = gate.run("ssh", gate.service(hangs_up).target, "--timeout", "0.4")
    expect_equal((late.status, late.stdout), (1, ""), "exit status and stdout")


# ---- progress


@case("READY-PROGRESS/terminal", long=True)
def test_a_line_each_second_on_a_terminal(gate: GateBench) -> None:
    """And what services say is as harmless there as elsewhere."""
    ours, theirs = pty.openpty()
    gate.program.at_end(lambda: os.close(ours))
    try:
        services = [gate.service(hangs_up).target, gate.service(says(b"SSH-" + NASTY)).target]
        running = gate.start(*(w for target in services for w in ("ssh", target)), "--timeout", "3.5", stderr=theirs)
    finally:
        os.close(theirs)
    lines = _lines(ours, time.monotonic() + 8)
    expect_late(running.end())
    progress = [when - running.began for when, _ in lines[:-2]]
    expect(2 <= len(progress) <= 8, "a line of progress each second for 3.5 s, and two lines at the end", lines)
    expect(0.9 < progress[0] < 3.2, "the first one after a second", progress)
    for _, line in lines:
        harmless(line, "a line on the terminal")


def _lines(terminal: int, until: float) -> list[tuple[float, str]]:
    """Each line until the other end closes, with its time."""
    found, rest = [], b""
    while select.select([terminal], [], [], max(until - time.monotonic(), 0))[0]:
        try:
            rest += os.read(terminal, 4096)
        except OSError:  # nobody holds the other end
            break
        *whole, rest = rest.split(b"\r\n")
        found += [(time.monotonic(), line.decode(errors="replace")) for line in whole]
    return found


@case("READY-PROGRESS/quiet")
def test_no_progress_elsewhere(gate: GateBench) -> None:
    told = gate.run("ssh", gate.service(hangs_up).target, "--timeout", "2.2")
    expect_equal((told.status, len(told.lines)), (1, 1), "exit status and lines on stderr")
