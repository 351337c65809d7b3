"""Command lines of bridges and gates: the placeholders of a descriptor filled in, else what the contract says appended."""

from __future__ import annotations

from collections.abc import Mapping


def path_of(address: str) -> str:
    """The bare path of `unix:PATH`, for programs that take no prefix; another address as it is."""
    return address.removeprefix("unix:")


def filled(argv: tuple[str, ...], values: Mapping[str, str], appended: tuple[str, ...]) -> tuple[str, ...]:
    """The command line with `{name}` replaced by values[name]; where it has no such place, `appended` comes after it."""
    words = []
    for word in argv:
        for name, value in values.items():
            word = word.replace(f"{{{name}}}", value)
        words.append(word)
    return tuple(words) if tuple(words) != argv else (*argv, *appended)


def bridge(argv: tuple[str, ...], listen: str, connect: str) -> tuple[str, ...]:
    """`listen` and `connect` are addresses in the contract's forms."""
    values = {"listen": listen, "connect": connect, "listen_path": path_of(listen), "connect_path": path_of(connect)}
    return filled(argv, values, ("--listen", listen, "--connect", connect))


def gate(argv: tuple[str, ...], kind: str, target: str, timeout: float) -> tuple[str, ...]:
    """One probe of `kind` at `target`, given up after `timeout` seconds."""
    values = {"kind": kind, "target": target, "timeout": f"{timeout:g}"}
    return filled(argv, values, (kind, target, "--timeout", f"{timeout:g}"))
