"""RELRO is a promise of the file; a static-pie has to keep it itself (agent/guest/relro.c). Seen in the running agent."""

from __future__ import annotations

import re
import struct
import subprocess
import time
from pathlib import Path

AGENT = Path(__file__).resolve().parents[2] / "build/smolvm-guest-agent"
PT_GNU_RELRO = 0x6474E552
PAGE = 4096


def relro_range(data: bytes) -> tuple[int, int]:
    """The whole pages of the file's RELRO segment, as addresses before relocation."""
    segments, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for at in range(segments, segments + 56 * count, 56):
        if struct.unpack_from("<I", data, at)[0] == PT_GNU_RELRO:
            address, _, _, size = struct.unpack_from("<QQQQ", data, at + 16)
            return address // PAGE * PAGE, (address + size) // PAGE * PAGE
    raise AssertionError("no RELRO segment")


def mappings(pid: int) -> list[tuple[int, int, str, str]]:
    """Start, end, rights and file of every mapping, by address."""
    text = Path(f"/proc/{pid}/maps").read_text()
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)$", text, re.MULTILINE)
    return [(int(start, 16), int(end, 16), rights, name) for start, end, rights, name in found]


def test_relro_is_read_only_at_run_time(tmp_path: Path) -> None:
    start, end = relro_range(AGENT.read_bytes())
    assert start < end
    socket = tmp_path / "socket"
    with subprocess.Popen([AGENT, "--quiet", "--listen", f"unix:{socket}"], stdin=subprocess.DEVNULL) as agent:
        try:
            deadline = time.monotonic() + 10
            while not socket.exists():
                assert time.monotonic() < deadline, "the agent did not listen"
                time.sleep(0.01)
            mapped = mappings(agent.pid)
        finally:
            agent.kill()
    base = next(low for low, _, _, name in mapped if name == str(AGENT))
    rights = [right for low, high, right, _ in mapped if low < base + end and high > base + start]
    assert rights
    assert all("w" not in right for right in rights)
