"""Payloads that chance would take long to find: numbers at the edges of a double, fields of every wrong kind, long names."""

from __future__ import annotations

from collections.abc import Iterator

TIE = "9007199254740993"  # half-way between two doubles
NUMBERS = (
    *("4.9e-324", "2.5e-324", "2e-324", "1e-310", "0.1e-400", "1e-500", "1e400", "5e-1", "0.5", "1E+2", "-0"),
    *(
        TIE,
        "9007199254740995",
        f"{TIE}.0",
        f"{TIE}.{'0' * 900}1",
        "9007199254740992.5",
        f"{'9' * 40}e-350",
        "1.7976931348623159e308",
    ),
)
WRONG = (
    "1",
    "-1",
    "1.5",
    "1e3",
    "4096",
    "9007199254740991",
    "9007199254740992",
    "99999999999999999999",
    '""',
    '"x"',
    "true",
    "[]",
    "{}",
    "null",
)
FIELDS = {
    "run": ("cmd", "shell", "timeout", "env"),
    "put_file": ("path", "name", "mode", "size"),
    "get_file": ("path",),
    "ping": ("v",),
}
REST = {
    "run": '"cmd":"true"',
    "put_file": '"path":"/p","size":1',
    "get_file": '"path":"/p"',
    "ping": '"x":0',
}

# These reach a branch that clang makes no edge of, so that a merge would drop them.
KEPT = [f'{{"op":"ping","x":{number}}}'.encode() for number in (TIE, "1e-326")]


def payloads() -> Iterator[bytes]:
    for number in NUMBERS:
        yield f'{{"op":"ping","x":{number}}}'.encode()
        yield f'{{"op":"run","cmd":"true","timeout":{number}}}'.encode()
    for op, fields in FIELDS.items():
        yield f'{{"op":"{op}"}}'.encode()
        for field in fields:
            rest = ",".join(each for each in REST[op].split(",") if f'"{field}"' not in each)
            for value in WRONG:
                yield f'{{"op":"{op}"{"," if rest else ""}{rest},"{field}":{value}}}'.encode()
    for shell in ("login", "raw", "bash"):
        yield f'{{"op":"run","cmd":"true","shell":"{shell}"}}'.encode()
    for value in (*WRONG, TIE):
        yield f'{{"op":"run","cmd":"true","env":{{"A":{value}}}}}'.encode()
    for name in ("", "=", "A=B", *("x" * shift + "\N{GRINNING FACE}" * 20 + "=" for shift in range(4))):
        yield f'{{"op":"run","cmd":"true","env":{{"{name}":"x"}}}}'.encode()
