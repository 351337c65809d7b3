"""Section 4: get_file, the header and exactly the file's bytes."""

from __future__ import annotations

import json
import os
import re
import threading

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host, file_of
from guestwire.judge.case import case
from guestwire.judge.outcome import CouldNotRun, expect, expect_equal
from guestwire.suite.files import content, raw_request

MIB = 1 << 20


def begun(host: Host, path: str) -> tuple[Conversation, dict[str, object]]:
    """A download whose header has come and whose content the host does not read yet."""
    conversation = host.connect()
    conversation.send_json({"op": "get_file", "path": path})
    header = conversation.recv_json(what="a header")
    expect(header.get("ok") is True and "size" in header, "a header", header)
    return conversation, header


def rest(conversation: Conversation) -> bytes:
    """The DATA bytes of a download whose header has been read. EOF has to end it."""
    answer = conversation.answer()
    expect(answer.frames and answer.frames[-1][0] == protocol.FRAME_EOF, "EOF at the end", answer.frames[-1:])
    expect(
        all(kind == protocol.FRAME_DATA for kind, _ in answer.frames[:-1]), "only DATA before EOF", answer.frames[:3]
    )
    return answer.data


def expect_same(found: bytes, data: bytes) -> None:
    """Two contents are equal; large ones are not shown."""
    if found != data:
        at = next((i for i, (a, b) in enumerate(zip(found, data, strict=False)) if a != b), min(len(found), len(data)))
        expect(False, f"{len(data)} bytes of the file", f"{len(found)} bytes, the first other one is {at}")


# ---- GET-OK


@case("GET-OK/content", "GET-OK/size", "FRAME-CHUNK/size", "FRAME-CHUNK/nonempty", needs="witness")
@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537])
def test_content(host: Host, size: int) -> None:
    path, data = f"{host.scratch}/file", content(size)
    host.witness.write(path, data, 0o640)
    header, found = host.get(path)
    expect_equal(header, {"ok": True, "mode": 0o640, "size": size}, "header")
    expect_same(found, data)


@case("GET-OK/content", "GET-OK/size", "FRAME-CHUNK/size", variant="16-mib", needs="witness", transports=("unix",))
def test_large_content(host: Host) -> None:
    path, data = f"{host.scratch}/file", content(16 * MIB)
    host.witness.write(path, data)
    header, found = host.get(path)
    expect_equal(header, {"ok": True, "mode": 0o644, "size": len(data)}, "header")
    expect_same(found, data)


@case("GET-OK/content", variant="raw", needs="witness")
def test_content_however_the_request_is_cut(host: Host, chunking: str) -> None:
    path, data = f"{host.scratch}/file", content(1_000)
    host.witness.write(path, data)
    conversation = host.connect()
    conversation.send_chunked(raw_request("get_file", path=json.dumps(path)), chunking)
    header, found = file_of(conversation.answer())
    expect_equal(header, {"ok": True, "mode": 0o644, "size": 1_000}, "header")
    expect_same(found, data)


@case("GET-OK/content", "CONV-HALFCLOSE/get", variant="half-close", needs="witness half-close")
def test_content_after_half_close(host: Host) -> None:
    path, data = f"{host.scratch}/file", content(MIB)
    host.witness.write(path, data)
    conversation = host.connect()
    conversation.send_json({"op": "get_file", "path": path})
    conversation.half_close()
    expect_same(file_of(conversation.answer())[1], data)


@case("GET-OK/content", variant="at-once", needs="witness")
def test_downloads_at_once(host: Host) -> None:
    """Four side by side, read in turns: none gets another one's bytes."""
    files = [content(MIB + index) for index in range(4)]
    for index, data in enumerate(files):
        host.witness.write(f"{host.scratch}/{index}", data)
    downloads = [begun(host, f"{host.scratch}/{index}")[0] for index in range(4)]
    first = [conversation.recv_frame()[1] for conversation in downloads]
    for conversation, start, data in zip(downloads, first, files, strict=True):
        expect_same(start + rest(conversation), data)


@case("GET-OK/content", variant="name-not-ascii", needs="witness")
def test_path_beyond_ascii(host: Host) -> None:
    path = f"{host.scratch}/gr\u00f6\u00dfe \u2028 \U0001f600"
    host.witness.write(path, b"data")
    expect_equal(host.get(path)[1], b"data", "content")


@case("GET-OK/mode", needs="witness root")
@pytest.mark.parametrize("mode", [0, 0o421, 0o777, 0o1600, 0o7777], ids=oct)
def test_mode(host: Host, mode: int) -> None:
    path = f"{host.scratch}/file"
    host.witness.write(path, b"data", mode)
    header, found = host.get(path)
    expect_equal((header["mode"], found), (mode, b"data"), "mode and content")


