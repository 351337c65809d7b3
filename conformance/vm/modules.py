"""A kernel's modules: which ones a module needs, and in what order they are loaded."""

from __future__ import annotations

import lzma
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

_SUFFIX = re.compile(r"\.ko(\.xz)?$")


def name_of(path: str) -> str:
    """A module's name by its file: "virtio_rng" of ".../virtio-rng.ko.xz"; "" where it is no module."""
    file = PurePosixPath(path).name
    return _SUFFIX.sub("", file).replace("-", "_") if _SUFFIX.search(file) else ""


def unpacked(path: str, content: bytes) -> tuple[str, bytes]:
    """The same as a plain .ko."""
    return (path.removesuffix(".xz"), lzma.decompress(content)) if path.endswith(".xz") else (path, content)


def needs(content: bytes) -> list[str]:
    """The names of the modules that a .ko says it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", content)
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def closure(wanted: Sequence[str], modules: Mapping[str, bytes], builtin: Collection[str] = ()) -> list[str]:
    """The paths of these modules and of all they need, in an order in which they can be loaded. `modules` are plain .ko by path,
    `builtin` names of what the kernel holds anyway. Raises KeyError with the name of one that is not there."""
    paths = {name_of(path): path for path in modules}
    ordered: list[str] = []

    def take(name: str) -> None:
        if name in builtin or paths[name] in ordered:
            return
        for other in needs(modules[paths[name]]):
            take(other)
        ordered.append(paths[name])

    for name in wanted:
        take(name)
    return ordered
