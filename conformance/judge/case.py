"""How a case is declared: which checks it proves and what it needs.

    @case("RUN-EXIT/status")
    def test_exit_status(host: Host) -> None: ...

The case's id is the first check, plus `:VARIANT` where it is parametrised, plus `@TRANSPORT`:
`RUN-EXIT/signal:SIGTERM@unix`. Two functions for the same first check tell themselves apart by `variant`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from guestwire.judge import ledger

Test = TypeVar("Test", bound=Callable[..., None])

DEADLINE = 20.0  # seconds, the usual one
NEEDS = (
    "server",  # several conversations with one process: structurally absent on fd-conn
    "start",  # the harness starts the agent: not with one that runs already
    "witness",  # the agent's files and processes can be seen
    "destructive",  # fills, floods or signals the agent
    "half-close",  # the transport can shut down one direction: structurally absent on hybrid, where it reads as a hang-up
    "full-close",  # the transport tells a full close from a half-close while the agent has nothing to say: not so over TCP
    "running",  # an agent that runs already: absent where the harness starts it
    "other-times",  # its descriptor declares times that are not the contract's; the case's deadline follows them
    "guest",  # an agent in a guest that the harness booted: absent elsewhere
    "backend",  # the same, whose vsock device ends in the harness's own backend
    "machine",  # the same, and the case boots a guest of its own: one worker runs these, one after another
    "root",  # mounts, devices or other users
)
ABSENT = {  # transport: the needs that it structurally cannot serve, so that cases with one of them do not exist there
    "fd-conn": frozenset({"server"}),
    "hybrid": frozenset({"half-close"}),
    "via-hybrid": frozenset(
        {"server", "half-close"}
    ),  # an agent for each connection; the bridge passes no half-close on there
    "via-tcp": frozenset({"full-close"}),  # a FIN says no more than that its sender has nothing to say
}


@dataclass(frozen=True)
class Case:
    """A case's declaration, kept on the test function as `guestwire_case`."""

    checks: tuple[str, ...]
    variant: str
    needs: frozenset[str]
    deadline: float
    transports: tuple[str, ...]  # empty: all
    long: bool
    wide: bool
    twin: str = ""
    alike: bool = False

    @property
    def native_memory(self) -> bool:
        """Whether its checks are exempt under AddressSanitizer."""
        return any("native-memory" in ledger.check(c).tags for c in self.checks)


def case(
    *checks: str,
    variant: str = "",
    needs: str = "",
    deadline: float = DEADLINE,
    transports: tuple[str, ...] = (),
    long: bool = False,
    wide: bool = False,
    twin: str = "",
    alike: bool | None = None,
) -> Callable[[Test], Test]:
    """Declare a case. `checks`: ids of the ledger, the first one names the case. `needs`: words of NEEDS, blank-separated.
    `deadline`: seconds for the whole case. `transports`: only these. `long`: it waits much and is started
    first. `wide`: one of a large set; every chunking on `unix`, only whole elsewhere (--sweep full: every one). `twin`: of a case
    that is refused the id of one that is served, and differs in one thing; where that did not pass, this one proves nothing.
    `alike`: the agent's bytes are the same in every row, see judge/alike.py (default: for cases that take `chunking`)."""
    if not checks:
        raise ledger.LedgerError("a case names at least one check")
    for identity in checks:
        ledger.check(identity)
    words = frozenset(needs.split())
    if words - set(NEEDS):
        raise ledger.LedgerError(f"{checks[0]}: unknown needs {sorted(words - set(NEEDS))}")

    def declare(function: Test) -> Test:
        same = "chunking" in inspect.signature(function).parameters if alike is None else alike
        declared = Case(checks, variant, words, deadline, transports, long, wide, twin, same)
        setattr(function, "guestwire_case", declared)  # noqa: B010
        return function

    return declare
