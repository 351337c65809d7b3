"""The plan of a process that allocates by fail.h: a file that it maps, too."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

WORD = struct.Struct("=I")
AT, AFTER, ONLY, CALLS, FAILED, KINDS = range(6)  # struct fail_plan
MEMORY, ARENA, THREAD, PROCESS = 1, 2, 4, 8  # enum fail_kind
NAMES = {MEMORY: "memory", ARENA: "arena", THREAD: "thread", PROCESS: "process"}


class Channel:
    """Makes the file. The process that is to map it is started with GUESTWIRE_OOM set to its path."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(4096))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 4096)

    def __getitem__(self, word: int) -> int:
        value: int = WORD.unpack_from(self._map, word * WORD.size)[0]
        return value

    def _set(self, word: int, value: int) -> None:
        WORD.pack_into(self._map, word * WORD.size, value)

    def plan(self, at: int, after: bool, only: int = 0) -> None:
        """From now on the call of that number fails, counted from 1, and with `after` all that come after it. `only`: the kinds
        of calls that count, 0 for all."""
        for word, value in ((AT, 0), (CALLS, 0), (FAILED, 0), (KINDS, 0), (ONLY, only), (AFTER, int(after)), (AT, at)):
            self._set(word, value)

    def lift(self) -> None:
        """Nothing fails any more."""
        self._set(AT, 0)

    def kinds(self) -> str:
        """What has failed, in words."""
        return ", ".join(name for bit, name in NAMES.items() if self[KINDS] & bit)
