"""A guest's root in an ext4 image."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from guestwire.vm.roots import File, Root, RootError

HEAD = 0x480  # bytes from the start that hold what is looked at before
_MAGIC, _FEATURES, _NEEDS_RECOVERY = 0x438, 0x460, 0x4


def is_ext(head: bytes) -> bool:
    return head[_MAGIC : _MAGIC + 2] == b"\x53\xef"


class Ext(Root):
    """An ext4 image, by debugfs: nothing is mounted, and files belong to root whoever bakes."""

    def __init__(self, path: Path, head: bytes) -> None:
        """`head`: the image's first bytes. Raises RootError for one that is in use."""
        if int.from_bytes(head[_FEATURES : _FEATURES + 4], "little") & _NEEDS_RECOVERY:
            raise RootError(f"{path}: in use, or not cleanly unmounted: e2fsck -p it first")
        self._path = path

    def look(self, name: str) -> File | None:
        said = self._ask(f"stat {_quoted(name)}")
        words = said.split()
        if "Type:" not in words:
            return None
        kind = words[words.index("Type:") + 1]
        mode = int(words[words.index("Mode:") + 1], 8) & 0o7777
        if kind == "symlink":
            fast = [line for line in said.splitlines() if line.startswith("Fast link dest: ")]
            target = fast[0].removeprefix("Fast link dest: ").strip('"') if fast else self._content(name).decode()
            return File(os.fsencode(target), 0o777, link=True)
        return File(self._content(name), mode) if kind == "regular" else None

    def put(self, files: Mapping[str, File]) -> None:
        with tempfile.TemporaryDirectory(prefix="guestwire-bake-") as folder:
            words = []
            made: set[str] = set()
            for number, (name, file) in enumerate(files.items()):
                for parent in reversed(PurePosixPath(name).parents[:-1]):
                    if str(parent) not in made and "Type: directory" not in self._ask(f"stat {_quoted(str(parent))}"):
                        words.append(f"mkdir {_quoted(str(parent))}")
                    made.add(str(parent))
                if self.look(name) is not None:
                    words.append(f"rm {_quoted(name)}")
                if file.link:
                    words.append(f"symlink {_quoted(name)} {_word(os.fsdecode(file.data))}")
                    continue
                source = Path(folder, str(number))
                source.write_bytes(file.data)
                words.append(f"write {_word(str(source))} {_quoted(name)}")
                words += [
                    f"set_inode_field {_quoted(name)} {field}"
                    for field in (f"mode 0100{file.mode:03o}", "uid 0", "gid 0")
                ]
            script = Path(folder, "script")
            script.write_bytes(os.fsencode("".join(f"{line}\n" for line in words)))
            self._run("-w", "-f", str(script))
        checked = subprocess.run(
            ["e2fsck", "-f", "-n", str(self._path)], capture_output=True, text=True, check=False, timeout=600
        )
        if checked.returncode != 0:
            raise RootError(f"{self._path}: not sound after the writing: {' '.join(checked.stdout.split())[-300:]}")

    def _content(self, name: str) -> bytes:
        with tempfile.NamedTemporaryFile(prefix="guestwire-bake-") as file:
            self._ask(f"dump {_quoted(name)} {_word(file.name)}")
            return Path(file.name).read_bytes()

    def _ask(self, request: str) -> str:
        return self._run("-R", request)

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                ["debugfs", *words, str(self._path)], capture_output=True, text=True, check=False, timeout=600
            )
        except FileNotFoundError:
            raise RootError("debugfs is missing: apt-get install -y e2fsprogs") from None
        wrong = [
            line
            for line in done.stderr.splitlines()
            if not line.startswith("debugfs ") and "File not found" not in line
        ]
        if done.returncode != 0 or wrong:
            raise RootError(f"{self._path}: debugfs: {'; '.join(wrong) or done.returncode}")
        return done.stdout


def _quoted(name: str) -> str:
    return _word(f"/{name}")


def _word(text: str) -> str:
    """As debugfs reads words: a blank would end one."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
