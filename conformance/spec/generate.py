"""Write agent/wire/constants.h from constants.toml: `python conformance/spec/generate.py > agent/wire/constants.h`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = Path(__file__).with_name("constants.toml")


def load() -> dict[str, Any]:
    """The table as nested dicts."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def c_header(table: dict[str, Any]) -> str:
    """The C header: macros for numbers and texts, X-macros for the two lists."""
    octal = {"file_mode", "file_mode_default"}
    lines = [
        "/* Made by conformance/spec/generate.py from constants.toml beside it: change that, then `make constants`. */",
        "#ifndef WIRE_CONSTANTS_H",
        "#define WIRE_CONSTANTS_H",
        "",
    ]
    for section in ("protocol", "frame", "limit", "seconds"):
        for name, value in table[section].items():
            number = f"0{value:o}" if name in octal else str(value)
            lines.append(f"#define {section.upper()}_{name.upper()} {number}")
        lines.append("")
    lines.append(f'#define PUT_PREFIX "{table["text"]["put_prefix"]}"')
    for name in ("operations", "codes"):
        entries = " ".join(f'X({word.upper()}, "{word}")' for word in table["text"][name])
        lines += ["", "/* X(NAME, text) */", f"#define WIRE_{name.upper()}(X) {entries}"]
    return "\n".join([*lines, "", "#endif", ""])


if __name__ == "__main__":
    sys.stdout.write(c_header(load()))
