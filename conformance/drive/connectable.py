"""A connectable: one string that names an agent and the way to reach it.

exec:PATH [ARGS]     started by the harness, on each local transport
unix:PATH            running already, behind a Unix socket
tcp:HOST:PORT        running already, behind TCP
vsock:CID:PORT       running already, behind vsock
hybrid:PATH:PORT     running already, behind a Unix socket that wants `CONNECT PORT` and answers `OK ...`
qemu-vhost-user:PATH [ARGS]   started in a guest whose vsock ends in the harness's own backend
qemu-nested:PATH [ARGS]       the same in a guest within a guest, over the kernel's own vhost_vsock
qemu-native:PATH [ARGS]       the same over this machine's /dev/vhost-vsock
NAME                 what the descriptor of that name says (agents/registry.py)
descriptor:PATH      what the descriptor at PATH says; a PATH that ends in .toml needs no `descriptor:`
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from guestwire.judge.contract import AGENT, BRIDGE, CONTRACTS, GUEST_KINDS, VHOST_USER, Contract

if TYPE_CHECKING:
    from guestwire.agents.descriptor import Descriptor

LOCAL_TRANSPORTS = AGENT.transports
RUNNING_KINDS = ("unix", "tcp", "vsock", "hybrid")
TRANSPORTS = tuple(dict.fromkeys((*LOCAL_TRANSPORTS, *RUNNING_KINDS, *GUEST_KINDS)))  # of an agent
VIA = ("via-unix", "via-hybrid", "via-tcp")  # with --through, behind a bridge: drive/through.py
FORMS = (
    "exec:PATH [ARGS], qemu-vhost-user:PATH [ARGS], qemu-nested:PATH, unix:PATH, tcp:HOST:PORT, vsock:CID:PORT, "
    "hybrid:PATH:PORT, a descriptor's PATH.toml or NAME"
)


class UsageError(Exception):
    """The command line is wrong: one line saying what is wrong and what is accepted."""


@dataclass(frozen=True)
class Timers:
    """Seconds an agent waits before it gives a conversation up; the contract's defaults."""

    request_timeout: float = 10.0
    io_timeout: float = 60.0
    linger_timeout: float = 5.0


@dataclass(frozen=True)
class Connectable:
    """A parsed connectable. `transports` lists what it can be driven over; running ones have just their own kind."""

    text: str
    kind: str
    argv: tuple[str, ...] = ()  # {listen} in a word stands for what to listen on, and so on: see its contract
    path: str = ""
    host: str = ""
    cid: int = 0
    port: int = 0
    declared: Descriptor | None = None
    warnings: tuple[str, ...] = ()  # about the name, for whoever typed it
    contract: Contract = AGENT
    through: Connectable | None = None  # the bridge of its rows via-unix, via-hybrid and via-tcp

    @property
    def runs_already(self) -> bool:
        """Whether somebody else has started it."""
        return self.kind in RUNNING_KINDS

    @property
    def in_guest(self) -> bool:
        """Whether it is started in a guest that is booted for the run."""
        return self.kind in GUEST_KINDS

    @property
    def transports(self) -> tuple[str, ...]:
        if self.kind != "exec":
            return (self.kind,)
        own = self.contract.transports if self.declared is None else self.declared.transports
        return own if self.through is None else (*own, *VIA)

    @property
    def lacks(self) -> frozenset[str]:
        """The checks it lacks, by its descriptor."""
        return frozenset() if self.declared is None else self.declared.lacks

    @property
    def lacked_operations(self) -> frozenset[str]:
        """The operations it lacks, by its descriptor."""
        return frozenset() if self.declared is None else self.declared.operations

    @property
    def times(self) -> Timers:
        """How long it waits, by its descriptor or the contract."""
        return Timers() if self.declared is None else self.declared.timers

    @property
    def environment(self) -> dict[str, str]:
        """What its descriptor adds to its environment."""
        return {} if self.declared is None else dict(self.declared.environment)

    @property
    def program(self) -> str:
        """The file that is judged: a script rather than the Python that runs it; "" if the agent runs already."""
        if self.runs_already:
            return ""
        words = [word for word in self.argv[1:] if not word.startswith("-")]
        return words[0] if words and Path(self.argv[0]).name.startswith("python") else self.argv[0]

    @functools.cached_property
    def label(self) -> str:
        """A short name for tables: for exec the path below the folder `build` or the file's name."""
        if self.declared is not None:
            return self.declared.name
        if self.runs_already:
            return self.text
        path = Path(self.program)
        return f"{path.parent.name}/{path.name}" if path.parent.name in ("asan", "aarch64") else path.name

    @property
    def sanitized(self) -> bool:
        """Whether the binary carries AddressSanitizer, whose own memory `native-memory` checks would measure."""
        if self.runs_already:
            return False
        try:
            return b"__asan_init" in Path(self.argv[0]).read_bytes()
        except OSError:
            return False


