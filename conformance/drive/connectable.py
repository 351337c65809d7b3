"""A connectable: one string that names an agent and the way to reach it.

exec:PATH [ARGS]     started by the harness, on each local transport
unix:PATH            running already, behind a Unix socket
vsock:CID:PORT       running already, behind vsock
hybrid:PATH:PORT     running already, behind a Unix socket that wants `CONNECT PORT` and answers `OK ...`
"""

from __future__ import annotations

import functools
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

LOCAL_TRANSPORTS = ("unix", "fd-listen", "fd-conn", "unix-ns")
FORMS = "exec:PATH [ARGS], unix:PATH, vsock:CID:PORT or hybrid:PATH:PORT"


class UsageError(Exception):
    """The command line is wrong: one line saying what is wrong and what is accepted."""


@dataclass(frozen=True)
class Connectable:
    """A parsed connectable. `transports` lists what it can be driven over; running ones have just their own kind."""

    text: str
    kind: str
    argv: tuple[str, ...] = ()
    path: str = ""
    cid: int = 0
    port: int = 0

    @property
    def transports(self) -> tuple[str, ...]:
        return LOCAL_TRANSPORTS if self.kind == "exec" else (self.kind,)

    @property
    def program(self) -> str:
        """The file that is judged: a script rather than the Python that runs it; "" if the agent runs already."""
        if self.kind != "exec":
            return ""
        words = [word for word in self.argv[1:] if not word.startswith("-")]
        return words[0] if words and Path(self.argv[0]).name.startswith("python") else self.argv[0]

    @functools.cached_property
    def label(self) -> str:
        """A short name for tables: for exec the path below the folder `build` or the file's name."""
        if self.kind != "exec":
            return self.text
        path = Path(self.program)
        return f"{path.parent.name}/{path.name}" if path.parent.name in ("asan", "aarch64") else path.name

    @property
    def sanitized(self) -> bool:
        """Whether the binary carries AddressSanitizer, whose own memory `native-memory` checks would measure."""
        if self.kind != "exec":
            return False
        try:
            return b"__asan_init" in Path(self.argv[0]).read_bytes()
        except OSError:
            return False


def _number(text: str, what: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{whole!r}: {what} is not a number; accepted: {FORMS}")
    return int(text)


def parse(text: str) -> Connectable:
    """Parse one connectable. Raises UsageError."""
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise UsageError(f"{text!r} is no connectable; accepted: {FORMS}")
    if kind == "exec":
        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}") from None
        if not words:
            raise UsageError(f"{text!r} names no program; accepted: {FORMS}")
        program = os.path.abspath(words[0])
        if not Path(program).is_file():
            raise UsageError(f"{text!r}: no such file: {words[0]}")
        if not os.access(program, os.X_OK):
            raise UsageError(f"{text!r}: not executable: {words[0]}")
        return Connectable(text, kind, argv=(program, *words[1:]))
    if kind == "unix":
        return Connectable(text, kind, path=os.path.abspath(rest))
    if kind == "vsock":
        cid, colon, port = rest.partition(":")
        if not colon:
            raise UsageError(f"{text!r} has no port; accepted: {FORMS}")
        return Connectable(text, kind, cid=_number(cid, "CID", text), port=_number(port, "port", text))
    if kind == "hybrid":
        path, colon, port = rest.rpartition(":")
        if not colon or not path:
            raise UsageError(f"{text!r} has no port; accepted: {FORMS}")
        return Connectable(text, kind, path=os.path.abspath(path), port=_number(port, "port", text))
    raise UsageError(f"{text!r}: unknown kind {kind!r}; accepted: {FORMS}")
