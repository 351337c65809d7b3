"""What a process holds and how it is set, and the files it has no business with: read after every case and compared with what
it was after warm-up. Runs in the agent's world; everything can be pickled."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from guestwire.drive import process

MEMORY_GROWTH = 32 << 20  # bytes of resident memory beyond warm-up that an agent may keep
_SETTINGS = {b"Umask": "umask", b"SigBlk": "blocked signals", b"SigIgn": "ignored signals", b"SigCgt": "caught signals"}
_STATUS = re.compile(rb"^(Umask|SigBlk|SigIgn|SigCgt|VmRSS):\s*(\w+)", re.MULTILINE)

Entry = tuple[int, int, int, int, int, int]  # inode, mode, uid, gid, size, time of the last change in ns


@dataclass(frozen=True)
class Footprint:
    """Of one moment. `files` maps every path in the watched directories to what it is."""

    descriptors: int = 0
    threads: int = 0
    children: int = 0
    memory: int = 0  # resident, in bytes
    settings: Mapping[str, str] = field(default_factory=dict)  # of the main thread: cwd, umask, signals
    files: Mapping[str, Entry] = field(default_factory=dict)


def entries(folder: str, prefix: str = "", known: Collection[str] = ()) -> dict[str, Entry]:
    """What stands in a directory, by path: of the names with that prefix those that are not known."""
    found: dict[str, Entry] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        if name in known or not name.startswith(prefix):
            continue
        path = f"{folder}/{name}"
        with contextlib.suppress(OSError):  # gone meanwhile
            info = os.lstat(path)
            facts = (info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_size, info.st_ctime_ns)
            found[path] = facts
    return found


def take(pid: int | None, files: Mapping[str, Entry]) -> Footprint | None:
    """Without a pid of files alone. None when the process is gone."""
    if pid is None:
        return Footprint(files=files)
    counts = process.counts(pid)
    if counts is None:
        return None
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            status = dict(_STATUS.findall(file.read(8192)))
        settings = {meaning: status[name].decode() for name, meaning in _SETTINGS.items() if name in status}
        settings["working directory"] = _working_directory(pid)
        return Footprint(*counts, int(status[b"VmRSS"]) * 1024, settings, files)
    except (OSError, KeyError):  # a zombie has no memory
        return None


def _working_directory(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except PermissionError:
        return "of another user"


def differences(before: Footprint, now: Footprint, memory: bool) -> dict[str, str]:
    """What has come up since, by the check that it breaks. `memory`: whether its memory is judged as well."""
    told: dict[str, str] = {}
    held = [
        f"{has} {name} ({had} after warm-up)"
        for name, has, had in (
            ("descriptors", now.descriptors, before.descriptors),
            ("threads", now.threads, before.threads),
            ("children", now.children, 0),
        )
        if has > had
    ]
    if held:
        told["SRV-SURVIVE/leaks"] = ", ".join(held)
    changed = [
        f"{name} {value} ({before.settings.get(name)} after warm-up)"
        for name, value in now.settings.items()
        if value != before.settings.get(name)
    ]
    if changed:
        told["SRV-SURVIVE/settings"] = ", ".join(changed)
    if memory and now.memory > before.memory + MEMORY_GROWTH:
        told["SRV-SURVIVE/memory"] = f"{now.memory} bytes resident ({before.memory} after warm-up)"
    touched = sorted(path for path in {*before.files, *now.files} if before.files.get(path) != now.files.get(path))
    if touched:
        told["SRV-SURVIVE/files"] = ", ".join(f"{path}: {_change(before, now, path)}" for path in touched[:5])
    return told


def _change(before: Footprint, now: Footprint, path: str) -> str:
    if path not in now.files:
        return "gone"
    if path not in before.files:
        return "new"
    return "changed (content, mode, owner or links)"
