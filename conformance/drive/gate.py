"""A readiness gate under judgement, for one case: command lines run against scripted services (drive/services.py), every wait
with a deadline, and what came of it: exit status, stdout, stderr, the JSON report, times.

Failing is told without waiting for --timeout: a gate is given an --interval that never comes, its attempt ends by its closing
the connection, and SIGTERM makes it report what it has seen.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guestwire.drive.program import Program, Running
from guestwire.drive.services import Act, Service
from guestwire.judge.outcome import (
    DeadlineExceeded,
    NotApplicable,
    Violation,
    about,
    expect,
    expect_equal,
    short,
)

PATIENCE = 10.0  # seconds for what takes a quiet machine a hundredth of it
OVERRUN = 0.5  # seconds that the whole may take beyond --timeout
START = 1.0  # seconds more for a process that starts and ends on a busy machine
NEVER = "50"  # seconds: longer than any case
REASONS = (
    "refused", "absent", "unresolved", "unreachable", "closed", "silent", "incomplete", "unexpected", "waiting", "failed",
)  # fmt: skip
PROBE_KEYS = {"kind", "target", "ready", "attempts", "elapsed", "reason", "detail", "hint"}


@dataclass(frozen=True)
class Told:
    """What a gate that has ended told. `seconds` from its start, or from the signal that ended it."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object, checked for its shape (READY-JSON)."""
        try:
            report: dict[str, Any] = json.loads(self.stdout)
        except ValueError:
            raise Violation(
                "one JSON object on stdout", f"{self.stdout!r} (status {self.status}, stderr {self.stderr!r})"
            ) from None
        expect(isinstance(report, dict), "a JSON object", report)
        expect({"ready", "elapsed", "probes"} <= set(report), "ready, elapsed and probes in the report", report)
        expect(
            type(report["ready"]) is bool and _is_seconds(report["elapsed"]), "ready boolean, elapsed seconds", report
        )
        expect(isinstance(report["probes"], list), "a list of probes", report)
        for probe in report["probes"]:
            _check_probe(probe)
        return report

    @property
    def probes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.report["probes"]
        return found

    @property
    def probe(self) -> dict[str, Any]:
        """The only one."""
        expect_equal(len(self.probes), 1, "number of probes")
        return self.probes[0]

    @property
    def lines(self) -> list[str]:
        """Of stderr."""
        expect(not self.stderr or self.stderr.endswith("\n"), "whole lines on stderr", self.stderr)
        return self.stderr.splitlines()


