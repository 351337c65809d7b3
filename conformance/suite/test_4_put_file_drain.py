"""Section 4: put_file, uploads that end wrongly or cannot succeed: what is read, and when the answer comes."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect
from guestwire.suite.files import (
    AT_ONCE,
    OLD,
    PAUSE,
    Standing,
    answered_when_whole,
    begin_put,
    content,
    errno_error,
    expect_file,
    expect_names,
    expect_stored,
    put_request,
    raw_request,
    upload_frames,
)

MIB = 1 << 20
DATA = content(MIB)

# A request that cannot succeed, however its upload goes on: fields (with a path below the scratch directory), code, substring.
HOPELESS: dict[str, tuple[dict[str, Any], str, str]] = {
    "missing-directory": ({"path": "missing/file"}, "not_found", ""),
    "too-long": ({"path": "n" * 300}, "invalid_argument", ""),
    "directory": ({"path": "."}, "is_directory", "directory"),
    "path": ({"path": 1}, "invalid_argument", "path"),
    "name": ({"path": "file", "name": 1}, "invalid_argument", "name"),
    "mode": ({"path": "file", "mode": 4096}, "invalid_argument", "mode"),
}
BAD_PATHS = ["missing-directory", "directory"]
BAD_FIELDS = ["path", "name", "mode"]


def hopeless(host: Host, name: str, size: int) -> tuple[dict[str, Any], str, str]:
    """The request, and the code and substring of its error."""
    fields, code, contains = HOPELESS[name]
    path = fields["path"]
    return (
        {"op": "put_file", "size": size, **fields, "path": f"{host.scratch}/{path}" if isinstance(path, str) else path},
        code,
        contains,
    )


def drained(host: Host, name: str) -> None:
    """1 MiB is taken; nothing is said before its last byte, the reason right after it."""
    request, code, contains = hopeless(host, name, MIB)
    conversation = host.connect()
    conversation.send_json(request)
    for start in range(0, MIB - protocol.CHUNK_SIZE, protocol.CHUNK_SIZE):
        conversation.send_frame(protocol.FRAME_DATA, DATA[start : start + protocol.CHUNK_SIZE])
    answer = answered_when_whole(conversation, frame(protocol.FRAME_DATA, DATA[-protocol.CHUNK_SIZE :]))
    host.error(answer, code, contains)
    expect_names(host, host.scratch)


# ---- PUT-DRAIN


@case("PUT-DRAIN/bad-path", "CONV-LINGER/late-eof")
@pytest.mark.parametrize("name", BAD_PATHS)
def test_bad_path_is_drained(host: Host, name: str) -> None:
    drained(host, name)


@case("PUT-DRAIN/bad-field", "CONV-LINGER/late-eof")
@pytest.mark.parametrize("name", BAD_FIELDS)
def test_bad_field_is_drained(host: Host, name: str) -> None:
    drained(host, name)


@case("PUT-DRAIN/eof", twin="PUT-OK/content:1")
@pytest.mark.parametrize(
    ("name", "sent"),
    [("missing-directory", 0), ("missing-directory", 300_000), ("mode", 300_000)],
    ids=["none", "some", "field"],
)
def test_eof_ends_the_drain(host: Host, name: str, sent: int) -> None:
    """EOF ends it as well, and the answer is the first error found, not that EOF came too soon."""
    request, code, contains = hopeless(host, name, MIB)
    conversation = host.connect()
    conversation.send_json(request)
    if sent:
        conversation.send_raw(upload_frames(DATA[:sent])[:-5])
    answer = answered_when_whole(conversation, frame(protocol.FRAME_EOF, b"x"))
    host.error(answer, code, contains)


@case("PUT-DRAIN/eof", variant="nothing-to-drain", twin="PUT-OK/content:1")
@pytest.mark.parametrize("name", ["missing-directory", "mode"])
def test_nothing_to_drain(host: Host, name: str) -> None:
    """Size 0 is an upload at its end."""
    request, code, contains = hopeless(host, name, 0)
    host.error(host.ask(request, within=AT_ONCE), code, contains)


@case("PUT-DRAIN/first-error", wide=True, twin="PUT-OK/content:1")
@pytest.mark.parametrize("name", ["missing-directory", "too-long", "mode"])
@pytest.mark.parametrize("wrong", ["crossing", "type-1", "type-9"])
def test_first_error_found(host: Host, chunking: str, name: str, wrong: str) -> None:
    """What goes wrong with the upload later does not hide why it could not succeed."""
    request, code, contains = hopeless(host, name, 100)
    kind, length = (protocol.FRAME_DATA, 91) if wrong == "crossing" else (int(wrong[-1]), 5)
    raw = raw_request(**{member: json.dumps(value) for member, value in request.items()} | {"op": "put_file"})
    raw += frame(protocol.FRAME_DATA, DATA[:10]) + frame(kind, DATA[:length]) + frame(protocol.FRAME_EOF, b"")
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    host.error(conversation.answer(), code, contains)


@case("PUT-DRAIN/first-error", variant="fields", twin="PUT-OK/content:1")
def test_first_bad_field(host: Host) -> None:
    """Fields are judged in the order of section 4: path, name, mode, size."""
    conversation = host.connect()
    conversation.send_json({"op": "put_file", "size": 3, "mode": -1, "name": 1, "path": f"{host.scratch}/missing/file"})
    conversation.send_raw(upload_frames(b"abc"))
    host.error(conversation.answer(), "invalid_argument", contains="name")


@case("PUT-DRAIN/bad-size", "PUT-DRAIN/first-error", variant="with-bad-path", twin="PUT-OK/content:1")
def test_bad_size_beside_a_bad_path(host: Host) -> None:
    """Nobody can tell what to drain: answered at once, and with the first bad field."""
    host.error(
        host.ask({"op": "put_file", "path": "", "size": -1}, within=AT_ONCE), "invalid_argument", contains="path"
    )


@case("PUT-DRAIN/bad-size", "CONV-LINGER/late-eof", variant="upload", twin="PUT-OK/content:1")
def test_upload_after_a_bad_size(host: Host) -> None:
    """The answer is there before the upload; the host that sends it all the same gets no reset and loses nothing."""
    conversation = host.connect()
    conversation.send_json(put_request(f"{host.scratch}/file", -1))
    error = conversation.recv_frame(within=AT_ONCE)
    expect(error[0] == protocol.FRAME_JSON and b"size" in error[1], "an error about size at once", error)
    conversation.send_raw(upload_frames(DATA))
    conversation.closed_silently()
    expect_names(host, host.scratch)


@case("PUT-DRAIN/bad-path", variant="huge-frame", transports=("unix",), twin="PUT-OK/content:1")
def test_frame_at_the_cap_is_drained(host: Host) -> None:
    data = content(16 << 20)
    conversation = begin_put(host, f"{host.scratch}/missing/file", len(data), data)
    errno_error(host, conversation.answer(), "not_found", "not-found")


@case("PUT-DRAIN/bad-path", "PUT-DRAIN/eof", variant="32-bits-and-5", twin="PUT-OK/content:1")
def test_large_size_is_drained(host: Host) -> None:
    """A size cut to 32 bits would end the drain with the first 5 bytes."""
    conversation = begin_put(host, f"{host.scratch}/missing/file", 2**32 + 5, DATA[:5])
    conversation.silence(PAUSE)
    conversation.send_frame(protocol.FRAME_EOF)
    errno_error(host, conversation.answer(), "not_found", "not-found")


# ---- PUT-SHORT


@case("PUT-SHORT/eof", "PUT-CLEAN/short", "ERR-CODE/size_mismatch", wide=True, needs="witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize("sent", [0, 1, 99], ids=["none", "one", "all-but-one"])
def test_eof_too_soon(host: Host, chunking: str, sent: int) -> None:
    target = Standing(host, f"{host.scratch}/target")
    raw = raw_request("put_file", path=json.dumps(target.path), size="100") + upload_frames(DATA[:sent])
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    host.error(conversation.answer(), "size_mismatch")
    target.expect_untouched()


@case(
    "PUT-SHORT/eof",
    "FRAME-EOF-EMPTY/received",
    "ERR-CODE/size_mismatch",
    variant="when-whole",
    needs="witness",
    twin="PUT-OK/content:1",
)
def test_eof_too_soon_is_answered_when_whole(host: Host) -> None:
    """The payload of the EOF frame, 1 MiB here, is read and ignored before the answer."""
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, 2 * MIB, DATA)
    host.error(answered_when_whole(conversation, frame(protocol.FRAME_EOF, DATA)), "size_mismatch")
    target.expect_untouched()


@case(
    "PUT-SHORT/crossing",
    "PUT-CLEAN/short",
    "ERR-CODE/size_mismatch",
    wide=True,
    needs="witness",
    twin="PUT-OK/content:1",
)
@pytest.mark.parametrize(("before", "last"), [(0, 101), (99, 2), (1, 100)], ids=["first", "by-one", "second"])
def test_frame_that_crosses_size(host: Host, chunking: str, before: int, last: int) -> None:
    target = Standing(host, f"{host.scratch}/target")
    raw = raw_request("put_file", path=json.dumps(target.path), size="100")
    raw += frame(protocol.FRAME_DATA, DATA[:before]) if before else b""
    raw += frame(protocol.FRAME_DATA, DATA[:last])
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    host.error(conversation.answer(), "size_mismatch")
    target.expect_untouched()


@case("PUT-SHORT/crossing", "ERR-CODE/size_mismatch", variant="when-whole", needs="witness", twin="PUT-OK/content:1")
def test_frame_that_crosses_size_is_answered_when_whole(host: Host) -> None:
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, 10, OLD[:5])
    host.error(answered_when_whole(conversation, frame(protocol.FRAME_DATA, DATA)), "size_mismatch")
    target.expect_untouched()


@case("PUT-SHORT/crossing", variant="exact", wide=True, needs="witness")
def test_frame_that_ends_at_size(host: Host, chunking: str) -> None:
    """The twin: up to `size` exactly. A DATA frame after that is linger, whatever it holds."""
    path = f"{host.scratch}/target"
    raw = raw_request("put_file", path=json.dumps(path), size="100")
    raw += frame(protocol.FRAME_DATA, DATA[:99]) + frame(protocol.FRAME_DATA, DATA[99:100])
    raw += frame(protocol.FRAME_DATA, b"too much")
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    expect_stored(conversation.answer())
    expect_file(host, path, DATA[:100])


# ---- PUT-FRAME


@case(
    "PUT-FRAME/type",
    "PUT-CLEAN/short",
    "ERR-CODE/unexpected_frame",
    wide=True,
    needs="witness",
    twin="PUT-OK/content:1",
)
@pytest.mark.parametrize(("kind", "sent"), [(0, 0), (1, 50), (2, 0), (3, 50), (6, 0), (255, 50)])
def test_other_frame_in_the_upload(host: Host, chunking: str, kind: int, sent: int) -> None:
    target = Standing(host, f"{host.scratch}/target")
    raw = raw_request("put_file", path=json.dumps(target.path), size="100")
    raw += (frame(protocol.FRAME_DATA, DATA[:sent]) if sent else b"") + frame(kind, b'{"op":"ping"}')
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    host.error(conversation.answer(), "unexpected_frame")
    target.expect_untouched()


@case("PUT-FRAME/type", "ERR-CODE/unexpected_frame", variant="when-whole", needs="witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize("kind", [protocol.FRAME_JSON, protocol.FRAME_STDOUT, 99])
def test_other_frame_is_answered_when_whole(host: Host, kind: int) -> None:
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, 2 * MIB, DATA)
    host.error(answered_when_whole(conversation, frame(kind, DATA)), "unexpected_frame")
    target.expect_untouched()


@case(
    "PUT-FRAME/type", "ERR-CODE/unexpected_frame", variant="empty", wide=True, needs="witness", twin="PUT-OK/content:1"
)
def test_other_frame_without_payload(host: Host, chunking: str) -> None:
    target = Standing(host, f"{host.scratch}/target")
    raw = raw_request("put_file", path=json.dumps(target.path), size="100") + frame(protocol.FRAME_STDERR, b"")
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    host.error(conversation.answer(), "unexpected_frame")
    target.expect_untouched()


@case("PUT-FRAME/empty", needs="witness")
def test_empty_data_frames(host: Host, chunking: str) -> None:
    """Allowed anywhere: before, between and after the bytes, also where none are to come."""
    path, empty = f"{host.scratch}/target", frame(protocol.FRAME_DATA, b"")
    raw = raw_request("put_file", path=json.dumps(path), size="100") + empty * 3
    raw += frame(protocol.FRAME_DATA, DATA[:60]) + empty + frame(protocol.FRAME_DATA, DATA[60:100]) + empty
    conversation = host.connect()
    conversation.send_chunked(raw + frame(protocol.FRAME_EOF, b""), chunking)
    expect_stored(conversation.answer())
    expect_file(host, path, DATA[:100])


# ---- FRAME-CAP, FRAME-TRUNC


@case("FRAME-CAP/upload", "PUT-CLEAN/short", variant="put-file", wide=True, needs="witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("target", protocol.FRAME_DATA),
        ("target", protocol.FRAME_EOF),
        ("target", 9),
        ("missing/target", protocol.FRAME_DATA),
    ],
    ids=["data", "eof", "other", "drained"],
)
def test_frame_over_the_cap_in_the_upload(host: Host, chunking: str, name: str, kind: int) -> None:
    """Judged at the header, of whatever type: closed without a word, also where the upload is only drained."""
    target = Standing(host, f"{host.scratch}/target")
    raw = raw_request("put_file", path=json.dumps(f"{host.scratch}/{name}"), size=str(2**33))
    raw += frame(protocol.FRAME_DATA, DATA[:50]) + struct.pack(">BI", kind, 16_777_217)
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    conversation.closed_silently(within=AT_ONCE)
    target.expect_untouched()


@case("FRAME-TRUNC/upload", "PUT-CLEAN/gone", variant="put-file", needs="witness half-close")
@pytest.mark.parametrize(
    ("size", "announced", "sent"),
    [(100, 100, 60), (60, 100, 60), (100, 100, 0)],
    ids=["short", "size-reached", "header"],
)
def test_stream_that_ends_inside_a_frame(host: Host, size: int, announced: int, sent: int) -> None:
    """Never a short frame: not even where `size` bytes have come."""
    target = Standing(host, f"{host.scratch}/target")
    conversation = host.connect()
    conversation.send_json(put_request(target.path, size))
    conversation.send_raw(frame(protocol.FRAME_DATA, DATA[:announced])[: 5 + sent])
    conversation.half_close()
    answer = conversation.answer()
    expect(
        not any(control.get("ok") is True for control in answer.controls),
        "no success for a broken upload",
        answer.frames,
    )
    target.expect_untouched()
