"""The guest's image: Debian's kernel, and an initramfs of two archives. The first is the same for every guest of an architecture
and built once: busybox, Python for the witness, the kernel's modules. The second is small and made for each guest: /init, the
agent, the witness's modules, whatever else is asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from guestwire.vm import cpio, modules, parts
from guestwire.vm.cpio import Entry
from guestwire.vm.packages import ImageError, Package, cache, fetched, locked

AGENT = "usr/local/bin/smolvm-guest-agent"  # in the guest
_ANY_KERNEL = " > linux-image-[0-9].*"
KERNEL = {"x86_64": "linux-image-cloud-amd64" + _ANY_KERNEL, "aarch64": "linux-image-cloud-arm64" + _ANY_KERNEL}
_STDLIB = r"libpython3-stdlib > libpython3\.[0-9]+-stdlib"
PYTHON = (r"python3-minimal > python3\.[0-9]+-minimal", _STDLIB, _STDLIB + r" > libpython3\.[0-9]+-minimal")
LIBRARIES = ("libc6", "libexpat1", "libffi8", "zlib1g")
# An agent can listen once the first are there; the others are loaded after it has been started. vhost_vsock: for who asks.
FIRST = ("virtio_mmio", "virtio_pci", "vmw_vsock_virtio_transport")
THEN = ("virtio_console", "vsock_loopback")
OUTER = ("virtio_pci", "virtio_console", "vhost_vsock", "kvm_amd")  # of a guest that has one itself
GIVEN = "GUESTWIRE_VM_BASE"  # environment: a folder with a base that somebody else has built
_UNUSED = 3600.0  # seconds; who boots a guest has read what it needs within minutes
_PACKAGE = Path(__file__).resolve().parents[1]
_WITNESS = ("__init__.py", "drive/*.py", "judge/*.py")  # modules of this project that it may import
_USERS = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
_GROUPS = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n"


@dataclass(frozen=True)
class Base:
    """What every guest of an architecture boots: files in the cache, the kernel's release ("6.1.0-56-cloud-amd64") and the paths
    in the guest of the modules that /init loads before and after it starts the agent."""

    kernel: Path
    initrd: Path
    release: str
    first: tuple[str, ...]
    then: tuple[str, ...]


def is_given() -> bool:
    """Whether this is a guest itself, which has been given the base of its own guests."""
    return GIVEN in os.environ


def base(arch: str, outer: bool = False) -> Base:
    """Built in seconds where the cache lacks it, after what has to be downloaded. `outer`: of a guest that has a guest itself,
    which is busybox and modules. Raises ImageError."""
    if is_given():
        return _read(Path(os.environ[GIVEN]))
    packages = fetched(arch, [KERNEL[arch], "busybox-static", *PYTHON, *LIBRARIES])
    recipe = [package.sha256 for package in packages.values()]
    recipe += [(_PACKAGE / "vm" / name).read_text() for name in ("cpio.py", "image.py", "modules.py", "parts.py")]
    recipe.append("outer" if outer else parts.RUNNING)
    folder = cache() / f"base-{arch}-{hashlib.sha256(''.join(recipe).encode()).hexdigest()[:16]}"
    with locked("base"):
        if not folder.is_dir():
            _build(arch, packages, folder, outer)
            forget(cache(), f"base-{arch}-*")
        os.utime(folder)  # it is in use
    return _read(folder)


def _read(folder: Path) -> Base:
    facts = json.loads((folder / "facts.json").read_text())
    return Base(folder / "kernel", folder / "initrd", facts["release"], tuple(facts["first"]), tuple(facts["then"]))


def forget(folder: Path, names: str) -> None:
    """Remove what is called so and has not been in use for long: other versions' bases, say, which another run may boot yet."""
    for path in folder.glob(names):
        if path.stat().st_mtime < time.time() - _UNUSED:
            shutil.rmtree(path)