def _is_seconds(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1000  # type: ignore[operator]


def _check_probe(probe: dict[str, Any]) -> None:
    expect(isinstance(probe, dict) and set(probe) >= PROBE_KEYS, f"{sorted(PROBE_KEYS)} of a probe", probe)
    good = all(isinstance(probe[name], str) for name in ("kind", "target")) and type(probe["ready"]) is bool
    expect(good and type(probe["attempts"]) is int and probe["attempts"] >= 0, "the types of a probe's members", probe)
    expect(_is_seconds(probe["elapsed"]), "elapsed in seconds", probe)
    if probe["ready"]:
        expect(probe["reason"] is None, "reason null of a probe that is ready", probe)
    else:
        expect(probe["reason"] in REASONS, f"one of {', '.join(REASONS)}", probe)
    for name in ("detail", "hint"):
        expect(probe[name] is None or isinstance(probe[name], str), f"{name} a string or null", probe)


class Gate:
    """One start of it."""

    def __init__(self, running: Running, began: float) -> None:
        self.running = running
        self.began = began
        self._pidfd = os.pidfd_open(running.pid)

    def poll(self) -> int | None:
        return self.running.poll()

    def end(self, within: float = PATIENCE, since: float | None = None) -> Told:
        """Wait for its end. Raises DeadlineExceeded."""
        if not self._ends(within):
            raise DeadlineExceeded(
                f"the gate's end within {within:.1f} s", f"it still runs; stderr: {self.running.stderr()[-300:]!r}"
            )
        seconds = time.monotonic() - (self.began if since is None else since)
        status = self.running.wait(1)
        assert status is not None
        return Told(status, self.running.stdout(), self.running.stderr(), seconds)

    def _ends(self, within: float) -> bool:
        return bool(select.select([self._pidfd], [], [], within)[0])

    def stop(self, number: int = signal.SIGTERM, within: float = PATIENCE) -> Told:
        """End it by a signal; the seconds are from there."""
        now = time.monotonic()
        self.running.signal(number)
        return self.end(within, now)

    def close(self) -> None:
        os.close(self._pidfd)


class FarGate(Gate):
    """One in a guest."""

    def __init__(self, running: Running, began: float) -> None:
        self.running = running
        self.began = began

    def _ends(self, within: float) -> bool:
        return self.running.wait(within) is not None

    def close(self) -> None:
        pass


class GateBench:
    """Given to a case as `gate`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._made = 0

    # ---- services

    def path(self, name: str) -> str:
        """A path of the case's own."""
        return f"{self.program.scratch}/{name}"

    def service(
        self, *acts: Act, form: str = "unix", place: str = "", port: int = 0, listening: bool = True
    ) -> Service:
        """A service that is gone when the case ends."""
        self._made += 1
        default = {"tcp": "127.0.0.1", "tcp6": "::1"}.get(form) or self.path(f"service{self._made}")
        service = Service(form, place or default, acts, port, listening)
        self.program.at_end(service.close)
        return service

    # ---- runs

    @property
    def templated(self) -> bool:
        """Whether its command line is a template: a probe of somebody else's, which knows nothing of our options."""
        return any("{" in word for word in self.program.argv)

    def start(self, *words: str, wrapper: Iterable[str] = (), **conditions: Any) -> Gate:
        """The gate with these arguments, not waited for. `wrapper`: the beginning of the command line."""
        if self.templated:
            raise NotApplicable("its command line is a template: it takes none of the contract's options")
        return self._start((*wrapper, *self.program.argv, *words), conditions)

    def _start(self, argv: tuple[str, ...], conditions: dict[str, Any]) -> Gate:
        began = time.monotonic()  # before it starts: on a busy machine that takes a while
        kind = FarGate if self.program.connectable.in_guest else Gate
        gate = kind(self.program.start(argv, **({"stdout": "file"} | conditions)), began)
        self.program.at_end(gate.close)
        return gate

    def run(self, *words: str, within: float = PATIENCE, **conditions: Any) -> Told:
        """The same, to its end."""
        return self.start(*words, **conditions).end(within)

    def probe(self, kind: str, target: str, timeout: float, within: float | None = None) -> Told:
        """One probe, by the template if there is one."""
        return self._start(self.program.gate(kind, target, timeout), {}).end(
            timeout + OVERRUN + START if within is None else within
        )

    # ---- verdicts on what services say

    def ready(self, kind: str, inputs: Mapping[str, Act], *options: str) -> None:
        """The gate calls each of these services ready."""
        gates = {}
        for name, act in inputs.items():
            service = self.service(act)
            gates[name] = self._start((*self.program.gate(kind, service.target, PATIENCE), *self._plain(options)), {})
        for name, gate in gates.items():
            with about(name):
                told = gate.end(PATIENCE + OVERRUN + START)
                expect_equal(told.status, 0, f"exit status (stderr {told.stderr!r})")

    def _plain(self, options: tuple[str, ...]) -> tuple[str, ...]:
        if self.templated and options:
            raise NotApplicable("its command line is a template: it takes none of the contract's options")
        return options

    def not_ready(
        self,
        kind: str,
        inputs: Mapping[str, Act],
        *options: str,
        reason: str = "unexpected",
        attempt_timeout: str = NEVER,
        form: str = "unix",
    ) -> None:
        """The gate calls none of these services ready, and the reason is one of these, `|` between them."""
        if self.templated:
            self._never_ready(kind, inputs)
            return
        rows = self.seen({name: (kind, act, options) for name, act in inputs.items()}, attempt_timeout, form)
        for name, row in rows.items():
            with about(name):
                expect(not row["ready"] and row["reason"] in reason.split("|"), f"not ready, {reason}", row)

    def _never_ready(self, kind: str, inputs: Mapping[str, Act]) -> None:
        for name, act in inputs.items():
            with about(name):
                told = self.probe(kind, self.service(act).target, 0.5)
                expect_equal(told.status, 1, "exit status")

    def seen(
        self,
        inputs: Mapping[str, tuple[str, Act, tuple[str, ...]]],
        attempt_timeout: str = NEVER,
        form: str = "unix",
        within: float = 5.0,
    ) -> dict[str, dict[str, Any]]:
        """What one attempt of each probe comes to, all in one call: the rows of the report. Each is a kind, an act and options.
        A gate that has not left a service after `within` seconds has made its mind up about nothing."""
        services = {name: self.service(act, form=form) for name, (_, act, _) in inputs.items()}
        words = [
            word for name, (kind, _, options) in inputs.items() for word in (kind, services[name].target, *options)
        ]
        gate = self.start(
            *words, "--json", *("--timeout", NEVER, "--interval", NEVER, "--attempt-timeout", attempt_timeout)
        )
        until = time.monotonic() + within
        while gate.poll() is None and time.monotonic() < until and not all(s.is_left() for s in services.values()):
            time.sleep(0.002)
        hung_up = any(visit.sock.fileno() < 0 for service in services.values() for visit in service.visits)
        time.sleep(0.5 if hung_up else 0.02)  # for the gate to see it, or for what it does behind a close
        told = gate.end() if gate.poll() is not None else gate.stop()
        rows = told.probes
        expect_equal([row["target"] for row in rows], [s.target for s in services.values()], "targets of the report")
        return dict(zip(services, rows, strict=True))


def expect_ready(told: Told) -> None:
    """It exited 0."""
    expect_equal(told.status, 0, f"exit status (stderr {short(told.stderr)})")


def expect_late(told: Told) -> None:
    """It exited 1."""
    expect_equal(told.status, 1, f"exit status (stderr {short(told.stderr)})")
