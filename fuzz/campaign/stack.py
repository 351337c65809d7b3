"""What an error's output says: of what kind it is, where it was, and so which findings are the same one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DEEP = 3  # frames that tell one finding from another
_FRAME = re.compile(r"\s*#(\d+) 0x[0-9a-f]+ (?:in )?(\S+) ([^\s:]+)(?::(\d+))?")
_PROPERTY = re.compile(r"(\S+):\d+: property broken: (.*)")
_RUNTIME = re.compile(r"\S+: runtime error: (.*)")
_KIND = re.compile(r"==\d+== ?ERROR: (\w+): (.*)")
_OWN = re.compile(r"/(?!usr/|build/).*\.[ch]$")  # the C library's own sources have relative names
ENTRY = "LLVMFuzzerTestOneInput"
WHEREVER = (
    "timeout",
    "out-of-memory",
)  # where the clock or the limit strikes is chance: only where it was called from counts


@dataclass(frozen=True)
class Broken:
    """An error. `frames` are the project's own functions of the first stack, innermost first, up to the target's entry."""

    kind: str  # heap-buffer-overflow, timeout, out-of-memory, leak, property ..., undefined behaviour ...
    frames: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for what is the same defect."""
        return " < ".join([self.kind, *(self.frames[-DEEP:] if self.kind in WHEREVER else self.frames[:DEEP])])

    @property
    def name(self) -> str:
        """A file name that says what broke."""
        where = "" if self.kind.startswith("property ") else next(iter(self.frames), "")
        words = re.sub(r"[^A-Za-z0-9_]+", "-", f"{self.kind.removeprefix('property ')} {where}").strip("-")
        return words[:80].rstrip("-") or "unknown"


def read(lines: Iterable[str]) -> Broken:
    """The first error of an output."""
    kind, frames, last = "", [], -1
    for line in lines:
        kind = kind or _kind(line)
        found = _FRAME.match(line)
        if found is None:
            continue
        number = int(found[1])
        if number <= last:  # another stack begins: where it was freed, or allocated
            break
        last = number
        if found[2] == ENTRY:
            break
        if _OWN.match(found[3]):
            frames.append(found[2])
    return Broken(kind or "unknown", tuple(frames))


def _kind(line: str) -> str:
    """What a line says of the kind, if anything."""
    if found := _PROPERTY.search(line):
        return f"property {found[2]}"
    if found := _RUNTIME.search(line):
        return "undefined behaviour: " + re.sub(r"0x[0-9a-f]+|\d+", "N", found[1])
    if found := _KIND.search(line):
        tool, text = found[1], found[2]
        if tool == "LeakSanitizer":
            return "leak"
        if tool == "libFuzzer":
            word = text.split(" ")[0]
            return "crash" if word == "deadly" else word
        return text.split(" ")[0].rstrip(":")
    return ""
