"""Section 1: frames."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Answer, frame
from guestwire.drive.host import Host, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.suite.files import let_go

CAP = 16_777_216
PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')


def header(kind: int, length: int) -> bytes:
    """The 5 bytes that announce a frame."""
    return struct.pack(">BI", kind, length)


def request(**members: Any) -> bytes:
    """The frame of a request."""
    return frame(protocol.FRAME_JSON, json.dumps(members).encode())


def send(host: Host, raw: bytes, chunking: str = "whole") -> Answer:
    """One conversation of raw bytes."""
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    return conversation.answer()


# ---- FRAME-TYPES


@case("FRAME-TYPES/data", "FRAME-TYPES/eof", "FRAME-EOF-EMPTY/sent", needs="witness")
def test_types_of_a_download(host: Host) -> None:
    path = f"{host.scratch}/file"
    host.witness.write(path, b"content")
    answer = host.ask({"op": "get_file", "path": path})
    expect_equal([kind for kind, _ in answer.frames], [1, 4, 5], "frame types of a download")
    expect_equal([payload for _, payload in answer.frames[1:]], [b"content", b""], "payloads of DATA and EOF")


# ---- FRAME-SEGMENT


@case("FRAME-SEGMENT/bytewise", "FRAME-SEGMENT/boundaries", "FRAME-SEGMENT/joined", needs="witness")
@pytest.mark.parametrize("segments", ["whole", "bytewise", "boundaries"])
def test_upload_in_segments(host: Host, segments: str) -> None:
    """A request, three DATA frames (one of them empty) and an EOF frame: the same file, however the stream is cut."""
    path = f"{host.scratch}/file"
    raw = request(op="put_file", path=path, size=300, mode=0o640)
    for part in (b"a" * 100, b"", b"b" * 200):
        raw += frame(protocol.FRAME_DATA, part)
    answer = send(host, raw + frame(protocol.FRAME_EOF, b""), segments)
    expect_equal(answer.terminal.get("ok"), True, "ok of the answer")
    expect_equal(host.witness.read(path), b"a" * 100 + b"b" * 200, "the file")


@case("FRAME-SEGMENT/boundaries", variant="everywhere", transports=("unix", "fd-listen"))
def test_every_cut(host: Host) -> None:
    """Two writes, cut at every place of the frame, the second a moment later."""
    for cut in range(1, len(PING)):
        conversation = host.connect()
        conversation.send_raw(PING[:cut])
        time.sleep(0.002)
        conversation.send_raw(PING[cut:])
        expect_equal(conversation.answer().terminal.get("op"), "pong", f"op of the answer to a ping cut at {cut}")


@case("FRAME-SEGMENT/joined", variant="cut-in-data", needs="witness", transports=("unix", "fd-listen"))
def test_request_joined_with_part_of_the_data(host: Host) -> None:
    """The first write ends at every place around the border of request and data: no byte is lost with the request."""
    path = f"{host.scratch}/file"
    start = request(op="put_file", path=path, size=6)
    raw = start + frame(protocol.FRAME_DATA, b"abc") + frame(protocol.FRAME_DATA, b"def")
    for cut in range(len(start) - 1, len(raw)):
        conversation = host.connect()
        conversation.send_raw(raw[:cut])
        time.sleep(0.002)
        conversation.send_raw(raw[cut:])
        expect_equal(conversation.answer().terminal.get("ok"), True, f"ok of an upload cut at {cut}")
        expect_equal(host.witness.read(path), b"abcdef", f"the file of an upload cut at {cut}")
        host.witness.unlink(path)


# ---- FRAME-CAP


@case("FRAME-CAP/closed", variant="unread")
def test_over_the_cap_is_not_read(host: Host) -> None:
    """A host that goes on sending meets the closed connection: its payload is not read, not even to be dropped."""
    conversation = host.connect()
    conversation.send_raw(header(protocol.FRAME_JSON, CAP + 1))
    conversation.wait_gone(within=4)


@case("FRAME-CAP/unallocated", needs="server start witness", twin="FRAME-TYPES/json:ping")
def test_over_the_cap_is_not_allocated(host: Host) -> None:
    """Address space counts as well: memory that is only reserved does not show in the resident set."""
    agent = host.start()
    agent.ping()
    before = memory(agent)
    for length in (CAP + 1, 0x7FFFFFFF, 0xFFFFFFFF) * 4:
        conversation = agent.connect()
        conversation.send_raw(header(protocol.FRAME_JSON, length))
        conversation.closed_silently(within=4)
    agent.ping()
    grown = {name: after - before[name] for name, after in memory(agent).items()}
    expect(grown["VmHWM"] < 1 << 20, "resident memory that grows by less than 1 MiB", f"{grown['VmHWM']} bytes more")
    expect(grown["VmPeak"] < CAP, "address space that grows by less than the cap", f"{grown['VmPeak']} bytes more")


def memory(host: Host) -> dict[str, int]:
    """Peaks so far, in bytes: VmHWM (resident) and VmPeak (address space)."""
    lines = host.witness.proc(host.pid, "status").decode().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return {name: int(values[name].split()[0]) * 1024 for name in ("VmHWM", "VmPeak")}


@case("FRAME-CAP/at-cap", needs="witness")
def test_data_frame_at_the_cap(host: Host) -> None:
    path = f"{host.scratch}/file"
    block = bytes(range(256)) * 256
    raw = request(op="put_file", path=path, size=CAP) + header(protocol.FRAME_DATA, CAP) + block * (CAP // len(block))
    expect_equal(send(host, raw).terminal.get("ok"), True, "ok of an upload in one frame of 16,777,216 bytes")
    content = host.witness.read(path)
    expect(content == block * (CAP // len(block)), "the file as it was sent", f"another one, of {len(content)} bytes")


@case("FRAME-CAP/upload", needs="witness", twin="PUT-OK/content:1")
def test_over_the_cap_in_an_upload(host: Host) -> None:
    for kind in (1, 4, 5, 9):
        with about(f"a frame of type {kind}"):
            conversation = host.connect()
            start = request(op="put_file", path=f"{host.scratch}/file", size=CAP * 2)
            conversation.send_raw(start + frame(protocol.FRAME_DATA, b"begun") + header(kind, CAP + 1))
            conversation.closed_silently(within=4)
            nothing_left(host)


def nothing_left(host: Host) -> None:
    """The scratch directory is empty, at the latest a moment after the connection's end."""
    wait_for(lambda: not host.witness.names(host.scratch), 2, "neither target nor temporary file")


