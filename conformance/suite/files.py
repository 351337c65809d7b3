"""What the cases of put_file and get_file share: content, uploads in parts, and what must stand in the agent's world after."""

from __future__ import annotations

import json
import random
from functools import lru_cache
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import Answer, Conversation, frame
from guestwire.drive.host import Host, wait_for
from guestwire.judge.outcome import expect, expect_equal, short

NOBODY = 65534  # the unprivileged user's uid and gid
AT_ONCE = 1.5  # seconds: what the contract answers without waiting, on a loaded machine
PAUSE = 0.15  # seconds without a byte that prove that the agent still waits
OLD = b"the old content\n"


@lru_cache(maxsize=16)
def content(size: int) -> bytes:
    """Bytes of all values without a period; the same for the same size."""
    return random.Random(size).randbytes(size)


# ---- requests


def put_request(path: str, size: int, **fields: Any) -> dict[str, Any]:
    """A put_file request."""
    return {"op": "put_file", "path": path, "size": size, **fields}


def raw_request(op: str, **fields: str) -> bytes:
    """A request's frame from members in JSON spelling, for values that json.dumps would spell another way."""
    members = [f"{json.dumps(name)}:{spelling}" for name, spelling in {"op": json.dumps(op), **fields}.items()]
    return frame(protocol.FRAME_JSON, f"{{{','.join(members)}}}".encode())


def upload_frames(data: bytes, chunk: int = protocol.CHUNK_SIZE) -> bytes:
    """The DATA frames of an upload and its EOF frame."""
    parts = [frame(protocol.FRAME_DATA, data[start : start + chunk]) for start in range(0, len(data), chunk)]
    return b"".join(parts) + frame(protocol.FRAME_EOF, b"")


def begin_put(host: Host, path: str, size: int, data: bytes = b"", **fields: Any) -> Conversation:
    """A put_file request and the first bytes of its upload, in one DATA frame."""
    conversation = host.connect()
    conversation.send_json(put_request(path, size, **fields))
    if data:
        conversation.send_frame(protocol.FRAME_DATA, data)
    return conversation


def temporary(host: Host, folder: str) -> str:
    """The path of the one temporary file below a directory, once it is there."""
    found: list[str] = wait_for(lambda: host.witness.temporaries(folder), 3, "a temporary file in mid-upload")
    expect_equal(len(found), 1, "temporary files of one upload")
    return found[0]


def answered_when_whole(conversation: Conversation, last: bytes) -> Answer:
    """Send a frame but for its last byte: no answer may come. Then the last byte: the answer comes at once."""
    conversation.send_raw(last[:-1])
    conversation.silence(PAUSE)
    conversation.send_raw(last[-1:])
    return conversation.answer(within=AT_ONCE)


def let_go(host: Host) -> None:
    """The shared agent has noticed that the hosts before have left, as its answer to a ping tells, and holds nothing of them."""
    if host.transport != "fd-conn":
        host.ping()
    host.settle()


# ---- verdicts


def expect_stored(answer: Answer) -> None:
    """The answer of a put_file that succeeded (PUT-OK), whole."""
    expect_equal(answer.terminal, {"ok": True}, "the answer of put_file")
    expect_equal(len(answer.frames), 1, "frames in the answer of put_file")
    expect_equal(answer.ended, "eof", "the end of the conversation")


def expect_file(host: Host, path: str, data: bytes, mode: int = 0o600) -> None:
    """A regular file with this content and mode stands at the path; no link is followed."""
    info = host.witness.info(path)
    expect(info is not None, f"a file at {path}", "nothing there")
    expect_equal(info.kind, "file", f"what stands at {path}")
    expect_equal(oct(info.mode), oct(mode), "mode of the file")
    expect_equal(info.size, len(data), "size of the file")
    found = host.witness.read(path)
    if found != data:
        at = next(i for i, (a, b) in enumerate(zip(found, data, strict=True)) if a != b)
        expect(False, f"at byte {at}: {short(data[at : at + 20])}", found[at : at + 20])


def expect_names(host: Host, folder: str, *names: str) -> None:
    """The directory holds these names and no other."""
    expect_equal(host.witness.names(folder), sorted(names), f"names in {folder}")


class Standing:
    """A file that stands before the upload, and has to stand unchanged after one that fails (PUT-CLEAN)."""

    def __init__(self, host: Host, path: str, data: bytes = OLD, mode: int = 0o640) -> None:
        self._host, self.path, self._data = host, path, data
        host.witness.write(path, data, mode)
        self._info = host.witness.info(path)

    def expect_untouched(self) -> None:
        """The same file with the same content, and no temporary file beside it."""
        folder = self.path.rpartition("/")[0]
        expect_equal(self._host.witness.temporaries(folder), [], "temporary files left")
        expect_equal(self._host.witness.info(self.path), self._info, "the target as it was")
        expect_equal(self._host.witness.read(self.path), self._data, "content of the target as it was")

    def expect_replaced(self, data: bytes, mode: int = 0o600) -> None:
        """Another file stands in its place."""
        expect_file(self._host, self.path, data, mode)
        info = self._host.witness.info(self.path)
        expect(info.inode != self._info.inode, "a new file at the target's place", "the old file was rewritten")


def errno_error(host: Host, answer: Answer, code: str, check: str, contains: str = "") -> None:
    """An error that a failed call gave: its code is also ERR-ERRNO's matter."""
    terminal = host.error(answer, code, contains)
    host.should(f"ERR-ERRNO/{check}", terminal.get("code") == code, f"code {code}", terminal)
