"""Section 4: put_file, what stands at the target after an upload that succeeds, and the fields that decide it."""

from __future__ import annotations

import json

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect_equal
from guestwire.suite.files import (
    AT_ONCE,
    NOBODY,
    OLD,
    Standing,
    begin_put,
    content,
    expect_file,
    expect_names,
    expect_stored,
    put_request,
    raw_request,
    upload_frames,
)

NO_INTEGER = {
    "real": "3.0", "exponent": "3e0", "string": '"3"', "true": "true", "list": "[]", "object": "{}",
    "over-53-bits": "9007199254740992", "400-digits": "1" * 400,
}  # fmt: skip


@case("PUT-OK/content")
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537])
def test_content(host: Host, size: int) -> None:
    path, data = f"{host.scratch}/file", content(size)
    expect_stored(host.put(path, data))
    expect_file(host, path, data)
    expect_names(host, host.scratch, "file")


@case("PUT-OK/content", variant="16-mib", transports=("unix",))
def test_large_content(host: Host) -> None:
    path, data = f"{host.scratch}/file", content(16 << 20)
    expect_stored(host.put(path, data))
    expect_file(host, path, data)


@case("PUT-OK/content", "FRAME-CAP/at-cap", variant="one-frame-at-the-cap", transports=("unix",))
def test_content_in_one_frame_at_the_cap(host: Host) -> None:
    path, data = f"{host.scratch}/file", content(16 << 20)
    conversation = begin_put(host, path, len(data), data)
    expect_stored(conversation.answer())
    expect_file(host, path, data)


@case("PUT-OK/content", "FRAME-EOF-EMPTY/received", variant="raw")
def test_content_however_it_is_cut(host: Host, chunking: str) -> None:
    """FRAME-SEGMENT: the result is identical. Frames of 1, 30 and 69 bytes, an EOF frame with a payload, perhaps more."""
    path, data = f"{host.scratch}/file", content(100)
    raw = raw_request("put_file", path=json.dumps(path), size="100", mode="416")
    for start, end in ((0, 1), (1, 31), (31, 100)):
        raw += frame(protocol.FRAME_DATA, data[start:end])
    conversation = host.connect()
    conversation.send_chunked(raw + frame(protocol.FRAME_EOF, b"ignored"), chunking)
    expect_stored(conversation.answer())
    expect_file(host, path, data, 0o640)
    expect_names(host, host.scratch, "file")


@case("PUT-OK/content", "FRAME-SEGMENT/joined", variant="one-write")
def test_content_of_an_upload_in_one_write(host: Host) -> None:
    """The request, a hundred small frames and EOF in one write."""
    path, data = f"{host.scratch}/file", content(1_000)
    conversation = host.connect()
    conversation.send_raw(raw_request("put_file", path=json.dumps(path), size="1000") + upload_frames(data, chunk=10))
    expect_stored(conversation.answer())
    expect_file(host, path, data)


@case("PUT-OK/content", "CONV-LINGER/late-eof", variant="no-eof")
def test_content_stands_without_the_eof_frame(host: Host) -> None:
    """Answered once exactly `size` bytes have arrived; an EOF frame sent after the answer meets no reset."""
    path, data = f"{host.scratch}/file", content(3_000)
    conversation = begin_put(host, path, len(data), data)
    expect_equal(conversation.recv_json(within=AT_ONCE), {"ok": True}, "the answer before any EOF frame")
    expect_file(host, path, data)
    conversation.send_frame(protocol.FRAME_EOF)
    conversation.closed_silently()


@case("PUT-OK/content", "CONV-HALFCLOSE/put", variant="half-close", needs="half-close")
def test_content_after_half_close(host: Host) -> None:
    path, data = f"{host.scratch}/file", content(200_000)
    conversation = host.connect()
    conversation.send_json(put_request(path, len(data)))
    conversation.send_raw(upload_frames(data))
    conversation.half_close()
    expect_stored(conversation.answer())
    expect_file(host, path, data)


@case("PUT-OK/content", variant="name-not-ascii")
def test_path_beyond_ascii(host: Host) -> None:
    path = f"{host.scratch}/gr\u00f6\u00dfe \u2028 \U0001f600"
    expect_stored(host.put(path, b"data"))
    expect_file(host, path, b"data")


@case("PUT-OK/content", variant="longest-name")
def test_longest_name(host: Host) -> None:
    """255 bytes are what a directory takes: the temporary file's name must not be made from the target's."""
    path = f"{host.scratch}/{'n' * 255}"
    expect_stored(host.put(path, b"data"))
    expect_file(host, path, b"data")


@case("PUT-OK/empty")
@pytest.mark.parametrize("size", ["absent", "0", "-0"], ids=["absent", "zero", "minus-zero"])
def test_empty_needs_no_frame(host: Host, chunking: str, size: str) -> None:
    path = f"{host.scratch}/file"
    fields = {"path": json.dumps(path)} | ({} if size == "absent" else {"size": size})
    conversation = host.connect()
    conversation.send_chunked(raw_request("put_file", **fields), chunking)
    expect_stored(conversation.answer(within=AT_ONCE))
    expect_file(host, path, b"")
    expect_names(host, host.scratch, "file")


@case("PUT-OK/empty", variant="replaces")
def test_empty_replaces(host: Host) -> None:
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, 0)
    expect_stored(conversation.answer(within=AT_ONCE))
    target.expect_replaced(b"")