def _build(arch: str, packages: Mapping[str, Package], folder: Path, outer: bool) -> None:
    """`folder` appears whole or not at all."""
    release, kernel, found, builtin = parts.kernel(packages[KERNEL[arch]])
    wanted, later = (OUTER, ()) if outer else (FIRST, THEN)
    try:
        first = modules.closure(wanted, found, builtin)
        loaded = modules.closure((*wanted, *later), found, builtin)
    except KeyError as error:
        raise ImageError(f"kernel {release} has no module {error}") from None
    entries = _skeleton() | parts.busybox(packages["busybox-static"])
    for name in () if outer else PYTHON:
        entries |= parts.python(packages[name])
    for name in () if outer else LIBRARIES:
        entries |= parts.libraries(packages[name])
    entries |= {f"usr/{path.removeprefix('usr/')}": cpio.file(found[path]) for path in loaded}
    facts = {"release": release, "first": _in_guest(first), "then": _in_guest([p for p in loaded if p not in first])}
    partial = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    (partial / "kernel").write_bytes(kernel)
    (partial / "initrd").write_bytes(cpio.archive(entries))
    (partial / "facts.json").write_text(json.dumps(facts))
    partial.rename(folder)


def _in_guest(paths: Sequence[str]) -> list[str]:
    return [f"/usr/{path.removeprefix('usr/')}" for path in paths]


def _skeleton() -> dict[str, Entry]:
    entries = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/sbin": "bin"}
    links = {name: cpio.link(target) for name, target in entries.items()}
    folders = {
        name: cpio.folder() for name in ("dev", "mnt", "opt", "proc", "run", "srv", "sys", "usr/lib64", "var/log")
    }
    folders |= {"root": cpio.folder(0o700), "tmp": cpio.folder(0o1777), "var/tmp": cpio.folder(0o1777)}
    devices = {"dev/console": cpio.device(5, 1), "dev/null": cpio.device(1, 3, 0o666)}
    texts = {"passwd": _USERS, "group": _GROUPS, "hosts": "127.0.0.1 localhost\n", "hostname": "guest\n"}
    return links | folders | devices | {f"etc/{name}": cpio.file(text.encode()) for name, text in texts.items()}


def overlay(
    base: Base, agent: Sequence[str], extra: Mapping[str, bytes | Path] | None = None, *, shell: bool = False
) -> bytes:
    """The archive that makes a guest of the base. `agent`: a program on the host and its arguments. `extra`: what stands at a
    path in the guest ("/etc/x"), or below it, where the value is a folder; "/" is the root. Raises ImageError."""
    program, *arguments = agent
    entries = {
        "init": cpio.file((_PACKAGE / "vm/init").read_bytes(), 0o755),
        "etc/guestwire/modules.first": _lines(base.first),
        "etc/guestwire/modules.then": _lines(base.then),
        "etc/guestwire/agent": _lines([shlex.join(["exec", f"/{AGENT}", *arguments])]),
    }
    if shell:
        entries["etc/guestwire/shell"] = cpio.file(b"")
    for pattern in _WITNESS:
        for path in sorted(_PACKAGE.glob(pattern)):
            place = f"opt/guestwire/guestwire/{path.relative_to(_PACKAGE)}"
            source = b"" if path.name == "__init__.py" else path.read_bytes()  # what it looks up is not there
            entries[place] = cpio.file(source)
            cached = f"{place.rpartition('/')[0]}/__pycache__/{path.stem}.{sys.implementation.cache_tag}.pyc"
            entries[cached] = parts.compiled(source, f"/{place}")  # for a guest whose Python is of this one's version
    try:
        entries[AGENT] = cpio.file(Path(program).read_bytes(), 0o755)
        for place, content in (extra or {}).items():
            name = place.strip("/")
            entries |= {name: cpio.file(content)} if isinstance(content, bytes) else cpio.tree(content, name)
        return cpio.archive(entries)
    except (OSError, ValueError) as error:
        raise ImageError(str(error)) from None


def _lines(lines: Sequence[str]) -> Entry:
    return cpio.file("".join(f"{line}\n" for line in lines).encode())
