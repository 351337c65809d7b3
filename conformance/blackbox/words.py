"""Changes of one payload: its bytes, the tokens of its JSON, and its members; and requests of one's own making."""

from __future__ import annotations

import json
import random
import re

from guestwire.blackbox import gate

Random = random.Random
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[a-z]+|[{}\[\]:,]|[ \t\r\n]+|.', re.DOTALL)
NUMBERS = (
    *(b"0", b"-0", b"1", b"-1", b"1.0", b"1e0", b"01", b"+1", b".5", b"1.", b"1e", b"30", b"0x1", b"1e400", b"-1e400"),
    *(b"9007199254740991", b"9007199254740992", b"-9007199254740991", b"9" * 400, b"0." + b"0" * 400 + b"1", b"1e-400"),
    *(b"511", b"4095", b"4096", b"438.0", b"NaN", b"Infinity", b"-", b"1E+2", b"1e99999999999"),
)
STRINGS = (
    *(
        b'""',
        b'"x"',
        b'"raw"',
        b'"login"',
        b'"\xc3\xa9"',
        b'"\\u00e9"',
        b'"\\ud83d\\ude00"',
        b'"\\ud83d"',
        b'"\\ude00"',
    ),
    *(b'"\\u0000"', b'"\0"', b'"\x01"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\\x"'),
    *(b'"\\"', b'"\x7f"', b'"\t"', b'"\\n"', b'"a=b"', b'"' + b"s" * 5000 + b'"', b'"ping"', b'"run"', b'"RUN"'),
)
NESTED = (b"[" * 15 + b"]" * 15, b"[" * 16 + b"]" * 16, b'{"a":' * 15 + b"1" + b"}" * 15, b"[[],{}]", b"[1,]", b"{,}")
VALUES = (b"null", b"true", b"false", b"{}", b"[]", b"nul", b"True", *NUMBERS, *STRINGS, *NESTED)
GLUE = (
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b" ",
    b"\t\r\n",
    b"\x0b",
    b"\xef\xbb\xbf",
    b"\0",
    b"//",
    b"\xc2\xa0",
)
NAMES = (
    b'"op"',
    b'"v"',
    b'"shell"',
    b'"timeout"',
    b'"env"',
    b'"mode"',
    b'"size"',
    b'"x"',
    b'"OP"',
    b'"o\\u0070"',
    b'""',
)
BYTES = (
    0,
    1,
    9,
    10,
    13,
    0x1F,
    0x20,
    0x22,
    0x2C,
    0x3A,
    0x5B,
    0x5C,
    0x5D,
    0x7B,
    0x7D,
    0x7F,
    0x80,
    0xC0,
    0xED,
    0xF8,
    0xFF,
)

# The fields of each operation in the contract's order, with what they may say; the closed sets are the gate's.
SHELLS: tuple[object, ...] = ("raw", "raw", "login", None, "sh", "", 1)
TIMEOUTS: tuple[object, ...] = (None, 0, 30, 30.5, -1, "1", True, [], 1e300)
VARIABLES: tuple[object, ...] = (
    {},
    {"WHO": "me"},
    {"WHO": 7},
    {"WHO": 1.5},
    {"": "x"},
    {"A=B": "x"},
    {"A": None},
    {"A": True},
    None,
    [],
    "x",
    1,
)
MODES: tuple[object, ...] = (None, 0, 384, 420, 4095, 4096, -1, "384", 384.5, True, 2048)
SIZES: tuple[object, ...] = (None, 0, 1, 3, 6, -1, "3", 1.5, True, (1 << 53) - 1, 1 << 53)
VERSIONS: tuple[object, ...] = (1, None, 2, 0, "1", True, 1.0, [])
OPERATIONS: tuple[object, ...] = (
    "ping",
    "run",
    "run",
    "run",
    "put_file",
    "put_file",
    "get_file",
    "get_file",
    "nosuch",
    "",
    None,
    7,
)