@case("GET-OK/size", needs="witness")
@pytest.mark.parametrize("size", [0, 12_345, 3 << 20], ids=["empty", "some", "sparse"])
def test_size(host: Host, size: int) -> None:
    path = f"{host.scratch}/file"
    host.witness.truncate(path, size)
    header, found = host.get(path)
    expect_equal((header["size"], len(found)), (size, size), "size of the header, bytes of the file")


@case("GET-OK/link", "GET-OK/mode", "GET-OK/size", needs="witness")
@pytest.mark.parametrize(
    "path", ["link", "to-link", "absolute", "way/file"], ids=["link", "link-to-link", "absolute", "directory"]
)
def test_links_are_followed(host: Host, path: str) -> None:
    """Mode and size are the file's, not the link's."""
    host.witness.mkdir(f"{host.scratch}/dir")
    host.witness.write(f"{host.scratch}/dir/file", b"data", 0o640)
    for name, target in {
        "link": "dir/file", "to-link": "link", "absolute": f"{host.scratch}/dir/file", "way": "dir",
    }.items():  # fmt: skip
        host.witness.symlink(target, f"{host.scratch}/{name}")
    header, found = host.get(f"{host.scratch}/{path}")
    expect_equal((header, found), ({"ok": True, "mode": 0o640, "size": 4}, b"data"), "header and content")


@case("GET-OK/relative", needs="start witness")
@pytest.mark.parametrize("path", ["file", "./file", "../dir/file"], ids=["plain", "dot", "above"])
def test_relative_path(host: Host, path: str) -> None:
    folder = f"{host.scratch}/dir"
    host.witness.mkdir(folder)
    host.witness.write(f"{folder}/file", b"data")
    expect_equal(host.start(cwd=folder).get(path)[1], b"data", "content")


@case("GET-OK/empty", "FRAME-CHUNK/nonempty", needs="witness")
def test_empty_file(host: Host) -> None:
    """A header and EOF, no DATA frame between them."""
    path = f"{host.scratch}/file"
    host.witness.write(path, b"")
    answer = host.ask({"op": "get_file", "path": path})
    expect_equal([kind for kind, _ in answer.frames], [protocol.FRAME_JSON, protocol.FRAME_EOF], "frame types")
    expect_equal(answer.controls[0], {"ok": True, "mode": 0o644, "size": 0}, "header")


# ---- GET-EXACT


@case("GET-EXACT/proc", "GET-OK/size")
@pytest.mark.parametrize("name", ["version", "filesystems"])
def test_proc_file(host: Host, name: str) -> None:
    """Size 0, and yet there is something in it."""
    header, found = host.get(f"/proc/{name}")
    expect_equal(header["size"], 0, "size of the header")
    expect_equal(found, host.witness.read(f"/proc/{name}"), "content")


@case("GET-EXACT/proc", variant="status")
def test_proc_self_status(host: Host) -> None:
    header, found = host.get("/proc/self/status")
    expect_equal(header["size"], 0, "size of the header")
    whole = re.match(rb"Name:\t.*\nPid:\t(\d+)\n.*\nnonvoluntary_ctxt_switches:\t\d+\n\Z", found, re.DOTALL)
    expect(whole, "/proc/self/status from Name to nonvoluntary_ctxt_switches", found)


@case("GET-EXACT/proc", variant="short-reads")
def test_proc_file_of_many_short_reads(host: Host) -> None:
    """The kernel gives such a file in pieces of a page at most: a short read is not its end."""
    path = next((path for path in ("/proc/crypto", "/proc/kallsyms") if len(host.witness.read(path)) > 8_192), None)
    if path is None:
        raise CouldNotRun(
            "needs a /proc/crypto or /proc/kallsyms of over 8 KiB: a kernel with more algorithms or symbols"
        )
    header, found = host.get(path)
    expect_equal(header["size"], 0, "size of the header")
    expect_same(found, host.witness.read(path))


@case("GET-EXACT/proc", variant="large", needs="start")
def test_large_proc_file(host: Host) -> None:
    """Over several frames' worth of bytes in a file of size 0: the agent's own environment."""
    variables = {f"GUESTWIRE_{index}": str(index) * 90_000 for index in range(4)}
    header, found = host.start(env={**os.environ, **variables}).get("/proc/self/environ")
    expect_equal(header["size"], 0, "size of the header")
    entries = found.split(b"\0")
    missing = [name for name, value in variables.items() if f"{name}={value}".encode() not in entries]
    expect(not missing and found.endswith(b"\0"), "/proc/self/environ, whole", f"{len(found)} bytes without {missing}")