# ---- FRAME-CHUNK, FRAME-EOF-EMPTY


@case("FRAME-CHUNK/size", needs="witness")
def test_chunks(host: Host) -> None:
    """Conversation.answer() looks at the size of every frame; here they are many, and they add up."""
    content = bytes(range(256)) * 1_200 + b"!"
    path = f"{host.scratch}/file"
    host.witness.write(path, content)
    header_, data = host.get(path)
    expect(data == content, f"{len(content)} bytes as they are in the file", f"{len(data)} bytes, or others")
    expect_equal(header_["size"], len(content), "size")
    answer = host.run(f"cat {path}; cat {path} >&2")
    expect(answer.stdout == content, "the file on stdout", f"{len(answer.stdout)} bytes, or others")
    expect(answer.stderr == content, "the file on stderr", f"{len(answer.stderr)} bytes, or others")


@case("FRAME-CHUNK/nonempty", needs="witness")
def test_no_empty_frame(host: Host) -> None:
    """A file without content, commands without output, streams closed early, and writes of nothing."""
    path = f"{host.scratch}/file"
    host.witness.write(path, b"")
    answer = host.ask({"op": "get_file", "path": path})
    expect_equal([kind for kind, _ in answer.frames], [1, 5], "frame types of an empty file's download")
    for command in ("true", "exec >&-", "exec >&- 2>&-", "printf ''", "exec 2>&-; sleep 0.05"):
        expect_equal([kind for kind, _ in host.run(command).frames], [1], f"frame types of {command!r}")
    expect_equal(host.output("printf a; exec >&-; sleep 0.05"), b"a", "output")


@case("FRAME-EOF-EMPTY/received", needs="witness", twin="PUT-OK/content:1")
def test_payload_of_eof_is_ignored(host: Host, chunking: str) -> None:
    """It is no data: an upload of 10 bytes that ends in an EOF frame with the second 5 as payload is short."""
    path = f"{host.scratch}/file"
    raw = request(op="put_file", path=path, size=10) + frame(protocol.FRAME_DATA, b"first")
    host.error(send(host, raw + frame(protocol.FRAME_EOF, b"other"), chunking), "size_mismatch")
    nothing_left(host)


