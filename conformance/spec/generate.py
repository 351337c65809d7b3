"""From constants.toml, on standard output: `python conformance/spec/generate.py header` is agent/wire/constants.h, `...
dictionary` fuzz/guestwire.dict."""

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


def quoted(word: bytes) -> str:
    """An entry of a dictionary, as libFuzzer and AFL++ read it."""
    plain = "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)
    return f'"{plain}"'


def dictionary(table: dict[str, Any]) -> str:
    """What fuzzing would be long in guessing: frame headers, names and words of requests, numbers at the limits."""
    limit, text = table["limit"], table["text"]
    lengths = (0, 1, limit["chunk"], limit["control_payload"], limit["frame_payload"], limit["frame_payload"] + 1)
    headers = [bytes([kind]) + length.to_bytes(4, "big") for kind in table["frame"].values() for length in lengths]
    words = [f'"{word}"' for word in (*text["operations"], *text["shells"])]
    names = [f'"{name}":' for name in text["fields"]]
    edges = (limit["json_integer"], limit["file_mode"], limit["file_mode_default"])
    numbers = [str(number) for edge in edges for number in (edge, edge + 1)]
    json = [r"\u0000", r"\ud83d\ude00", "null", "true", "false", "-0", "1.0", "1e0", "1e309", "[" * limit["json_depth"]]
    groups = {
        "frame headers": headers,
        "members": [word.encode() for word in (*names, *words)],
        "values": [word.encode() for word in (*numbers, *json)],
        "files": [text["put_prefix"].encode(), b"/..", b"/./"],
    }
    lines = [
        "# Made by conformance/spec/generate.py from constants.toml beside it: change that, then `make constants`."
    ]
    for title, entries in groups.items():
        lines += [f"# {title}", *(quoted(entry) for entry in entries)]
    return "\n".join([*lines, ""])


MADE = {"header": c_header, "dictionary": dictionary}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MADE:
        sys.exit(f"usage: generate.py {'|'.join(MADE)}")
    sys.stdout.write(MADE[sys.argv[1]](load()))
