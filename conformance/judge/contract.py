"""The contracts: what an agent, a bridge and a readiness gate promise, and where each one's text, ledger and cases stand.

The programs of one run have one contract. Ids of clauses are unique over all of them, so that a check tells its contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFORMANCE = Path(__file__).resolve().parent.parent

VHOST_USER = "qemu-vhost-user"  # the device ends in the harness's own backend
NESTED = "qemu-nested"
NATIVE = "qemu-native"
GUEST_KINDS = (VHOST_USER, NESTED, NATIVE)  # transports into a guest that is booted for the run


@dataclass(frozen=True)
class Contract:
    """One contract. `transports` are those of a program that the harness starts; `placeholders` what may stand in its command
    line, each group once: one of the words of a group, or none of any."""

    name: str
    noun: str  # what a program under it is called
    text: Path
    ledger: Path
    suite: Path
    fixture: str  # what a case takes, itself or through another fixture, to be run in a row
    transports: tuple[str, ...]
    placeholders: tuple[tuple[str, ...], ...]
    leaks: str = ""  # the check that what is held or left after a case breaks; an agent's are told apart
    files: str = ""  # the same for files
    workers: int = 4  # for each core, at most: how much its cases wait
    whole_in_guest: bool = False  # whether all of it is asked in a guest too, not only what shows nowhere else

    @property
    def oracle(self) -> Path:
        """The reference program; there in a checkout only."""
        return CONFORMANCE.parent / f"oracle/{self.name}.py"

    @property
    def catalogue(self) -> Path:
        """The folder of its mutants."""
        return CONFORMANCE / f"mutants/catalogue{self._suffix}"

    @property
    def exempt(self) -> Path:
        """What no mutant of it shows."""
        return CONFORMANCE / f"mutants/exempt{self._suffix}.toml"

    @property
    def _suffix(self) -> str:
        return "" if self.name == "agent" else f"_{self.name}"

    @property
    def package(self) -> str:
        """The suite's name as a module."""
        return f"guestwire.{self.suite.name}"


AGENT = Contract(
    "agent", "agent", CONFORMANCE / "spec/protocol-v1.md", CONFORMANCE / "spec/clauses.toml", CONFORMANCE / "suite", "host",
    ("unix", "fd-listen", "fd-conn", "unix-ns"), (("listen",),), whole_in_guest=True,
)  # fmt: skip
BRIDGE = Contract(
    "bridge", "bridge", CONFORMANCE / "spec/bridge-v1.md", CONFORMANCE / "spec/bridge.toml", CONFORMANCE / "suite_bridge",
    "program", ("unix-unix", "unix-hybrid", "unix-tcp", "tcp-unix"),
    (("listen", "listen_path"), ("connect", "connect_path")), "BRIDGE-SURVIVE/leaks", "BRIDGE-SURVIVE/files", 8,
)  # fmt: skip
READY = Contract(
    "ready", "gate", CONFORMANCE / "spec/ready-v1.md", CONFORMANCE / "spec/ready.toml", CONFORMANCE / "suite_ready",
    "program", ("local",), (("kind",), ("target",), ("timeout",)), "READY-CLEAN/processes", "READY-CLEAN/files",
)  # fmt: skip
CONTRACTS = {contract.name: contract for contract in (AGENT, BRIDGE, READY)}
