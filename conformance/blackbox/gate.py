"""What may be sent to an agent that runs as root on somebody's machine: the last word about every input, before it is sent.

Mutation may change anything about a request but what a command or a path says, and the variables that a shell obeys. `cmd`,
`path` and `name` stand in a stream only as a member whose value is one of the closed sets below, whole, or is no string at all.
The reading is lenient on purpose (any case, escaped letters, across frames, with NULs between), for the agent under test may
read so too.
"""

from __future__ import annotations

import re

from guestwire.blackbox.inputs import HOME, Input

COMMANDS = (  # none changes anything, none lasts
    *("true", "false", "exit 3", "exit 300", "echo one", "printf right", "printf out; printf err >&2", "kill -9 $$"),
    *("echo $WHO", "printf late >&2; exit 7", "head -c 70000 /dev/zero", "exec 1>&- 2>&-; exit 5", "cat", ""),
)
FOLDER = HOME.decode()
FILES = {"old": b"the old content\n", "folder/inner": b"inside\n", "empty": b"", "large": bytes(70_000)}  # of a folder
LINKS = {"link": "old", "linked": "folder", "nowhere": "missing"}
_HERE = (
    "new",
    "old",
    "empty",
    "large",
    "folder",
    "link",
    "linked",
    "nowhere",
    "missing",
    "missing/x",
    "folder/",
    "./old",
)
_ODD = ("folder/../new", "linked/inner", "old/x", "linked/../new", "n" * 300)
PATHS = (*(f"{FOLDER}/{name}" for name in (*_HERE, *_ODD)), "")
NAMES = ("name", "a/b", "name/", "..", ".", "", "../up", "inner")  # FOLDER lies two levels below what is private
KINDS = {"cmd": COMMANDS, "path": PATHS, "name": NAMES}

_ESCAPED = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|/)")
_PLAIN = rb"null|true|false|-?[0-9.eE+-]+|\{\s*\}|\[[^\"\]]*\]"
_MEMBERS = [
    re.compile(
        rb'"(?i:%s)"[ \t\r\n]*:[ \t\r\n]*(?:"(?:%s)"|%s)(?=[ \t\r\n]*[,}])'
        % (name.encode(), b"|".join(re.escape(word.encode()) for word in words), _PLAIN)
    )
    for name, words in KINDS.items()
]
_OBEYED = re.compile(  # variables by which a shell or the loader does something else than the command says
    rb'(?:BASH_|LD_|GCONV|SHELLOPTS|BASHOPTS|%%)|"(?:ENV|HOME|IFS|PATH|PS4|CDPATH|PROMPT_COMMAND)"'
)
_GUARDED = re.compile(rb"(?i)%s" % "|".join(KINDS).encode())


def _letter(found: re.Match[bytes]) -> bytes:
    """What an escape means, if it could be part of a word; quotes and backslashes stay escaped."""
    point = 0x2F if found[1] is None else int(found[1], 16)
    return bytes([point]) if 0x20 <= point < 0x7F and point not in (0x22, 0x5C) else found[0]


def harmless(stream: bytes) -> bool:
    """Whether every command, path and name in a stream is of the closed sets. The private folder may still be called HOME."""
    text = _ESCAPED.sub(_letter, stream.replace(b"\0", b""))
    for member in _MEMBERS:
        text = member.sub(b" ", text)
    return _GUARDED.search(text) is None and _OBEYED.search(text) is None


def passes(drawn: Input) -> bool:
    """The same of an input; and what its frames hold is looked at apart, for a receiver may lose its place."""
    payloads = [frame.payload for frame in drawn.frames] + [drawn.tail]
    return harmless(drawn.stream()) and harmless(b" ".join(payloads)) and harmless(b"".join(payloads))
