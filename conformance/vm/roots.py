"""A guest's root, wherever it lies. Links in it lead to places in it, never out of it."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MOST_LINKS = 40


class RootError(Exception):
    """It cannot be used, or not be changed: one line."""


@dataclass(frozen=True)
class File:
    """A file's bytes and permissions, or a link's target."""

    data: bytes
    mode: int
    link: bool = False


class Root(ABC):
    """Names are paths from the root without a leading slash."""

    @abstractmethod
    def look(self, name: str) -> File | None:
        """What stands at the name itself; None for nothing or a folder. No part of it is a link."""

    @abstractmethod
    def put(self, files: Mapping[str, File]) -> None:
        """Write them, and the folders they need. No part of a name is a link but perhaps the last."""

    def resolved(self, name: str, last: bool = True) -> str:
        """The name with links followed within the root, at its end too if `last`. Raises RootError for a loop."""
        parts, done, links = list(PurePosixPath(name).parts), list[str](), 0
        while parts:
            part = parts.pop(0)
            if part in ("/", "."):
                done = [] if part == "/" else done
            elif part == "..":
                done = done[:-1]
            elif (last or parts) and (found := self.look("/".join([*done, part]))) is not None and found.link:
                links += 1
                if links > _MOST_LINKS:
                    raise RootError(f"/{name}: links without end")
                parts = [*PurePosixPath(os.fsdecode(found.data)).parts, *parts]
            else:
                done.append(part)
        return "/".join(done)

    def file(self, name: str) -> File | None:
        """What stands there, a link as itself."""
        return self.look(self.resolved(name, last=False))

    def read(self, name: str) -> bytes | None:
        """A file's bytes, through links."""
        found = self.look(self.resolved(name))
        return None if found is None else found.data

    def write(self, files: Mapping[str, File]) -> None:
        """Put files there, whatever stood there."""
        self.put({self.resolved(name, last=False): file for name, file in files.items()})


class Folder(Root):
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def look(self, name: str) -> File | None:
        path = self._path / name
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(found.st_mode):
            return File(os.fsencode(os.readlink(path)), 0o777, link=True)
        if not stat.S_ISREG(found.st_mode):
            return None
        return File(path.read_bytes(), stat.S_IMODE(found.st_mode))

    def put(self, files: Mapping[str, File]) -> None:
        for name, file in files.items():
            path = self._path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.unlink(missing_ok=True)
            if file.link:
                new.symlink_to(os.fsdecode(file.data))
            else:
                new.write_bytes(file.data)
                new.chmod(file.mode)
            new.replace(path)
