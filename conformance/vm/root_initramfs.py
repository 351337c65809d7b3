"""A guest's root in an initramfs."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from guestwire.vm import cpio, unpack
from guestwire.vm.roots import File, Root


class Initramfs(Root):
    """Archives one after the other, each compressed or not. What is put goes into one more at the end, which is replaced when it
    is there already: kernels unpack them in their order."""

    _MARK = ".guestwire-baked"  # the first name of that archive

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read()

    def _read(self) -> None:
        self._data = self._path.read_bytes()
        self._entries = unpack.entries(self._data)

    def look(self, name: str) -> File | None:
        found = self._entries.get(name)
        if found is None or stat.S_ISDIR(found.mode) or not (stat.S_ISREG(found.mode) or stat.S_ISLNK(found.mode)):
            return None
        return File(found.data, stat.S_IMODE(found.mode), stat.S_ISLNK(found.mode))

    def put(self, files: Mapping[str, File]) -> None:
        start = unpack.last_archive(self._data, self._MARK)
        before, own = (self._data, {}) if start is None else (self._data[:start], unpack.entries(self._data[start:]))
        for name, file in files.items():
            own[name] = cpio.link(os.fsdecode(file.data)) if file.link else cpio.file(file.data, file.mode)
        own.pop(self._MARK, None)
        own = {name: entry for name, entry in own.items() if not stat.S_ISDIR(entry.mode)}
        added = {parent: self._entries[parent] for name in own for parent in map(str, PurePosixPath(name).parents)
                 if parent in self._entries}  # with the permissions that they have  # fmt: skip
        data = before + bytes(-len(before) % 4) + cpio.archive({self._MARK: cpio.file(b"", 0o600), **added, **own})
        new = self._path.with_name(f".{self._path.name}.new")
        new.write_bytes(data)
        new.chmod(stat.S_IMODE(self._path.stat().st_mode))
        new.replace(self._path)
        self._read()
