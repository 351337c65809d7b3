"""Section 1: signals (READY-SIGNAL) and what is left (READY-CLEAN)."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from guestwire.drive import process
from guestwire.drive.gate import PATIENCE, START, Gate, GateBench, expect_late, expect_ready
from guestwire.drive.services import Visit, asked, bytewise, hangs_up, says, silent
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.suite_ready.names import World
from guestwire.suite_ready.test_1_target import deaf

BANNER = says(b"SSH-2.0-OpenSSH_9.2\r\n")
LATEST = 0.4  # seconds instead of 0.1, of the best of three: a busy machine is no fault of a gate's
STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
TIMES = ("--timeout", "60", "--attempt-timeout", "60", "--interval", "60")


def stopped(start: Callable[[], Gate], number: int) -> None:
    """Started three times, and ended by a signal each time: the best one in time, all with the signal's status."""
    took = []
    for _ in range(3):
        told = start().stop(number)
        took.append(told.seconds)
        expect_equal(told.status, STOPS[signal.Signals(number)], f"exit status (stderr {told.stderr!r})")
        if told.seconds < LATEST:
            return
    expect(False, "an end within 100 ms (400 ms on a busy machine, of the best of three)", took)


BOTH = pytest.mark.parametrize("number", list(STOPS), ids=["sigint", "sigterm"])


@case("READY-SIGNAL/read", "READY-SIGNAL/status")
@BOTH
@pytest.mark.parametrize("what", ["silent", "slow", "busy"])
def test_in_the_middle_of_a_read(gate: GateBench, what: str, number: int) -> None:
    def busy(visit: Visit) -> None:
        while True:
            visit.send(b"x" * 60 + b"\r\n")
            visit.pause(0.0005)

    acts = {"silent": silent, "slow": bytewise(b"SSH-2.0-" + b"x" * 200, every=0.2), "busy": busy}

    def start() -> Gate:
        service = gate.service(acts[what])
        gate_running = gate.start("ssh", service.target, *TIMES)
        service.visited()
        time.sleep(0.1)
        return gate_running

    stopped(start, number)


@case("READY-SIGNAL/read", variant="connecting")
@BOTH
def test_in_the_middle_of_a_connect(gate: GateBench, number: int) -> None:
    """The connection before it shows that it is at it."""
    service, shows = gate.service(form="tcp", listening=False), gate.service(silent)
    with deaf("127.77.0.6", service.port):

        def start() -> Gate:
            count = len(shows.visits) + 1
            running = gate.start("ssh", shows.target, "ssh", f"tcp:127.77.0.6:{service.port}", *TIMES)
            shows.visited(count)
            time.sleep(0.1)
            return running

        stopped(start, number)


@case("READY-SIGNAL/resolve", "READY-CLEAN/processes", needs="root")
@BOTH
def test_in_the_middle_of_a_look_up(gate: GateBench, number: int) -> None:
    """The name server has been asked and does not answer."""
    with World(gate, answers=False) as world:

        def start() -> Gate:
            count = world.questions + 1
            running = gate.start("ssh", "tcp:guest.test:22", *TIMES, wrapper=world.wrapper)
            world.asked(count)
            time.sleep(0.05)
            return running

        stopped(start, number)


@case("READY-TIMES/whole", variant="resolving", needs="root")
def test_a_look_up_holds_up_nothing(gate: GateBench) -> None:
    """Neither the end nor another probe."""
    service = gate.service(BANNER)
    with World(gate, answers=False) as world:
        words = ["ssh", "tcp:guest.test:22", "ssh", service.target, "--json"]
        running = gate.start(*words, "--timeout", "1", wrapper=world.wrapper)
        world.asked(1)
        told = running.end()
        expect_late(told)
        expect(told.seconds < 1.5 + START, "the end after 1 s", told.seconds)
        expect(told.probes[1]["ready"] and told.probes[1]["elapsed"] < 0.8, "the other probe ready", told.probes[1])
        expect_equal(told.probes[0]["reason"], "unresolved", "reason of the name")
        any_will_do = gate.start("--any", *words, "--timeout", "30", wrapper=world.wrapper).end()
        expect_ready(any_will_do)


