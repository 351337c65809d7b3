"""QEMU's monitor, by QMP: one connection for each command, so that several processes can use one machine's."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qemu.qmp import ExecuteError, QMPClient, QMPError

__all__ = ["ExecuteError", "QMPError", "execute"]
_DEADLINE = 30.0  # seconds for one command; another process's may have to end first


def execute(
    path: Path, command: str, arguments: dict[str, object] | None = None, *, deadline: float = _DEADLINE
) -> object:
    """What QEMU returns. Raises ExecuteError if it refuses, QMPError, OSError or TimeoutError if it does not answer."""
    return asyncio.run(asyncio.wait_for(_execute(path, command, arguments), deadline))


async def _execute(path: Path, command: str, arguments: dict[str, object] | None) -> object:
    client = QMPClient("guestwire")
    await client.connect(str(path))
    try:
        return await client.execute(command, arguments)
    finally:
        await client.disconnect()
