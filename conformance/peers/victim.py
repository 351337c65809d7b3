"""A host in a process of its own, whose time and memory can be measured: calls one host function on an inherited socket.

    python -m guestwire.peers.victim DESCRIPTOR CALL TIMEOUT

prints one JSON object: `outcome`, the exception's kind or "returned"; `seconds` of CPU; `grown`, by how many bytes its
resident memory was at most larger than before the call.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire import protocol
from guestwire.drive.platform import ON_LINUX, lacking
from guestwire.judge.outcome import CouldNotRun

_ADDRESS_SPACE = 2 << 30  # a host function that falls for it must not take the machine with it


@dataclass(frozen=True)
class Cost:
    """What a call came to. `seconds` are of CPU: other processes' load is not the host function's."""

    outcome: str
    seconds: float
    grown: int


def _call(sock: socket.socket, name: str, timeout: float) -> None:
    calls: dict[str, Any] = {
        "recv_exact": lambda: protocol.recv_exact(sock, 1 << 40, timeout=timeout),
        "recv_frame": lambda: protocol.recv_frame(sock, timeout=timeout),
        "recv_json": lambda: protocol.recv_json(sock, timeout=timeout),
    }
    calls[name]()


def _resident() -> tuple[int, int]:
    """(now, at most) in bytes."""
    values = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(values["VmRSS"].split()[0]) * 1024, int(values["VmHWM"].split()[0]) * 1024


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    sock = socket.socket(fileno=int(sys.argv[1]))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, _ = _resident()
    start = time.process_time()
    outcome = "returned"
    try:
        _call(sock, sys.argv[2], float(sys.argv[3]))
    except Exception as error:
        kinds = (ValueError, TimeoutError, ConnectionError)
        outcome = next((kind.__name__ for kind in kinds if isinstance(error, kind)), type(error).__name__)
    seconds = time.process_time() - start
    _, most = _resident()
    print(json.dumps({"outcome": outcome, "seconds": seconds, "grown": most - before}))


def measure(sock: socket.socket, call: str, timeout: float) -> Cost:
    """Let a victim call a host function on this socket. Raises CouldNotRun where its memory cannot be measured."""
    if not ON_LINUX:
        raise CouldNotRun(lacking("measuring a host function's memory"))
    command = [sys.executable, "-m", "guestwire.peers.victim", str(sock.fileno()), call, str(timeout)]
    done = subprocess.run(command, pass_fds=[sock.fileno()], capture_output=True, timeout=timeout + 20, check=True)
    return Cost(**json.loads(done.stdout))


if __name__ == "__main__":
    main()
