"""What the guest takes from each of Debian's packages."""

from __future__ import annotations

import lzma
import marshal
import re
import struct
import sys
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import PurePosixPath

import lz4.block

from guestwire.vm import cpio, modules
from guestwire.vm.cpio import Entry
from guestwire.vm.packages import ImageError, Package

_LIBRARIES = ("ld-linux", "libc.so", "libm.so", "libexpat", "libffi", "libz.so")
_NOT_FOR_THE_WITNESS = (  # of Python's library: large, or without what it needs
    "config-3", "curses", "dbm", "distutils", "ensurepip", "html", "idlelib", "lib2to3", "pydoc", "sitecustomize", "sqlite3",
    "test/", "tkinter", "turtle", "unittest", "venv", "wsgiref", "xml", *(f"lib-dynload/{name}" for name in (
        "_bz2", "_codecs_", "_crypt", "_curses", "_dbm", "_decimal", "_hashlib", "_lzma", "_sqlite3", "_ssl", "_test", "_uuid",
        "_xx", "nis", "readline")),
)  # fmt: skip
_LZ4 = b"\x02\x21\x4c\x18"
RUNNING = f"python{sys.version_info[0]}.{sys.version_info[1]}"  # bytecode is of one version


def kernel(package: Package) -> tuple[str, bytes, dict[str, bytes], list[str]]:
    """Its release ("6.1.0-56-cloud-amd64"), the kernel, by their paths its modules as plain .ko, and the names of those that are
    built in."""
    files = package.files(
        lambda name: name.startswith("boot/vmlinu") or name.endswith("/modules.builtin") or bool(modules.name_of(name))
    )
    image = next(name for name in files if name.startswith("boot/vmlinu"))
    found = dict(modules.unpacked(name, entry.data) for name, entry in files.items() if modules.name_of(name))
    listed = next(entry.data for name, entry in files.items() if name.endswith("/modules.builtin"))
    builtin = [modules.name_of(line) for line in listed.decode().splitlines()]
    return image.partition("-")[2], uncompressed(files[image].data), found, builtin


def uncompressed(image: bytes) -> bytes:
    """The ELF file in an x86 bzImage that is packed by xz or LZ4: QEMU starts it by PVH, so that the guest need not unpack it,
    which takes a second. Any other kernel as it is."""
    if image[0x202:0x206] != b"HdrS":
        return image
    offset, length = struct.unpack_from("<II", image, 0x248)  # payload_offset and payload_length of the boot protocol
    start = (image[0x1F1] + 1) * 512 + offset
    packed = image[start : start + length - 4]  # its last four bytes are the size when unpacked
    if packed.startswith(b"\xfd7zXZ\0"):
        return lzma.decompress(packed)
    return b"".join(_lz4_blocks(packed[4:])) if packed.startswith(_LZ4) else image


def _lz4_blocks(packed: bytes) -> Iterator[bytes]:
    """Of LZ4's legacy frame: each with its length, and not more than 8 MiB when unpacked."""
    place = 0
    while place < len(packed):
        (length,) = struct.unpack_from("<I", packed, place)
        yield lz4.block.decompress(packed[place + 4 : place + 4 + length], uncompressed_size=8 << 20)
        place += 4 + length


def python(package: Package) -> dict[str, Entry]:
    """The interpreter, or modules of its library: as bytecode where this Python is of the same version, for the guest is slow."""
    found: dict[str, Entry] = {}
    for name, entry in package.files(_for_the_witness).items():
        path = PurePosixPath(name)
        if path.parent.name == "bin":
            found |= {name: entry, "usr/bin/python3": cpio.link(path.name), "usr/bin/python": cpio.link("python3")}
        elif path.suffix == ".py" and path.parts[2] == RUNNING:
            found[f"{name}c"] = compiled(entry.data, f"/{name}")
        else:
            found[name] = entry
    return found


def _for_the_witness(name: str) -> bool:
    within = re.match(r"usr/lib/python3\.[0-9]+/(.+)", name)
    if within is None:
        return bool(re.match(r"usr/bin/python3\.[0-9]+$", name))
    return not within[1].startswith(_NOT_FOR_THE_WITNESS) and within[1].endswith((".py", ".so"))


def compiled(source: bytes, path: str) -> Entry:
    """A module's bytecode, to stand where its source would (PEP 552: never checked)."""
    code = marshal.dumps(compile(source, path, "exec", dont_inherit=True, optimize=0))
    return cpio.file(MAGIC_NUMBER + struct.pack("<L", 1) + bytes(8) + code)


def libraries(package: Package) -> dict[str, Entry]:
    """A package's shared libraries that Python needs, below usr/lib and usr/lib64."""

    def wanted(name: str) -> bool:
        return PurePosixPath(name).name.startswith(_LIBRARIES) and "gconv" not in name

    return {name if name.startswith("usr/") else f"usr/{name}": entry for name, entry in package.files(wanted).items()}


def busybox(package: Package) -> dict[str, Entry]:
    """The program, and a link for each of its applets: "[" is the first of their names, which it holds in order."""
    (program,) = package.files(lambda name: name in ("bin/busybox", "usr/bin/busybox")).values()
    start = program.data.find(b"\0[\0[[\0") + 1
    names = program.data[start : program.data.index(b"\0\0", start)].decode(errors="replace").split("\0")
    if start == 0 or not {"sh", "mount", "insmod", "ip", "setsid"} <= set(names):
        raise ImageError(f"{package.name} {package.version}: found no list of its applets")
    return {f"usr/bin/{name}": cpio.link("busybox") for name in names} | {"usr/bin/busybox": program}
