"""What a case may ask of the backend: connections that misbehave, and facts. Everything is scoped to a listener of the case's
own, so that cases that run beside it notice nothing; `transport_reset` and `packet` concern the whole guest."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guestwire.vm.plan import Plan
from guestwire.vm.virtqueue import Place


class Refused(Exception):
    """The backend could not do it; the text says why."""


class Faults:
    """A client of the control socket."""

    def __init__(self, control: Path, deadline: float = 10) -> None:
        """`deadline` in seconds for each answer. Raises OSError."""
        self._link = socket.socket(socket.AF_UNIX)
        self._link.settimeout(deadline)
        self._link.connect(str(control))
        self._answers = self._link.makefile("rb")

    def _ask(self, order: str, **arguments: Any) -> Any:
        """Raises Refused, OSError (also TimeoutError)."""
        self._link.sendall(json.dumps({"do": order, **arguments}).encode() + b"\n")
        line = self._answers.readline()
        if not line:
            raise ConnectionError("the backend is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    @contextlib.contextmanager
    def listener(self, path: Path, plan: Plan) -> Iterator[Path]:
        """A hybrid socket at `path` whose connections go as planned; gone again in the end."""
        self._ask("listen", path=str(path), **dataclasses.asdict(plan))
        try:
            yield path
        finally:
            self._ask("unlisten", path=str(path))

    def reset(self, path: Path) -> int:
        """RST for all connections of a listener. Return: how many there were."""
        return int(self._ask("reset", path=str(path)))

    def withhold(self, path: Path, withheld: bool = True) -> int:
        """Tell the guest of no more credit on any of a listener's connections, or do so again. Return: how many there are."""
        return int(self._ask("withhold", path=str(path), withheld=withheld))

    def packet(self, data: bytes) -> None:
        """Send a packet as it is: header and payload."""
        self._ask("packet", data=data.hex())

    def transport_reset(self, place: Place) -> None:
        """Raise VIRTIO_VSOCK_EVENT_TRANSPORT_RESET in the guest's event queue, whose place QMP's x-query-virtio-queue-status
        tells (queue 2); all connections end. The guest has room for 8 events that it has not looked at; one more is Refused."""
        self._ask("transport_reset", **place._asdict())

    def patience(self, seconds: float) -> None:
        """How long connections outlive a stop of the device: QMP's stop. 1 s unless told otherwise."""
        self._ask("patience", seconds=seconds)

    def facts(self) -> dict[str, Any]:
        """running, failure, opened, packets_from_guest, packets_to_guest, connections (a list of host_port, guest_port, state,
        sent, received, credit, pending)."""
        facts: dict[str, Any] = self._ask("facts")
        return facts

    def close(self) -> None:
        """Listeners stay."""
        self._answers.close()
        self._link.close()

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