@case("GET-EXACT/shrinking", variant="sys-file")
def test_sys_file_shorter_than_it_says(host: Host) -> None:
    """A file of /sys says one page and has a few bytes."""
    path = "/sys/devices/system/cpu/online"
    header, found = host.get(path)
    expect(header["size"] > len(found), "a size that is larger than the content", header)
    expect_equal(found, host.witness.read(path), "content")


@case("GET-EXACT/growing", needs="witness")
def test_file_that_grows(host: Host) -> None:
    """Appended to while the download stands still far from its end: what was appended comes too."""
    path, data, more = f"{host.scratch}/file", content(8 * MIB), content(100_000)
    host.witness.write(path, data)
    conversation, header = begun(host, path)
    host.witness.append(path, more)
    expect_equal(header["size"], len(data), "the size when it was opened")
    expect_same(rest(conversation), data + more)


@case("GET-EXACT/shrinking", needs="witness")
@pytest.mark.parametrize("size", [0, 70_001, MIB, 8 * MIB - 4_096], ids=["nothing", "on-its-way", "1-mib", "last-page"])
def test_file_that_shrinks(host: Host, size: int) -> None:
    """Cut while the download stands still, also within what is on its way already: no frame is left half, EOF comes, and all
    bytes are the file's."""
    path, data = f"{host.scratch}/file", content(8 * MIB)
    host.witness.write(path, data)
    conversation, header = begun(host, path)
    host.witness.truncate(path, size)
    expect_equal(header["size"], len(data), "the size when it was opened")
    found = rest(conversation)
    expect(
        size <= len(found) < len(data),
        f"at least the {size} bytes that stayed, and no more than there were",
        len(found),
    )
    expect_same(found, data[: len(found)])


@case("GET-EXACT/shrinking", variant="again-and-again", needs="witness")
def test_file_that_shrinks_and_grows(host: Host) -> None:
    """The file's length changes all the time: whatever a download gets, it is whole frames and EOF."""
    path = f"{host.scratch}/file"
    host.witness.write(path, b"")
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            host.witness.truncate(path, 300_000)
            host.witness.truncate(path, 100)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(8):
            _, found = host.get(path)
            expect(
                len(found) <= 300_000 and not found.strip(b"\0"),
                "at most 300,000 bytes, all zero",
                f"{len(found)} bytes",
            )
    finally:
        stop.set()
        thread.join()


@case("GET-EXACT/growing", "GET-OK/size", variant="unlinked", needs="witness")
def test_file_that_is_removed(host: Host) -> None:
    """Removed in mid-download: it was opened once, and stays whole."""
    path, data = f"{host.scratch}/file", content(8 * MIB)
    host.witness.write(path, data)
    conversation, _ = begun(host, path)
    host.witness.unlink(path)
    expect_same(rest(conversation), data)


# ---- GET-LARGE


@case("GET-LARGE/over-4g", needs="witness root", transports=("unix",), deadline=180)
def test_file_over_4_gib(host: Host) -> None:
    """Sparse, on a tmpfs that could not hold it; its last bytes have to come last."""
    folder, size, marker = f"{host.scratch}/large", 2**32 + 100_000, b"the last bytes"
    path = f"{folder}/file"
    host.witness.mkdir(folder)
    host.witness.mount_tmpfs(folder, MIB)
    host.witness.truncate(path, size)
    host.witness.append(path, marker)
    conversation, header = begun(host, path)
    expect_equal(header["size"], size + len(marker), "size of the header")
    got, tail, kind, payload = 0, b"", protocol.FRAME_DATA, b""
    while kind == protocol.FRAME_DATA:
        got += len(payload)
        tail = (tail + payload[-20:])[-20:]
        kind, payload = conversation.recv_frame()
    conversation.closed_silently()
    expect_equal(kind, protocol.FRAME_EOF, "the frame after the last DATA frame")
    expect_equal((got, tail), (size + len(marker), bytes(6) + marker), "bytes, and the last 20 of them")


@case("GET-LARGE/memory", needs="start witness", transports=("unix", "unix-ns"), deadline=30)
def test_memory_does_not_grow_with_the_file(host: Host) -> None:
    agent, path = host.start(), f"{host.scratch}/file"
    peaks = []
    for size in (MIB, 256 * MIB):
        host.witness.truncate(path, size)
        conversation = agent.connect()
        conversation.send_json({"op": "get_file", "path": path})
        answer = conversation.answer(keep=False)
        expect_equal(answer.received.get(protocol.FRAME_DATA), size, "bytes of the file")
        peaks.append(host.witness.stats(agent.pid).peak_rss)
    expect(
        peaks[1] - peaks[0] < 2 * MIB, "the same peak of memory for 1 MiB and 256 MiB, within 2 MiB", f"{peaks} bytes"
    )