@case("FRAME-EOF-EMPTY/received", variant="read-whole", twin="PUT-OK/content:1")
def test_eof_is_read_whole(host: Host) -> None:
    """An EOF frame with a payload is answered when that is there too, one of 0 bytes at once."""
    conversation = host.connect()
    conversation.send_raw(request(op="put_file", path=f"{host.scratch}/file", size=10) + header(protocol.FRAME_EOF, 5))
    conversation.silence(0.2)
    conversation.send_raw(b"other")
    host.error(conversation.answer(), "size_mismatch")


@case("FRAME-EOF-EMPTY/received", variant="after-the-upload", needs="witness")
def test_payload_of_eof_after_the_upload(host: Host, chunking: str) -> None:
    path = f"{host.scratch}/file"
    raw = request(op="put_file", path=path, size=5) + frame(protocol.FRAME_DATA, b"first")
    answer = send(host, raw + frame(protocol.FRAME_EOF, b"other"), chunking)
    expect_equal(answer.terminal.get("ok"), True, "ok of the answer")
    expect_equal(host.witness.read(path), b"first", "the file")


# ---- FRAME-TRUNC


@case("FRAME-TRUNC/request", needs="witness half-close", twin="CONV-HALFCLOSE/run")
@pytest.mark.parametrize("end", ["half-close", "close"])
def test_request_cut_short(host: Host, end: str) -> None:
    """Nothing of it is done, at whatever byte it ends."""
    mark = f"{host.scratch}/started"
    whole = request(op="run", shell="raw", cmd=f"touch {mark}")
    for length in (1, 4, 5, 6, len(whole) - 10, len(whole) - 1):
        with about(f"{length} of {len(whole)} bytes"):
            conversation = host.connect()
            conversation.send_raw(whole[:length])
            if end == "close":
                conversation.close()
            else:
                conversation.half_close()
                conversation.closed_silently(within=4)
    host.output("true")  # by then the last one is judged as well
    expect(host.witness.info(mark) is None, "nothing done for a request that was cut short", "the command ran")


@case("FRAME-TRUNC/request", variant="object-is-whole", needs="witness half-close", twin="CONV-HALFCLOSE/run")
def test_object_whole_but_frame_not(host: Host) -> None:
    mark = f"{host.scratch}/started"
    payload = request(op="run", shell="raw", cmd=f"touch {mark}")[5:]
    conversation = host.connect()
    conversation.send_raw(header(protocol.FRAME_JSON, len(payload) + 1) + payload)
    conversation.silence(0.1)
    conversation.half_close()
    conversation.closed_silently(within=4)
    expect(host.witness.info(mark) is None, "nothing done for a request that was cut short", "the command ran")


@case("FRAME-TRUNC/upload", needs="witness half-close")
@pytest.mark.parametrize("end", ["half-close", "close"])
def test_upload_cut_short(host: Host, end: str) -> None:
    """A DATA frame of ten bytes for an upload of ten, cut; and one of eleven, of which the ten that are wanted come."""
    for announced, sent in ((10, 3), (10, 5), (10, 10), (10, 14), (11, 15)):
        with about(f"{sent} bytes of a frame that announces {announced}"):
            whole = header(protocol.FRAME_DATA, announced) + b"0123456789"
            conversation = host.connect()
            conversation.send_raw(request(op="put_file", path=f"{host.scratch}/file", size=announced) + whole[:sent])
            if end == "close":
                conversation.let_read()  # so that the upload has begun
                conversation.close()
                let_go(host)
            else:
                conversation.half_close()
                told = [control.get("ok") for control in conversation.answer().controls]
                expect(told in ([], [False]), "no success for a broken connection", told)
            nothing_left(host)


@case("FRAME-TRUNC/upload", variant="complete", needs="witness half-close")
def test_upload_whole(host: Host) -> None:
    """The positive twin."""
    path = f"{host.scratch}/file"
    conversation = host.connect()
    conversation.send_raw(request(op="put_file", path=path, size=10) + frame(protocol.FRAME_DATA, b"0123456789"))
    conversation.half_close()
    expect_equal(conversation.answer().terminal.get("ok"), True, "ok of the answer")
    expect_equal(host.witness.read(path), b"0123456789", "the file")
