"""Archives in cpio's "newc" form, of which the kernel unpacks an initramfs: the same entries give the same bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = "TRAILER!!!"
_LARGEST = 0xFFFFFFFF  # of a field: eight hexadecimal digits


@dataclass(frozen=True)
class Entry:
    """A file, directory, link (`data` is its target) or device. All belong to root."""

    mode: int  # type and permissions, as lstat has it
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(data: bytes, mode: int = 0o644) -> Entry:
    return Entry(stat.S_IFREG | mode, data)


def folder(mode: int = 0o755) -> Entry:
    return Entry(stat.S_IFDIR | mode)


def link(target: str) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, os.fsencode(target))


def device(major: int, minor: int, mode: int = 0o600) -> Entry:
    """A character device."""
    return Entry(stat.S_IFCHR | mode, device=(major, minor))


def tree(path: Path, place: str) -> dict[str, Entry]:
    """What stands at `path`, a file or a folder with all that is in it, to be at `place` ("usr/local/bin/x", "" for the root)
    in the archive. Raises OSError; ValueError for a socket, FIFO or device."""
    found: dict[str, Entry] = {}
    if path.is_dir():
        if place:
            found[place] = folder(stat.S_IMODE(path.stat().st_mode))
        for child in sorted(path.iterdir()):
            name = f"{place}/{child.name}" if place else child.name
            found |= {name: link(os.readlink(child))} if child.is_symlink() else tree(child, name)
    elif path.is_file():
        found[place] = file(path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    else:
        raise ValueError(f"{path}: neither a file nor a folder nor a link")
    return found


def archive(entries: Mapping[str, Entry]) -> bytes:
    """The archive, with every parent folder that is not named (mode 0755). Names have no leading slash. One archive may follow
    another: what comes later replaces. Raises ValueError for a name or size that the form cannot hold."""
    whole = dict(entries)
    for name in entries:
        if name.startswith("/") or not name or ".." in name.split("/") or "\0" in name:
            raise ValueError(f"no name for an archive: {name!r}")
        for parent in Path(name).parents[:-1]:
            whole.setdefault(str(parent), folder())
    parts = [_record(number, name, whole[name]) for number, name in enumerate(sorted(whole), 1)]
    parts.append(_record(0, _NAME, Entry(0)))
    return b"".join(parts)


def _record(number: int, name: str, entry: Entry) -> bytes:
    encoded = os.fsencode(name) + b"\0"
    if len(entry.data) > _LARGEST:
        raise ValueError(f"{name}: too large for an archive")
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # inode, mode, user, group, links, time, size, device it stands on (two), device it is (two), name's size, checksum
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
