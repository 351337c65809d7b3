"""Debian packages of an architecture, fetched once: kept in the cache by the hash of their content, and named there in a list, so
that a checkout goes on with what it has begun with."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from guestwire.vm import cpio, debian
from guestwire.vm.cpio import Entry

DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}  # an architecture, as uname and as Debian has it
_ROOT = Path(__file__).resolve().parents[2]
_IN_CHECKOUT = (_ROOT / "ci/packages.txt").is_file()


class ImageError(Exception):
    """The guest's image cannot be made: one line that says what is missing and what mends it."""


@dataclass(frozen=True)
class Package:
    """A .deb in the cache."""

    name: str
    version: str
    sha256: str
    path: Path

    def files(self, wanted: Callable[[str], bool]) -> dict[str, Entry]:
        """The files and symbolic links it holds under the names that are wanted ("usr/bin/x"). Raises ImageError."""
        found: dict[str, Entry] = {}
        command = ["dpkg-deb", "--fsys-tarfile", str(self.path)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.issym() and wanted(name):
                        found[name] = cpio.link(member.linkname)
                    elif member.isreg() and wanted(name) and (content := archive.extractfile(member)) is not None:
                        found[name] = cpio.file(content.read(), member.mode & 0o7777)
            process.stdout.read()
        if process.returncode != 0:
            raise ImageError(f"{self.path}: dpkg-deb cannot read it; remove it and try again")
        return found


def cache() -> Path:
    """The folder for what is fetched and built: of the checkout, or of the user."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = _ROOT / ".cache/vm" if _IN_CHECKOUT else Path(home, "guestwire/vm")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One at a time does what `name` stands for, of all processes that share the cache."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetched(arch: str, names: Sequence[str]) -> dict[str, Package]:
    """The packages by the names they were asked for with. "linux-image-cloud-amd64 > linux-image-[0-9].*" stands for what the
    first depends on that the pattern after it matches, and so on. Raises ImageError."""
    key = hashlib.sha256(repr((debian.codename(), sorted(names))).encode()).hexdigest()[:16]
    kept = cache() / f"packages-{arch}-{key}.json"
    with locked("packages"):
        found = _read(kept)
        if found is None:
            try:
                found = _fetch(arch, names)
            except (debian.NoSources, OSError, subprocess.CalledProcessError) as error:
                why = " ".join(getattr(error, "stdout", "").split())[-400:]
                raise ImageError(f"cannot fetch Debian's packages for {arch}: {error} {why}".rstrip()) from None
            text = {wanted: [p.name, p.version, p.sha256, p.path.name] for wanted, p in found.items()}
            partial = kept.with_suffix(".new")
            partial.write_text(json.dumps(text, indent=1))
            partial.rename(kept)
    return found


def _read(kept: Path) -> dict[str, Package] | None:
    """What the list names; None if there is no list or one of its packages is gone."""
    try:
        entries = json.loads(kept.read_text())
    except (OSError, ValueError):
        return None
    folder = cache() / "debs"
    found = {
        wanted: Package(name, version, hash_, folder / file) for wanted, (name, version, hash_, file) in entries.items()
    }
    return found if all(package.path.is_file() for package in found.values()) else None


def _fetch(arch: str, names: Sequence[str]) -> dict[str, Package]:
    apt = cache() / f"apt-{DEBIAN_NAMES[arch]}"
    folder = cache() / "debs"
    folder.mkdir(exist_ok=True)
    configuration = debian.configure(apt, "deb", DEBIAN_NAMES[arch])
    debian.apt("apt-get", configuration, "update", cwd=folder)
    real = {name: _resolved(name, configuration) for name in names}
    found = {}
    lines = debian.apt("apt-get", configuration, "download", "--print-uris", *real.values(), cwd=folder)
    for name, version, file, sha256 in _downloads(lines):
        target = folder / f"{sha256}.deb"
        if not target.is_file():
            debian.apt("apt-get", configuration, "download", name, cwd=folder)
            if hashlib.sha256((folder / file).read_bytes()).hexdigest() != sha256:
                raise ImageError(f"{file}: not the content that Debian's list promises")
            (folder / file).rename(target)
        found[name] = Package(name, version, sha256, target)
    missing = [name for name in real.values() if name not in found]
    if missing:
        raise ImageError(f"Debian has no package {', '.join(missing)} for {arch}")
    return {name: found[package] for name, package in real.items()}


def _downloads(lines: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, version, file and SHA-256 of each line that `apt-get download --print-uris` prints."""
    for match in re.finditer(r"^'\S+' (([^_\s]+)_([^_\s]+)_\S+\.deb) \d+ SHA256:([0-9a-f]{64})$", lines, re.MULTILINE):
        file, name, version, sha256 = match.groups()
        yield name, version.replace("%3a", ":"), file, sha256


def _resolved(name: str, configuration: Path) -> str:
    """The package that a name of fetched() stands for."""
    package, *patterns = name.split(" > ")
    for pattern in patterns:
        listed = debian.apt("apt-cache", configuration, "depends", "--important", package, cwd=cache())
        dependencies = re.findall(r"Depends: (\S+)", listed)
        matching = [dependency for dependency in dependencies if re.fullmatch(pattern, dependency)]
        if not matching:
            raise ImageError(f"Debian's {package} depends on no {pattern}")
        package = matching[0]
    return package
