"""What an idle agent costs its guest, asked of the guest through the agent itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

from guestwire import protocol
from guestwire.vm.machine import Access
from guestwire.vm.qemu import PORT

_DEADLINE = 30.0  # seconds; the guest needs less than one
# An agent's log tells when it was ready, in its last line until then; the clock ticks are those of /proc/PID/stat.
_QUESTION = """
import json, os, time
log = os.stat("/var/log/smolvm-agent.log").st_mtime
up = time.clock_gettime(time.CLOCK_BOOTTIME)
pid = os.environ["AGENT"]
began = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
kib = {line.split(":")[0]: line.split()[1] for line in open(f"/proc/{pid}/smaps_rollup").read().splitlines()[1:]}
print(json.dumps([max(log - time.time() + up - began, 0), int(kib["Rss"]), int(kib["Pss"])]))
"""


@dataclass(frozen=True)
class Idle:
    """Seconds from the agent's start to its log's last line, to about 10 ms; memory in KiB."""

    seconds: float
    rss: int
    pss: int

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s of it the agent's; idle, it holds {self.rss} KiB (RSS), {self.pss} KiB (PSS)"


def ask(guest: Access) -> Idle:
    """Of a guest whose agent has served nothing but pings. Raises OSError; ValueError where the answer is none."""
    command = f"AGENT=$(pidof smolvm-guest-agent | cut -d ' ' -f 1) exec python3 -I -S -c '{_QUESTION}'"
    output = run(guest, command)
    try:
        return Idle(*json.loads(output))
    except (TypeError, ValueError):
        raise ValueError(f"no answer from the guest: {output!r}") from None


def run(guest: Access, command: str) -> str:
    """What a command prints in the guest, carried out by the agent. Raises OSError."""
    with guest.dial(PORT, _DEADLINE) as host:
        protocol.send_json(host, {"op": "run", "cmd": command, "shell": "raw"})
        output = b""
        while (frame := protocol.recv_frame(host))[0] != protocol.FRAME_JSON:
            output += frame[1]
        return output.decode(errors="replace")