@case("PUT-OK/mode", needs="witness")
@pytest.mark.parametrize("mode", [0, 0o421, 0o777, 0o7777], ids=oct)
def test_mode(host: Host, mode: int) -> None:
    path, data = f"{host.scratch}/file", content(1_000)
    expect_stored(host.put(path, data, mode=mode))
    expect_file(host, path, data, mode)


@case("PUT-OK/mode", "PUT-OK/default-mode", variant="umask", needs="start witness")
@pytest.mark.parametrize("umask", [0, 0o077, 0o777], ids=oct)
def test_mode_whatever_the_umask(host: Host, umask: int) -> None:
    agent = host.start(umask=umask)
    expect_stored(agent.put(f"{host.scratch}/open", b"data", mode=0o777))
    expect_stored(agent.put(f"{host.scratch}/default", b"data"))
    expect_file(host, f"{host.scratch}/open", b"data", 0o777)
    expect_file(host, f"{host.scratch}/default", b"data", 0o600)


@case("PUT-OK/default-mode", variant="null", needs="witness")
@pytest.mark.parametrize("target", ["new", "standing"])
def test_default_mode(host: Host, target: str) -> None:
    """0600 for `mode` null, also where a file with another mode stood."""
    path = f"{host.scratch}/file"
    if target == "standing":
        Standing(host, path, mode=0o755)
    expect_stored(host.put(path, b"data", mode=None))
    expect_file(host, path, b"data", 0o600)


@case("PUT-OK/setuid", "PUT-DIRFD", needs="start witness root")
@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o7777], ids=oct)
def test_special_bits_survive(host: Host, mode: int) -> None:
    """A write by an unprivileged process clears setuid and setgid: the mode has to be set after the last one."""
    agent = host.start(uid=NOBODY)
    host.witness.chown(host.scratch, NOBODY)
    path, data = f"{host.scratch}/file", content(150_000)
    expect_stored(agent.put(path, data, mode=mode))
    expect_file(host, path, data, mode)


# ---- fields


@case("PUT-OK/fields", "ERR-CODE/invalid_argument", wide=True, twin="PUT-OK/content:1")
@pytest.mark.parametrize("spelling", [*NO_INTEGER.values(), "-1", "4096"], ids=[*NO_INTEGER, "minus-one", "4096"])
def test_wrong_mode(host: Host, chunking: str, spelling: str) -> None:
    target = Standing(host, f"{host.scratch}/target")
    raw = raw_request("put_file", path=json.dumps(target.path), size="3", mode=spelling)
    conversation = host.connect()
    conversation.send_chunked(raw + upload_frames(b"abc"), chunking)
    host.error(conversation.answer(), "invalid_argument", contains="mode")
    target.expect_untouched()


@case("PUT-OK/fields", variant="good", wide=True)
@pytest.mark.parametrize(
    ("spelling", "mode"), [("0", 0), ("-0", 0), ("4095", 0o7777)], ids=["zero", "minus-zero", "4095"]
)
def test_outermost_modes(host: Host, chunking: str, spelling: str, mode: int) -> None:
    """The twins of the wrong ones: the same request with a mode just inside."""
    path = f"{host.scratch}/file"
    raw = raw_request("put_file", path=json.dumps(path), size="3", mode=spelling)
    conversation = host.connect()
    conversation.send_chunked(raw + upload_frames(b"abc"), chunking)
    expect_stored(conversation.answer())
    expect_file(host, path, b"abc", mode)


@case("PUT-DRAIN/bad-size", "ERR-CODE/invalid_argument", wide=True, twin="PUT-OK/content:1")
@pytest.mark.parametrize("spelling", [*NO_INTEGER.values(), "-1", "null"], ids=[*NO_INTEGER, "minus-one", "null"])
def test_wrong_size(host: Host, chunking: str, spelling: str) -> None:
    """Answered at once: nobody can tell how much is to come."""
    target = Standing(host, f"{host.scratch}/target")
    conversation = host.connect()
    conversation.send_chunked(raw_request("put_file", path=json.dumps(target.path), size=spelling), chunking)
    host.error(conversation.answer(within=AT_ONCE), "invalid_argument", contains="size")
    target.expect_untouched()


@case("PUT-OK/large-size", "ERR-CODE/size_mismatch", twin="PUT-OK/content:1")
@pytest.mark.parametrize("size", [2**32 + 5, 2**53 - 1], ids=["32-bits-and-5", "53-bits"])
def test_large_size_is_not_clamped(host: Host, size: int) -> None:
    """A size cut to 32 bits would be 5 here: the bytes that came."""
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, size, OLD[:5])
    conversation.silence(0.1)
    conversation.send_frame(protocol.FRAME_EOF)
    host.error(conversation.answer(), "size_mismatch")
    target.expect_untouched()


@case("PUT-OK/large-size", variant="nothing-sent", twin="PUT-OK/content:1")
def test_size_of_32_zero_bits(host: Host) -> None:
    """A size cut to 32 bits would be 0 here."""
    path = f"{host.scratch}/file"
    conversation = begin_put(host, path, 2**32)
    conversation.silence(0.1)
    conversation.send_frame(protocol.FRAME_EOF)
    host.error(conversation.answer(), "size_mismatch")
    expect_names(host, host.scratch)
