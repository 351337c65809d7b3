"""Cases that are only bytes, as data that any language can read.

A table of a file is a case: its name is the check it proves, a colon, and its topic. Each entry is one control payload, and the
entry's name its id within the table. A payload is a text (sent as UTF-8) or a list of parts: a text, a byte, or a text with the
number of times it is repeated.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent


def _part(part: str | int | dict[str, Any]) -> bytes:
    if isinstance(part, dict):
        text: str = part["text"]
        times: int = part["times"]
        return text.encode() * times
    return part.encode() if isinstance(part, str) else bytes([part])


@cache
def tables(file: str) -> dict[str, dict[str, bytes]]:
    """The tables of FILE.toml: table's name to entry's name to payload."""
    content = tomllib.loads((FOLDER / f"{file}.toml").read_text(encoding="utf-8"))
    return {
        name: {
            entry: b"".join(map(_part, [value] if isinstance(value, str) else value)) for entry, value in table.items()
        }
        for name, table in content.items()
    }
