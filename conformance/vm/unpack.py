"""What an initramfs holds, read as the kernel does: cpio archives one after the other, each plain or compressed as a whole."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator

import lz4.block
import lz4.frame
import zstandard

from guestwire.vm.cpio import Entry

_HEAD = 110  # bytes of an entry's head
_TRAILER = b"TRAILER!!!"
_MAGICS = (b"070701", b"070702")
_LEGACY_LZ4 = b"\x02\x21\x4c\x18"
_ZSTD = b"\x28\xb5\x2f\xfd"


class UnpackError(Exception):
    """It is none: one line."""


def entries(data: bytes) -> dict[str, Entry]:
    """By name, the last of each. Raises UnpackError."""
    found: dict[str, Entry] = {}
    for _, archive in archives(data):
        found |= archive
    if not found:
        raise UnpackError("it holds no archive")
    return found


def last_archive(data: bytes, first_name: str) -> int | None:
    """Where the last archive starts, if its first name is this one."""
    start, archive = list(archives(data))[-1]
    return start if next(iter(archive), None) == first_name else None


def archives(data: bytes) -> Iterator[tuple[int, dict[str, Entry]]]:
    """Each archive and where it starts in `data`; those of a compressed piece all start where that does."""
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
        elif data[at : at + 6] in _MAGICS:
            archive, end = _archive(data, at)
            yield at, archive
            at = end
        else:
            plain, rest = _decompressed(data[at:])
            for _, archive in archives(plain):
                yield at, archive
            at = len(data) - len(rest)


def _archive(data: bytes, at: int) -> tuple[dict[str, Entry], int]:
    found: dict[str, Entry] = {}
    shared: dict[tuple[int, int, int], list[str]] = {}  # hard links: only one of them has the bytes
    while True:
        head = data[at : at + _HEAD]
        if head[:6] not in _MAGICS or len(head) < _HEAD:
            raise UnpackError(f"no archive's entry at byte {at}")
        try:
            fields = [int(head[start : start + 8], 16) for start in range(6, _HEAD, 8)]
        except ValueError:
            raise UnpackError(f"no archive's entry at byte {at}") from None
        inode, mode, links, size, major, minor, device, name_size = (fields[i] for i in (0, 1, 4, 6, 7, 8, 9, 11))
        name = data[at + _HEAD : at + _HEAD + name_size - 1]
        start = at + _aligned(_HEAD + name_size)
        content = data[start : start + size]
        if len(content) < size:
            raise UnpackError(f"cut off in {name!r}")
        at = start + _aligned(size)
        if name == _TRAILER:
            return found, at
        text = name.decode("utf-8", "surrogateescape").removeprefix("./").strip("/")
        if text in ("", "."):
            continue
        found[text] = Entry(mode, content, (device, fields[10]))
        if links > 1 and mode & 0o170000 == 0o100000:
            names = shared.setdefault((inode, major, minor), [])
            names.append(text)
            if content:
                found |= {other: Entry(mode, content) for other in names}
            else:
                found[text] = next((found[other] for other in names if found[other].data), found[text])


def _aligned(size: int) -> int:
    return size + -size % 4


def _decompressed(data: bytes) -> tuple[bytes, bytes]:
    """The plain bytes of the compressed piece at the start, and what follows it. Raises UnpackError."""
    try:
        if data[:2] == b"\x1f\x8b":
            gzip = zlib.decompressobj(wbits=31)
            return gzip.decompress(data), gzip.unused_data
        if data[:6] == b"\xfd7zXZ\0":
            xz = lzma.LZMADecompressor(lzma.FORMAT_XZ)
            return xz.decompress(data), xz.unused_data
        if data[:4] == _ZSTD:
            frame = zstandard.ZstdDecompressor().decompressobj()
            return frame.decompress(data), frame.unused_data
        if data[:4] == b"\x04\x22\x4d\x18":
            plain, used = lz4.frame.decompress(data, return_bytes_read=True)
            return bytes(plain), data[used:]
    except (zlib.error, lzma.LZMAError, EOFError, RuntimeError, zstandard.ZstdError) as error:
        raise UnpackError(str(error)) from None
    if data[:4] == _LEGACY_LZ4:
        return _legacy_lz4(data)
    raise UnpackError(f"starts with {data[:4].hex()}, neither an archive nor compressed by gzip, xz, zstd or lz4")


def _legacy_lz4(data: bytes) -> tuple[bytes, bytes]:
    """As the kernel's own tools write it: blocks of at most 8 MiB, each with its size before it."""
    plain, at = [], 4
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if size == 0 or size > len(data) - at - 4:
            break
        try:
            plain.append(lz4.block.decompress(data[at + 4 : at + 4 + size], uncompressed_size=8 << 20))
        except lz4.block.LZ4BlockError as error:
            raise UnpackError(f"lz4: {error}") from None
        at += 4 + size
    return b"".join(plain), data[at:]