def some_bytes(chance: Random, payload: bytes) -> bytes:
    """One to four bytes changed, put in, taken out or doubled."""
    data = bytearray(payload)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.choice(BYTES)
        elif kind == 2:
            data.insert(at, chance.choice(BYTES))
        elif kind == 3:
            del data[at : at + chance.choice((1, 1, 2, 8))]
        else:
            data[at:at] = data[at : at + chance.choice((1, 2, 8))]
    return bytes(data)


def some_tokens(chance: Random, payload: bytes) -> bytes:
    """One to three tokens of what is, mostly, JSON."""
    tokens = TOKEN.findall(payload)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(tokens) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            tokens[at:at] = [chance.choice(GLUE)]
        elif kind == 1:
            del tokens[at : at + 1]
        elif kind == 2:
            tokens[at : at + 1] = [chance.choice(VALUES)]
        elif kind == 3:
            tokens[at:at] = tokens[at : at + chance.choice((1, 4))]
        elif kind == 4 and tokens:
            other = chance.randrange(len(tokens))
            tokens[at : at + 1], tokens[other : other + 1] = tokens[other : other + 1], tokens[at : at + 1]
        elif at < len(tokens) and tokens[at][:1] == b'"':
            tokens[at] = _escaped(chance, tokens[at])
    return b"".join(tokens)


def _escaped(chance: Random, string: bytes) -> bytes:
    """One plain letter as \\uXXXX."""
    places = [at for at, byte in enumerate(string) if chr(byte).isalnum() and byte < 0x80 and string[at - 1] != 0x5C]
    if not places:
        return string
    at = chance.choice(places)
    return string[:at] + b"\\u%04x" % string[at] + string[at + 1 :]


def some_members(chance: Random, payload: bytes) -> bytes:
    """A member more behind the first brace, or many, or another value for one that is there."""
    brace = payload.find(b"{") + 1
    kind = chance.randrange(4)
    if kind == 0 or not brace:
        found = list(re.finditer(rb'("[a-z]+"\s*:\s*)("(?:[^"\\]|\\.)*"|[^,{}\[\]]+)', payload))
        if not found:
            return payload + chance.choice(VALUES)
        member = chance.choice(found)
        return payload[: member.start(2)] + chance.choice(VALUES) + payload[member.end() :]
    if kind == 1:
        added = b",".join(b'"%d":0' % number for number in range(chance.choice((1, 20, 4080, 4090, 4094, 4095, 4096))))
    elif kind == 2:
        added = b'"x":' + chance.choice((b"[" + b"0," * chance.choice((1, 4085, 4090, 4094)) + b"0]", *NESTED))
    else:
        added = chance.choice(NAMES) + b":" + chance.choice(VALUES)
    return payload[:brace] + added + (b"" if payload[brace:].lstrip()[:1] == b"}" else b",") + payload[brace:]


def request(chance: Random, operation: object = "", size: object = "") -> bytes:
    """Any fields of any operation, in any order, each mostly as it should be. `operation`, `size`: these, where given."""
    op = operation or chance.choice(OPERATIONS)
    fields: dict[str, object] = {"op": op}
    if chance.random() < 0.2:
        fields["v"] = chance.choice(VERSIONS)
    for name, among in _fields(op):
        if chance.random() < (0.9 if name in ("cmd", "path") else 0.5):
            fields[name] = chance.choice(among)
    if "shell" in fields and chance.random() < 0.7:
        fields["shell"] = "raw"
    if size != "" and chance.random() < 0.9:
        fields["size"] = size
    names = list(fields)
    if chance.random() < 0.3:
        chance.shuffle(names)
    separators = chance.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:\r")))
    return json.dumps({name: fields[name] for name in names}, separators=separators).encode()


def _fields(op: object) -> tuple[tuple[str, tuple[object, ...]], ...]:
    if op == "run":
        return ("cmd", (*gate.COMMANDS, None, 7, [])), ("shell", SHELLS), ("timeout", TIMEOUTS), ("env", VARIABLES)
    if op == "put_file":
        return ("path", (*gate.PATHS, None, 7)), ("name", (*gate.NAMES, None, 7)), ("mode", MODES), ("size", SIZES)
    if op == "get_file":
        return (("path", (*gate.PATHS, None, 7)),)
    return ("x", (1, "x", None)), ("size", SIZES)
