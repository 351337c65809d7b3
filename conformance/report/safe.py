"""Text that an agent may have chosen, made safe for where it is shown."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
from typing import Any

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable(text: str) -> str:
    """Control characters, surrogates and what turns the direction of writing as escapes; line feeds and tabs stay."""
    return _UNPRINTABLE.sub(_escape, text)


def line(text: str, *, indented: bool = False) -> str:
    """On one line; `indented`: with the spaces that it begins with."""
    margin = text[: len(text) - len(text.lstrip(" "))] if indented else ""
    return margin + printable(" ".join(text.split()))


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last one telling that there were more."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def word(text: str) -> str:
    """A word of a shell's command line. Bytes that are not UTF-8 are written as bash, zsh and POSIX of 2024 read them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(text)
        return "$'" + "".join(chr(b) if 0x20 <= b < 0x7F and b not in b"'\\" else f"\\x{b:02x}" for b in raw) + "'"
    return shlex.quote(text)


def command_data(text: str) -> str:
    """The message of a GitHub workflow command."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """A property of a GitHub workflow command."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def markdown_code(text: str) -> str:
    """As code in a Markdown table: nothing in it is markup."""
    escaped = html.escape(line(text), quote=False)
    for letter in "|`*_[]\\~":
        escaped = escaped.replace(letter, f"&#{ord(letter)};")
    return f"<code>{escaped}</code>"


def script(value: Any) -> str:
    """A value as JSON that can stand in a <script> of an HTML page, whatever it holds."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII only
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
