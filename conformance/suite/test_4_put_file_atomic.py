"""Section 4: put_file, the target is the old file or the new one, whole, in the directory that was opened."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite.files import (
    OLD,
    Standing,
    begin_put,
    content,
    errno_error,
    expect_file,
    expect_names,
    expect_stored,
    temporary,
)

DATA = content(300_000)
HALF = 150_000


def finish_put(conversation: Conversation, rest: bytes) -> None:
    """Send what is left of an upload that has to succeed, and read the answer."""
    conversation.send_frame(protocol.FRAME_DATA, rest)
    conversation.send_frame(protocol.FRAME_EOF)
    expect_stored(conversation.answer())


# ---- PUT-ATOMIC


@case("PUT-ATOMIC/old-or-new", needs="witness")
def test_target_stands_until_the_last_byte(host: Host) -> None:
    target = Standing(host, f"{host.scratch}/target")
    info = host.witness.info(target.path)
    conversation = begin_put(host, target.path, len(DATA), DATA[:HALF])
    temporary(host, host.scratch)
    expect_equal(host.witness.read(target.path), OLD, "the target in mid-upload")
    conversation.send_frame(protocol.FRAME_DATA, DATA[HALF:-1])
    conversation.silence(0.1)
    expect_equal(host.witness.read(target.path), OLD, "the target before the last byte")
    expect_equal(host.witness.info(target.path), info, "the target before the last byte")
    finish_put(conversation, DATA[-1:])
    target.expect_replaced(DATA)


@case("PUT-ATOMIC/old-or-new", variant="no-target", needs="witness")
def test_no_target_until_the_last_byte(host: Host) -> None:
    path = f"{host.scratch}/target"
    conversation = begin_put(host, path, len(DATA), DATA[:-1])
    temporary(host, host.scratch)
    conversation.silence(0.1)
    expect(
        host.witness.info(path) is None, "nothing at the target before the last byte", host.witness.names(host.scratch)
    )
    finish_put(conversation, DATA[-1:])
    expect_file(host, path, DATA)


@contextmanager
def watched(host: Host, path: str, wholes: set[bytes], mode: int) -> Iterator[list[str]]:
    """Look at a path all the time, from a thread: what was wrong with it."""
    wrong: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set() and not wrong:
            try:
                info, found = host.witness.info(path), host.witness.read(path)
            except OSError as error:
                wrong.append(f"not there: {error}")
                return
            if info is None or info.mode != mode:
                wrong.append(f"mode: {info}")
            if found not in wholes:
                wrong.append(f"{len(found)} bytes that are neither file")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()


@case("PUT-ATOMIC/old-or-new", variant="watched", needs="witness")
def test_target_is_whole_at_every_moment(host: Host) -> None:
    """Replaced again and again under the eyes of a reader, with its mode."""
    path = f"{host.scratch}/target"
    files = [content(300_000), content(200_000)]
    host.witness.write(path, files[0], 0o644)
    with watched(host, path, set(files), 0o644) as wrong:
        for turn in range(10):
            expect_stored(host.put(path, files[1 - turn % 2], mode=0o644))
    expect(not wrong, "the old file or the new one at every moment", wrong)
    expect_file(host, path, files[0], 0o644)


@case("PUT-ATOMIC/old-or-new", variant="at-once", needs="witness")
def test_uploads_to_one_target_at_once(host: Host) -> None:
    """Eight uploads side by side, all in the middle together: one of them stands at the end, whole."""
    path = f"{host.scratch}/target"
    files = [content(HALF + index) for index in range(8)]
    uploads = [begin_put(host, path, len(data), data[:100_000]) for data in files]
    for conversation, data in zip(uploads, files, strict=True):
        finish_put(conversation, data[100_000:])
        expect_file(host, path, data)
    expect_names(host, host.scratch, "target")


@case("PUT-ATOMIC/new-file", needs="witness")
@pytest.mark.parametrize("mode", [0o640, 0o000], ids=["plain", "no-rights"])
def test_existing_file_is_replaced(host: Host, mode: int) -> None:
    """Another inode: nothing of the old file, its mode neither, is reused."""
    target = Standing(host, f"{host.scratch}/target", data=content(1_000), mode=mode)
    expect_stored(host.put(target.path, b"data"))
    target.expect_replaced(b"data")
    expect_names(host, host.scratch, "target")


@case("PUT-ATOMIC/new-file", variant="reader", needs="witness", deadline=60)
def test_reader_of_the_old_file_keeps_it(host: Host) -> None:
    """A download of the old file that has begun goes on with the old file."""
    path, old = f"{host.scratch}/target", content(8 << 20)
    host.witness.write(path, old)
    reader = host.connect()
    reader.send_json({"op": "get_file", "path": path})
    header = reader.recv_json(what="the header of the old file")
    expect_equal(header.get("size"), len(old), "size of the old file")
    expect_stored(host.put(path, b"data"))
    answer = reader.answer()
    expect(answer.data == old, "the old file, whole", f"{len(answer.data)} other bytes")
    expect_file(host, path, b"data")


@case("PUT-ATOMIC/new-file", variant="other-kinds", needs="witness root")
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_other_kinds_are_replaced(host: Host, kind: str) -> None:
    """What is no directory is renamed over; a FIFO there blocks nobody, a device is not written to."""
    path = f"{host.scratch}/target"
    {"fifo": host.witness.mkfifo, "socket": host.witness.mksocket, "device": host.witness.mknod_null}[kind](path)
    expect_stored(host.put(path, DATA))
    expect_file(host, path, DATA)


@case("PUT-ATOMIC/prefix", needs="witness")
@pytest.mark.parametrize("into", ["path", "name"])
def test_temporary_in_the_target_directory(host: Host, into: str) -> None:
    """One new file with the prefix beside the target to be; also where `path` is the directory."""
    folder = f"{host.scratch}/dir"
    host.witness.mkdir(folder)
    fields = {"name": "target"} if into == "name" else {}
    conversation = begin_put(host, folder if fields else f"{folder}/target", len(DATA), DATA[:HALF], **fields)
    found = temporary(host, host.scratch)
    expect_equal(host.witness.names(folder), [found.rpartition("/")[2]], "names in the target's directory")
    expect_equal(host.witness.names(host.scratch), ["dir"], "names beside the target's directory")
    inode = host.witness.info(found).inode
    finish_put(conversation, DATA[HALF:])
    expect_file(host, f"{folder}/target", DATA)
    expect_equal(host.witness.info(f"{folder}/target").inode, inode, "inode of the target: the temporary file, renamed")
    expect_names(host, folder, "target")


@case("PUT-ATOMIC/link", needs="witness")
@pytest.mark.parametrize("leads_to", ["file", "dangling", "loop", "fifo"])
def test_link_at_the_final_place(host: Host, leads_to: str) -> None:
    """Replaced, not followed, wherever it leads (but to a directory)."""
    path = f"{host.scratch}/target"
    other = Standing(host, f"{host.scratch}/file")
    host.witness.mkfifo(f"{host.scratch}/fifo")
    host.witness.symlink({"loop": "target"}.get(leads_to, leads_to), path)
    expect_stored(host.put(path, b"data"))
    expect_file(host, path, b"data")
    other.expect_untouched()
    expect_names(host, host.scratch, "fifo", "file", "target")


@case("PUT-ATOMIC/link", variant="in-mid-upload", needs="witness")
def test_link_put_at_the_final_place_in_mid_upload(host: Host) -> None:
    path = f"{host.scratch}/target"
    other = Standing(host, f"{host.scratch}/file")
    conversation = begin_put(host, path, len(DATA), DATA[:HALF])
    host.witness.symlink("file", path)
    finish_put(conversation, DATA[HALF:])
    expect_file(host, path, DATA)
    other.expect_untouched()


# ---- PUT-DIRFD


class Swapped:
    """An upload into `dir`, whose name leads elsewhere once the upload has begun. Elsewhere a decoy has the temporary file's
    name: what works on paths works on the decoy."""

    def __init__(self, host: Host, by: str, into: str) -> None:
        self.host = host
        self.original, self.elsewhere = f"{host.scratch}/dir", f"{host.scratch}/elsewhere"
        path, names = f"{self.original}/target", {}
        host.witness.mkdir(self.original)
        host.witness.mkdir(self.elsewhere)
        if into != "path":
            path, names = self.original, {"name": "target"}
        if into == "link":
            path = f"{host.scratch}/way"
            host.witness.symlink("dir", path)
        self.conversation = begin_put(host, path, len(DATA), DATA[:HALF], mode=0o4755, **names)
        name = temporary(host, host.scratch).rpartition("/")[2]
        if into == "link":
            host.witness.symlink("elsewhere", f"{host.scratch}/other-way")
            host.witness.exchange(path, f"{host.scratch}/other-way")
        elif by == "link":
            host.witness.rename(self.original, f"{host.scratch}/moved")
            host.witness.symlink("elsewhere", self.original)
            self.original = f"{host.scratch}/moved"
        else:
            host.witness.exchange(self.original, self.elsewhere)
            self.original, self.elsewhere = self.elsewhere, self.original
        self.decoy = Standing(host, f"{self.elsewhere}/decoy", mode=0o601)
        host.witness.rename(self.decoy.path, f"{self.elsewhere}/{name}")
        self._decoy_name = name

    def expect_decoy(self) -> None:
        """Elsewhere nothing has happened."""
        expect_equal(self.host.witness.names(self.elsewhere), [self._decoy_name], "names where the swapped path leads")
        self.host.witness.rename(f"{self.elsewhere}/{self._decoy_name}", self.decoy.path)
        self.decoy.expect_untouched()


WAYS = pytest.mark.parametrize(
    ("by", "into"),
    [("link", "path"), ("link", "name"), ("exchange", "path"), ("exchange", "name"), ("", "link")],
    ids=["link", "link-name", "exchange", "exchange-name", "link-turned"],
)


@case("PUT-DIRFD", needs="witness")
@WAYS
def test_swapped_directory(host: Host, by: str, into: str) -> None:
    """The file lands in the directory that was opened, with its mode; nothing happens where the path leads now."""
    swapped = Swapped(host, by, into)
    finish_put(swapped.conversation, DATA[HALF:])
    expect_names(host, swapped.original, "target")
    expect_file(host, f"{swapped.original}/target", DATA, 0o4755)
    swapped.expect_decoy()


@case("PUT-DIRFD", "PUT-CLEAN/short", variant="removal", needs="witness", twin="PUT-OK/content:1")
@WAYS
def test_removal_in_a_swapped_directory(host: Host, by: str, into: str) -> None:
    """The temporary file is removed from the directory that was opened, not the file of that name where the path leads now."""
    swapped = Swapped(host, by, into)
    swapped.conversation.send_frame(protocol.FRAME_EOF)
    host.error(swapped.conversation.answer(), "size_mismatch")
    expect_names(host, swapped.original)
    swapped.expect_decoy()


@case("PUT-DIRFD", variant="gone-above", needs="witness")
def test_directory_moved_away(host: Host) -> None:
    """No path leads to it by its old name any more: the file lands in it all the same."""
    host.witness.mkdir(f"{host.scratch}/dir")
    conversation = begin_put(host, f"{host.scratch}/dir/target", len(DATA), DATA[:HALF])
    temporary(host, host.scratch)
    host.witness.rename(f"{host.scratch}/dir", f"{host.scratch}/moved")
    finish_put(conversation, DATA[HALF:])
    expect_file(host, f"{host.scratch}/moved/target", DATA)


@case(
    "PUT-CLEAN/bad-target",
    "ERR-CODE/is_directory",
    "ERR-ERRNO/directory",
    variant="became-directory",
    needs="witness",
    twin="PUT-OK/content:1",
)
def test_target_becomes_a_directory_in_mid_upload(host: Host) -> None:
    path = f"{host.scratch}/target"
    conversation = begin_put(host, path, len(DATA), DATA[:HALF])
    temporary(host, host.scratch)
    host.witness.mkdir(path)
    conversation.send_frame(protocol.FRAME_DATA, DATA[HALF:])
    conversation.send_frame(protocol.FRAME_EOF)
    errno_error(host, conversation.answer(), "is_directory", "directory")
    expect_names(host, host.scratch, "target")
    expect_names(host, path)


@case(
    "PUT-CLEAN/bad-target",
    "ERR-CODE/not_found",
    "ERR-ERRNO/not-found",
    variant="temporary-gone",
    needs="witness",
    twin="PUT-OK/content:1",
)
def test_temporary_file_taken_away_in_mid_upload(host: Host) -> None:
    """What cannot be renamed any more has not been stored."""
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, len(DATA), DATA[:HALF])
    host.witness.unlink(temporary(host, host.scratch))
    conversation.send_frame(protocol.FRAME_DATA, DATA[HALF:])
    conversation.send_frame(protocol.FRAME_EOF)
    errno_error(host, conversation.answer(), "not_found", "not-found")
    target.expect_untouched()
