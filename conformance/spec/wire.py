"""Each clause on the wire: the examples of wire.toml, read for people and for the tests."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("wire.toml")
TYPES = {"JSON": 1, "STDOUT": 2, "STDERR": 3, "DATA": 4, "EOF": 5}
SAID = {"SHUT": "ends its sending side", "CLOSE": "hangs up", "END": "end of stream"}
ANYTHING = "…"


@dataclass(frozen=True)
class Step:
    """One step of an example: see wire.toml."""

    who: str
    kind: str
    text: str

    def raw(self, folder: str) -> bytes:
        """What a host sends; `folder` stands for $DIR."""
        if self.kind == "RAW":
            return bytes.fromhex(self.text)
        payload = self.text.replace("$DIR", folder).encode()
        return struct.pack(">BI", TYPES[self.kind], len(payload)) + payload

    def shown(self) -> str:
        """As a line for people: the header in hex, where its length is known, and the payload."""
        arrow = "host  ->" if self.who == "host" else "agent <-"
        if self.kind in SAID:
            return f"{arrow} {SAID[self.kind]}"
        if self.kind == "RAW":
            return f"{arrow} {self.text}"
        known = ANYTHING not in self.text and "$DIR" not in self.text
        length = len(self.text.encode()).to_bytes(4, "big").hex(" ") if known else ".. .. .. .."
        text = self.text if self.kind == "JSON" else repr(self.text)[1:-1]
        return f"{arrow} {TYPES[self.kind]:02} {length}  {self.kind} {text}".rstrip()


@dataclass(frozen=True)
class Example:
    """A clause's conversation, or where else the clause is seen."""

    steps: tuple[Step, ...] = ()
    seen: str = ""


def _step(clause: str, text: str) -> Step:
    who, _, rest = text.partition(" ")
    kind, _, payload = rest.partition(" ")
    good = (*TYPES, "RAW", "SHUT", "CLOSE") if who == "host" else (*TYPES, "END") if who == "agent" else ()
    if kind not in good:
        raise ValueError(f"wire.toml: {clause}: {text!r} is no step")
    return Step(who, kind, payload)


@cache
def examples() -> dict[str, Example]:
    """All, by clause. Raises ValueError for a file that is none."""
    found = {}
    for clause, entry in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        if set(entry) not in ({"steps"}, {"seen"}):
            raise ValueError(f"wire.toml: {clause} has steps or seen, and not both")
        found[clause] = Example(tuple(_step(clause, text) for text in entry.get("steps", ())), entry.get("seen", ""))
    return found