@case("READY-SIGNAL/pause")
@BOTH
def test_in_a_pause(gate: GateBench, number: int) -> None:
    def start() -> Gate:
        service = gate.service(hangs_up)
        running = gate.start("ssh", service.target, *TIMES)
        service.visited()
        time.sleep(0.2)
        return running

    stopped(start, number)


@case("READY-SIGNAL/status", "READY-CLEAN/files")
@BOTH
def test_while_it_listens(gate: GateBench, number: int) -> None:
    path = f"{gate.program.folder}/notify"

    def start() -> Gate:
        running = gate.start("notify", f"unix:{path}", *TIMES)
        until = time.monotonic() + PATIENCE
        while gate.program.witness.info(path) is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.05)
        return running

    stopped(start, number)
    expect_equal(gate.program.witness.info(path), None, "its socket")


# ---- what is left


def of_session(leader: int) -> list[process.Process]:
    """The processes of a gate's session."""
    return [each for each in process.processes() if each.sid == leader]


@case("READY-CLEAN/processes", variant="every-end")
def test_no_process_is_left(gate: GateBench) -> None:
    """Whatever its end."""
    name = ["ssh", "tcp:no-such-name.invalid:22"]
    ready = ["--any", "ssh", gate.service(BANNER).target]
    runs = {
        "ready": [*ready, *name, "--timeout", "10"],
        "late": [*name, "--timeout", "0.4"],
        "usage": [*name, "--bogus"],
    }
    for what, words in runs.items():
        with about(what):
            running = gate.start(*words)
            running.end()
            expect_equal(of_session(running.running.pid), [], "processes left")


@case("READY-CLEAN/files", variant="every-end")
def test_no_file_is_left(gate: GateBench) -> None:
    """Everything there is for it to write to: its directory, as working directory, HOME and TMPDIR."""
    folder = gate.program.folder
    banner, name = gate.service(BANNER).target, "tcp:no-such-name.invalid:22"
    notify = ["notify", f"unix:{folder}/notify"]
    runs = {
        "ready": ["--any", "ssh", banner, *notify, "--timeout", "10", "--json"],
        "late": [*notify, "ssh", banner, "ssh", name, "--timeout", "0.4"],
        "usage": [*notify, "--bogus"],
    }
    for what, words in runs.items():
        with about(what):
            gate.run(*words, cwd=folder)
            expect_equal(gate.program.witness.names(folder), [], "files left")


@case("READY-CLEAN/connections")
def test_no_connection_outlives_its_attempt(gate: GateBench) -> None:
    service = gate.service(silent)
    running = gate.start("ssh", service.target, "--attempt-timeout", "0.3", "--interval", "0.5", "--timeout", "30")
    visits = service.visited(3)
    for visit, following in pairwise(visits):
        expect(visit.ended is not None and visit.ended <= following.began, "closed before the next attempt", visits)
    running.stop()
    service.left()


@case("READY-CLEAN/connections", variant="answered")
def test_a_connection_that_answered_is_closed(gate: GateBench) -> None:
    """Also while the gate waits for another probe."""
    service, nobody = gate.service(BANNER), gate.service(form="tcp", listening=False)
    running = gate.start("ssh", service.target, "ssh", nobody.target, "--timeout", "30")
    service.left(5)
    expect(running.poll() is None, "the gate waits for the other one", running.poll())
    running.stop()


