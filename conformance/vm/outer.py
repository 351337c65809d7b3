"""What the outer guest of the nested level holds beside the guests' common base: this Python with the packages that the suite
needs, the harness, and QEMU, all as they are installed here and at the paths that they have here. Nothing is fetched."""

from __future__ import annotations

import importlib.util
import os
import re
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import MAGIC_NUMBER
from pathlib import Path

from packaging.requirements import Requirement

from guestwire.vm import cpio, qemu
from guestwire.vm.cpio import Entry
from guestwire.vm.packages import ImageError

ROOT = Path(__file__).resolve().parents[2]
_OF_THE_CHECKOUT = ("VERSION", "build/guestwire", "ci/packages.txt", "conformance", "pyproject.toml")
_UNUSED = {"ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tests", "tkinter", "turtledemo", "__pycache__"}
_FIRMWARE = ("bios-microvm.bin", "kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin", "qboot.rom")
_HEAD = MAGIC_NUMBER + struct.pack("<L", 1) + bytes(8)  # of bytecode that is never checked against its source (PEP 552)


def files() -> dict[str, Entry]:
    """By their paths in the guest, without the leading slash. Raises ImageError."""
    try:
        return _qemu() | _python() | _packages() | _checkout()
    except (OSError, metadata.PackageNotFoundError) as error:
        raise ImageError(f"the outer guest cannot have what is here: {error}") from None


def within(ports: Sequence[str], words: Sequence[str]) -> list[str]:
    """The command line of what judges in the guest. `ports`: the paths there of what takes the results and what is printed."""
    return [sys.executable, "-m", "guestwire.vm.within", *ports, *words]


def _qemu() -> dict[str, Entry]:
    program = Path(qemu.program("x86_64"))
    found = _binary(program)
    modules = sorted(Path("/usr/lib").glob("*/qemu/accel-tcg-x86_64.so"))
    data = program.parents[1] / "share/qemu"
    for path in (*modules, *(data / name for name in _FIRMWARE)):
        found |= file(path)
    return found


def _python() -> dict[str, Entry]:
    """The interpreter and its library, with a link where this program finds it."""
    real = Path(sys.executable).resolve()
    found = _binary(real)
    prefix = Path(sys.prefix)
    if prefix != Path(sys.base_prefix):  # a virtual environment
        found |= {place(Path(sys.executable)): cpio.link(str(real))} | file(prefix / "pyvenv.cfg")
    library = Path(sysconfig.get_path("stdlib"))
    for path in _below(library):
        found |= _with_libraries(path)
    return found


def _packages() -> dict[str, Entry]:
    """The distributions that this one needs, and their own needs."""
    found: dict[str, Entry] = {}
    site = Path(sysconfig.get_path("purelib"))
    names, done = ["guestwire"], set()
    while names:
        name = names.pop()
        if name in done:
            continue
        done.add(name)
        distribution = metadata.distribution(name)
        for needed in map(Requirement, distribution.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                names.append(needed.name)
        for listed in distribution.files or ():
            path = Path(os.path.abspath(str(distribution.locate_file(listed))))
            if path.is_relative_to(site) and not _UNUSED & set(path.relative_to(site).parts) and path.is_file():
                found |= _with_libraries(path)
    return found


def _checkout() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for name in _OF_THE_CHECKOUT:
        for path in _below(ROOT / name):
            found |= file(path)
    site = Path(sysconfig.get_path("purelib"))
    for path in (*site.glob("__editable__*guestwire*"), *site.glob("guestwire-*.dist-info/*")):
        if path.is_file():
            found |= file(path)
    return found


def _below(path: Path) -> Iterator[Path]:
    """The files that are used of what stands there."""
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in _UNUSED and not name.startswith("config-"))
        yield from (Path(folder, name) for name in names)


def file(path: Path) -> dict[str, Entry]:
    """A file; a module with its bytecode: the guest is slow."""
    data = path.read_bytes()
    found = {place(path): cpio.file(data, path.stat().st_mode & 0o7777)}
    if path.suffix == ".py":
        cached = Path(importlib.util.cache_from_source(path))
        found[place(cached)] = cpio.file(_bytecode(data, path, cached))
    return found


def _bytecode(source: bytes, path: Path, cached: Path) -> bytes:
    try:
        kept = cached.read_bytes()
        size, time = len(source) & 0xFFFFFFFF, int(path.stat().st_mtime) & 0xFFFFFFFF
        if kept[:16] == MAGIC_NUMBER + struct.pack("<LLL", 0, time, size):
            return _HEAD + kept[16:]
    except OSError:
        pass
    import marshal

    try:
        return _HEAD + marshal.dumps(compile(source, str(path), "exec", dont_inherit=True))
    except SyntaxError:  # a template, say
        return b""


def _with_libraries(path: Path) -> dict[str, Entry]:
    return _binary(path) if path.suffix == ".so" else file(path)


def _binary(path: Path) -> dict[str, Entry]:
    """A program or library, with the libraries it is linked with."""
    listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False, timeout=30).stdout
    found = file(path)
    for library in re.findall(r"(/\S+) \(0x", listed):
        if place(Path(library)) not in found:
            found |= file(Path(library))
    return found


def place(path: Path) -> str:
    """Where a file stands in the guest, whose /bin, /lib and so on are links into /usr."""
    text = os.path.abspath(path).strip("/")
    return f"usr/{text}" if text.split("/")[0] in ("bin", "lib", "lib64", "sbin") else text
