"""Reports for the tests of the report: made up, but of checks that the ledger has."""

from __future__ import annotations

from typing import Any

from guestwire.judge.ledger import checks
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.verdict import Exit
from guestwire.report import document

TRANSPORTS = ("unix", "fd-listen")
NASTY = "</script><!-- <b>&amp;\"' \x1b[31m \x00 \ufffe \ud800 %0A::warning::\u2028"  # whatever an agent may say


GUEST = {
    "level": "qemu-vhost-user", "arch": "x86_64", "accelerator": "tcg", "why_not_kvm": "no /dev/kvm",
    "kernel": "6.1.0-56-cloud-amd64", "memory_mib": 256,
    "boot_seconds": 3.6, "agent_seconds": 0.02, "rss_kib": 124, "pss_kib": 117,
}  # fmt: skip


def in_guest() -> document.Document:
    """A report whose first agent was judged in a guest."""
    made = report()
    made["agents"][0]["guest"] = dict(GUEST)
    return made


def head(agents: tuple[str, ...] = ("agent", "oracle"), **run: Any) -> document.Head:
    return document.Head(
        versions={"harness": "0.1.0", "protocol": 1, "python": "3.11.2"},
        run={
            "started": "2026-11-21T12:00:00Z",
            "seconds": 12.5,
            "command": "conform run exec:agent",
            "strict": True,
            "filtered": False,
            "seed": None,
        }
        | run,
        agents=[
            {"label": name, "connectable": f"exec:{name}", "sha256": "0" * 64, "agent_version": "0.1.0"}
            for name in agents
        ],
        rows=[(name, transport) for name in agents for transport in TRANSPORTS],
    )


def cases(count: int, agents: tuple[str, ...] = ("agent", "oracle")) -> list[CaseResult]:
    """This many cases of all agents and transports in turn; the third fails, the fourth could not run."""
    names = list(checks())
    made = []
    for number in range(count):
        which, row = divmod(number, len(agents) * len(TRANSPORTS))
        agent, transport = agents[row // len(TRANSPORTS)], TRANSPORTS[row % len(TRANSPORTS)]
        turn, check = divmod(which, len(names))
        name = names[check] + (f":{turn}" if turn else "")
        made.append(CaseResult(name, agent, transport, [names[check]], seconds=0.0125))
    if count > 3:
        made[2].outcome, made[2].expected, made[2].actual = Outcome.FAIL.value, "a pong", NASTY
        made[3].outcome, made[3].actual = Outcome.COULD_NOT_RUN.value, "needs root: run it as root"
    return made


def report(count: int = 8, **run: Any) -> document.Document:
    """A red report."""
    return document.compose(head(**run), cases(count), Exit.RED)