@case("READY-CLEAN/connections", variant="descriptors")
def test_no_descriptor_outlives_its_attempt(gate: GateBench) -> None:
    """Fifty attempts that fail, of each kind of failure."""
    targets = [gate.service(act).target for act in (hangs_up, says(b"HTTP/1.1 400 no\r\n"))]
    targets += [gate.service(form="tcp", listening=False).target, f"unix:{gate.path('absent')}", "tcp:x.invalid:1"]
    last = gate.service(hangs_up)
    words = [word for target in (*targets, last.target) for word in ("ssh", target)]
    running = gate.start(*words, "--interval", "0.02", "--timeout", "60")
    last.visited(5)
    before = max(_descriptors(gate, running) for _ in range(20))
    last.visited(50, within=20)
    now = min(_descriptors(gate, running) for _ in range(20))
    expect(now <= before, f"at most {before} descriptors, as after five attempts", now)
    running.stop()


def _descriptors(gate: GateBench, running: Gate) -> int:
    time.sleep(0.007)
    counts = gate.program.witness.counts(running.running.pid)
    return 0 if counts is None else int(counts[0])


# ---- what it inherits


@case("READY-CLEAN/signals")
def test_ignored_and_blocked_signals(gate: GateBench) -> None:
    numbers = tuple(n for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33))
    for which in ("ignore", "block"):
        conditions: dict[str, Any] = {which: numbers}
        with about(which):
            expect_ready(gate.run("ssh", gate.service(hangs_up, BANNER).target, "--timeout", "10", **conditions))
            for number, status in STOPS.items():
                service = gate.service(silent)
                running = gate.start("ssh", service.target, *TIMES, **conditions)
                service.visited()
                time.sleep(0.05)
                expect_equal(running.stop(number).status, status, f"exit status after {number.name}")


@case("READY-CLEAN/signals", variant="sigpipe")
def test_a_service_that_closes_before_it_is_asked(gate: GateBench) -> None:
    """SIGPIPE has its usual action."""

    def deaf(visit: Visit) -> None:
        visit.read_until(b"\n")
        visit.sock.shutdown(socket.SHUT_RD)  # from here on sending to it fails, as behind a close
        visit.send(b"OK 7\n")
        time.sleep(0.1)
        visit.close()

    service = gate.service(deaf, deaf, asked(says(b"OK 7\nHTTP/1.1 200 OK\r\n\r\n"), b"\n"))
    target = service.target.replace("unix:", "hybrid:") + ":22"
    expect_ready(gate.run("http", target, "--timeout", "10"))
    expect_equal(len(service.visits), 3, "connections")


CLOSED = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)]


@case("READY-CLEAN/closed")
@pytest.mark.parametrize("closed", CLOSED, ids=["".join(map(str, closed)) for closed in CLOSED])
def test_closed_descriptors(gate: GateBench, closed: tuple[int, ...]) -> None:
    """What would go to them does not go to a service that has got their number."""
    streams = {name: "closed" for number, name in ((1, "stdout"), (2, "stderr")) if number in closed}
    conditions: dict[str, Any] = {**streams, "close": (0,) if 0 in closed else ()}
    expect_ready(gate.run("ssh", gate.service(BANNER).target, "--timeout", "10", "--json", **conditions))
    wrong = gate.service(silent)
    told = gate.run("ssh", wrong.target, "--timeout", "0.5", "--json", **conditions)
    expect_late(told)
    if 1 not in closed:
        expect_equal(told.probe["reason"], "silent", "reason")
    expect_equal(bytes(wrong.left()[0].received), b"", "bytes sent to the service")


@case("READY-CLEAN/stray")
def test_inherited_descriptors(gate: GateBench) -> None:
    """Hundreds, of which some are ready all the time; fewer than the limit, with little room."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    copies = [os.dup(read_end) for _ in range(300)]
    gate.program.at_end(lambda: _close([read_end, write_end, *copies]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    conditions: dict[str, Any] = {
        "pass_fds": (write_end, *copies),
        "limits": {resource.RLIMIT_NOFILE: (max(copies) + 40, hard)},
    }
    banner = gate.service(hangs_up, BANNER)
    expect_ready(gate.run("ssh", banner.target, "ssh", gate.service(BANNER).target, "--timeout", "10", **conditions))
    expect_late(gate.run("ssh", gate.service(silent).target, "--timeout", "0.4", **conditions))


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