def _number(text: str, what: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{whole!r}: {what} is not a number; accepted: {FORMS}")
    if len(text) > 10 or int(text) >= 1 << 32:
        raise UsageError(f"{whole!r}: no {what} has the number {text}; accepted: 0 to {(1 << 32) - 1}")
    return int(text)


def _described(text: str, found: Descriptor, warnings: tuple[str, ...] = ()) -> Connectable:
    """What a descriptor names, ready to be driven. Raises UsageError."""
    if found.connect:
        return replace(parse(found.connect), text=text, declared=found, warnings=warnings)
    if found.missing:
        raise UsageError(f"{text!r}: {found.missing}")
    return Connectable(text, "exec", argv=found.command, declared=found, warnings=warnings, contract=found.contract)


def _by_descriptor(text: str) -> Connectable | None:
    """None where the text names no descriptor, by its form. Raises UsageError."""
    from guestwire.agents import descriptor, registry  # they parse with this module's words

    path = text.removeprefix("descriptor:")
    if path != text or (
        path.endswith(".toml") and text.partition(":")[0] not in ("exec", *RUNNING_KINDS, *GUEST_KINDS)
    ):
        return _described(text, descriptor.read(Path(path)))
    if not descriptor.NAME.fullmatch(text):
        return None
    return _described(text, *registry.named(text))


def parse(text: str) -> Connectable:
    """Parse one connectable. Raises UsageError."""
    if (described := _by_descriptor(text)) is not None:
        return described
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise UsageError(f"{text!r} is no connectable; accepted: {FORMS}")
    if kind == "exec" or kind in GUEST_KINDS:
        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}") from None
        if not words:
            raise UsageError(f"{text!r} names no program; accepted: {FORMS}")
        program = os.path.abspath(words[0])
        if not Path(program).is_file():
            raise UsageError(f"{text!r}: no such file: {words[0]}")
        if not os.access(program, os.X_OK):
            raise UsageError(f"{text!r}: not executable: {words[0]}")
        return Connectable(text, kind, argv=(program, *words[1:]))
    if kind == "unix":
        return Connectable(text, kind, path=os.path.abspath(rest))
    if kind == "tcp":
        host, colon, port = rest.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not colon or not bare or (bare == host and ":" in host):
            raise UsageError(f"{text!r} has no host and port; accepted: tcp:HOST:PORT, tcp:[IPv6]:PORT")
        if not 0 < _number(port, "port", text) < 65_536:
            raise UsageError(f"{text!r}: no port has the number {port}; accepted: 1 to 65535")
        return Connectable(text, kind, host=bare, port=int(port))
    if kind == "vsock":
        cid, colon, port = rest.partition(":")
        if not colon:
            raise UsageError(f"{text!r} has no port; accepted: {FORMS}")
        return Connectable(text, kind, cid=_number(cid, "CID", text), port=_number(port, "port", text))
    if kind == "hybrid":
        path, colon, port = rest.rpartition(":")
        if not colon or not path:
            raise UsageError(f"{text!r} has no port; accepted: {FORMS}")
        return Connectable(text, kind, path=os.path.abspath(path), port=_number(port, "port", text))
    raise UsageError(f"{text!r}: unknown kind {kind!r}; accepted: {FORMS}")


def parse_all(texts: Sequence[str], contract: str = "", through: str = "") -> list[Connectable]:
    """The programs of one run. They have one contract: that of this name, else what descriptors say, else the agent's. `through`
    is a bridge that agents are judged through as well. Raises UsageError."""
    if contract and contract not in CONTRACTS:
        raise UsageError(f"unknown contract {contract!r}; accepted: {', '.join(CONTRACTS)}")
    found = [parse(text) for text in texts]
    said = {each.contract.name for each in found if each.declared is not None}
    if len(said | ({contract} - {""})) > 1:
        which = [f"{each.text!r} is under {each.contract.name}" for each in found if each.declared is not None]
        asked = [f"--contract {contract}"] if contract else []
        raise UsageError(f"one run judges by one contract: {', '.join([*which, *asked])}")
    one = CONTRACTS[contract or next(iter(said), AGENT.name)]
    for each in found:
        if one is not AGENT and each.kind not in ("exec", VHOST_USER):
            raise UsageError(
                f"{each.text!r}: a {one.noun} is started by the harness: exec:PATH [ARGS], or its descriptor; in a guest: "
                f"{VHOST_USER}:PATH [ARGS]"
            )
    bridge = _bridge(through, found, one) if through else None
    return [replace(each, contract=one, through=bridge) for each in found]


def _bridge(text: str, agents: Sequence[Connectable], contract: Contract) -> Connectable:
    """Of --through. Raises UsageError."""
    if contract is not AGENT:
        raise UsageError(f"--through is for agents: a {contract.noun} is not judged through a bridge")
    if not all(agent.kind == "exec" for agent in agents):
        raise UsageError("--through wants agents that the harness starts: exec:PATH [ARGS], or their descriptors")
    return parse_all([text], BRIDGE.name)[0]


def transports(of: Connectable) -> tuple[str, ...]:
    """All that a row of a run with this program can have."""
    if of.contract is not AGENT:
        return (*of.contract.transports, VHOST_USER)
    return TRANSPORTS if of.through is None else (*TRANSPORTS, *VIA)
