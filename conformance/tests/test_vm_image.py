"""The parts of the guest's image, without QEMU: archives, modules in order, the unpacked kernel."""

from __future__ import annotations

import lzma
import marshal
import os
import stat
import struct
import time
from pathlib import Path

import lz4.block
import pytest

from guestwire.vm import cpio, image, modules, packages, parts


def unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, read as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst has it."""
    found: dict[str, tuple[int, bytes]] = {}
    place = 0
    while place < len(archive):
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[place + 110 : place + 110 + name_size]
        start = (place + 110 + name_size + 3) // 4 * 4
        found[name.removesuffix(b"\0").decode()] = (fields[1], archive[start : start + size])
        place = (start + size + 3) // 4 * 4
    return found


def test_an_archive_holds_what_it_is_given() -> None:
    entries = {"a/b/file": cpio.file(b"12345", 0o640), "link": cpio.link("a/b"), "dev/null": cpio.device(1, 3, 0o666)}
    archive = cpio.archive(entries)
    found = unpacked(archive)
    assert list(found) == [
        "a",
        "a/b",
        "a/b/file",
        "dev",
        "dev/null",
        "link",
        "TRAILER!!!",
    ]  # a folder before what is in it
    assert found["a/b/file"] == (stat.S_IFREG | 0o640, b"12345")
    assert found["link"] == (stat.S_IFLNK | 0o777, b"a/b")
    assert found["a"] == (stat.S_IFDIR | 0o755, b"")
    assert stat.S_ISCHR(found["dev/null"][0])
    assert archive == cpio.archive(dict(reversed(entries.items())))


@pytest.mark.parametrize("name", ["/etc/x", "", "a/../b", "a\0b"])
def test_a_name_that_would_land_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        cpio.archive({name: cpio.file(b"")})


def test_a_tree_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(mode=0o700)
    (tmp_path / "bin/tool").write_bytes(b"#!")
    (tmp_path / "bin/tool").chmod(0o711)
    (tmp_path / "dangling").symlink_to("/nowhere")
    assert cpio.tree(tmp_path, "") == {
        "bin": cpio.folder(0o700), "bin/tool": cpio.file(b"#!", 0o711), "dangling": cpio.link("/nowhere")
    }  # fmt: skip
    assert list(cpio.tree(tmp_path / "bin/tool", "usr/bin/x")) == ["usr/bin/x"]
    with pytest.raises(OSError, match="no such file"):
        cpio.tree(tmp_path / "missing", "x")


def ko(*needs: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(needs).encode() + b"\0intree=Y\0"


def test_a_module_comes_after_what_it_needs() -> None:
    found = {"k/virtio-pci.ko": ko("virtio", "virtio-ring"), "k/virtio.ko": ko("virtio_ring"), "k/virtio_ring.ko": ko(),
             "k/other.ko": ko()}  # fmt: skip
    ordered = ["k/virtio_ring.ko", "k/virtio.ko", "k/virtio-pci.ko"]
    assert modules.closure(["virtio_pci"], found) == ordered
    assert modules.closure(["virtio_pci", "virtio"], found) == ordered
    assert modules.closure(["virtio_pci"], found, builtin=["virtio", "virtio_ring"]) == ordered[2:]
    with pytest.raises(KeyError, match="vsock"):
        modules.closure(["vsock"], found)


def test_a_packed_module() -> None:
    assert modules.name_of("a/virtio-rng.ko.xz") == "virtio_rng"
    assert modules.name_of("a/modules.dep") == ""
    assert modules.unpacked("a/x.ko.xz", lzma.compress(b"code")) == ("a/x.ko", b"code")


def lz4_legacy(*blocks: bytes) -> bytes:
    packed = [lz4.block.compress(block, store_size=False) for block in blocks]
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(block)) + block for block in packed)


@pytest.mark.parametrize("packed", [lzma.compress(b"\x7fELF kernel"), lz4_legacy(b"\x7fELF", b" kernel")])
def test_a_kernel_is_unpacked_where_it_can_be(packed: bytes) -> None:
    packed += struct.pack("<I", 11)
    head = bytearray(1024)  # two sectors of set-up
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(packed))
    assert parts.uncompressed(bytes(head) + bytes(16) + packed) == b"\x7fELF kernel"
    other = bytes(head) + bytes(16) + b"\x99" + packed
    assert parts.uncompressed(other) == other
    assert parts.uncompressed(b"MZ" + bytes(2000)) == b"MZ" + bytes(2000)


def test_bytecode_runs() -> None:
    entry = parts.compiled(b"value = 6 * 7\n", "/x.py")
    space: dict[str, int] = {}
    exec(marshal.loads(entry.data[16:]), space)
    assert space["value"] == 42


def test_the_lines_of_apt_are_read() -> None:
    lines = (
        "'http://mirror.example/b_2%3a1.0-1_amd64.deb' busy-box_2%3a1.0-1_amd64.deb 928188 SHA256:" + "a" * 64 + "\n"
        "W: something else\n"
    )
    assert list(packages._downloads(lines)) == [("busy-box", "2:1.0-1", "busy-box_2%3a1.0-1_amd64.deb", "a" * 64)]


def test_bases_that_nobody_uses_are_removed(tmp_path: Path) -> None:
    """Not one that a run may have begun to boot, nor another architecture's."""
    long_ago = time.time() - 7_200
    for name, used in (("x-old", long_ago), ("x-half.new", long_ago), ("x-new", time.time()), ("y-old", long_ago)):
        folder = tmp_path / f"base-{name}"
        folder.mkdir()
        (folder / "kernel").write_bytes(b"")
        os.utime(folder, (used, used))
    image.forget(tmp_path, "base-x-*")
    assert {path.name for path in tmp_path.iterdir()} == {"base-x-new", "base-y-old"}
