"""Section 4: put_file, whatever fails leaves the target untouched and no temporary file."""

from __future__ import annotations

import resource
import signal
import time

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite.files import (
    NOBODY,
    Standing,
    answered_when_whole,
    begin_put,
    content,
    errno_error,
    expect_file,
    expect_names,
    expect_stored,
    let_go,
    put_request,
    temporary,
    upload_frames,
)

DATA = content(300_000)
HALF = 150_000
LIMIT = 65_536  # bytes: a file-size limit, and a small file system


# ---- PUT-CLEAN: bad targets


@case("PUT-CLEAN/bad-target", "ERR-CODE/not_found", "ERR-ERRNO/not-found", needs="witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize(
    "path",
    ["missing/target", "target/below", "loop/target", "dangling/target"],
    ids=["enoent", "enotdir", "eloop", "dangling"],
)
def test_no_such_directory(host: Host, path: str) -> None:
    target = Standing(host, f"{host.scratch}/target")
    host.witness.symlink("loop", f"{host.scratch}/loop")
    host.witness.symlink("nowhere", f"{host.scratch}/dangling")
    errno_error(host, host.put(f"{host.scratch}/{path}", DATA), "not_found", "not-found")
    target.expect_untouched()
    expect_names(host, host.scratch, "dangling", "loop", "target")


@case(
    "PUT-CLEAN/bad-target",
    "ERR-CODE/invalid_argument",
    "ERR-ERRNO/name",
    variant="enametoolong",
    needs="witness",
    twin="PUT-OK/content:1",
)
@pytest.mark.parametrize("path", ["n" * 256, "n/" * 2_100 + "target"], ids=["name", "path"])
def test_name_too_long(host: Host, path: str) -> None:
    errno_error(host, host.put(f"{host.scratch}/{path}", b"data"), "invalid_argument", "name")
    expect_names(host, host.scratch)


@case(
    "PUT-CLEAN/bad-target",
    "ERR-CODE/permission_denied",
    "ERR-ERRNO/permission",
    variant="eacces",
    needs="start witness root",
    twin="PUT-OK/content:1",
)
def test_directory_not_writable(host: Host) -> None:
    """As an unprivileged user; the same upload is stored where the directory is that user's."""
    agent = host.start(uid=NOBODY)
    target = Standing(host, f"{host.scratch}/target", mode=0o666)
    info = host.witness.info(host.scratch)
    expect_equal((info.uid, oct(info.mode)), (0, oct(0o755)), "owner and mode of the directory")
    errno_error(agent, agent.put(target.path, DATA), "permission_denied", "permission")
    target.expect_untouched()
    host.witness.chown(host.scratch, NOBODY)
    expect_stored(agent.put(target.path, DATA))
    target.expect_replaced(DATA)


@case(
    "PUT-CLEAN/bad-target",
    "ERR-CODE/permission_denied",
    "ERR-ERRNO/permission",
    variant="sticky",
    needs="start witness root",
    twin="PUT-OK/content:1",
)
def test_rename_refused(host: Host) -> None:
    """In a sticky directory another user's file cannot be replaced: everything goes well until the rename."""
    agent = host.start(uid=NOBODY)
    target = Standing(host, f"{host.scratch}/target", mode=0o666)
    host.witness.chmod(host.scratch, 0o1777)
    errno_error(agent, agent.put(target.path, DATA), "permission_denied", "permission")
    target.expect_untouched()
    expect_stored(agent.put(f"{host.scratch}/own", DATA))
    expect_file(host, f"{host.scratch}/own", DATA)


# ---- PUT-CLEAN: the upload is short, the host is gone, the upload stalls, the agent is stopped


@case("PUT-CLEAN/short", "ERR-CODE/size_mismatch", needs="witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize("stands", ["file", "nothing"])
def test_short_upload(host: Host, stands: str) -> None:
    path = f"{host.scratch}/target"
    target = Standing(host, path) if stands == "file" else None
    conversation = begin_put(host, path, len(DATA), DATA[:-1])
    temporary(host, host.scratch)
    conversation.send_frame(protocol.FRAME_EOF)
    host.error(conversation.answer(), "size_mismatch")
    if target:
        target.expect_untouched()
    expect_names(host, host.scratch, *(["target"] if target else []))


@case("PUT-CLEAN/gone", needs="witness half-close")
@pytest.mark.parametrize("at", ["request", "header", "frame", "between", "last-byte"])
@pytest.mark.parametrize("how", ["close", "half-close"])
def test_host_gone_in_mid_upload(host: Host, at: str, how: str) -> None:
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(host, target.path, len(DATA), DATA[:HALF] if at != "request" else b"")
    if at != "request":
        temporary(host, host.scratch)
    rest = frame(protocol.FRAME_DATA, DATA[HALF:])
    conversation.send_raw({"header": rest[:3], "frame": rest[:50_000], "last-byte": rest[:-1]}.get(at, b""))
    if how == "close":
        conversation.close()
        let_go(host)  # it may not even have begun
    else:
        conversation.half_close()
        answer = conversation.answer()
        expect(
            not any(control.get("ok") is True for control in answer.controls),
            "no success for half a file",
            answer.frames,
        )
    target.expect_untouched()


@case("PUT-CLEAN/gone", variant="drained", needs="witness")
def test_host_gone_while_its_upload_is_drained(host: Host) -> None:
    """Nothing to clean, and nobody waits for the rest: the harness sees that the agent lets go of it."""
    conversation = begin_put(host, f"{host.scratch}/missing/target", len(DATA), DATA[:HALF])
    conversation.let_read()
    conversation.close()
    let_go(host)
    expect_names(host, host.scratch)


@case("PUT-CLEAN/stall", "CONV-STALL/upload", needs="start witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize("at", ["request", "frame", "between"])
def test_stalled_upload(host: Host, at: str) -> None:
    """Given up after --io-timeout: the temporary file gone, the connection closed."""
    agent = host.start("--io-timeout", "0.5")
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(agent, target.path, len(DATA), DATA[:HALF] if at != "request" else b"")
    if at == "frame":
        conversation.send_raw(frame(protocol.FRAME_DATA, DATA[HALF:])[:1_000])
    if at != "request":
        temporary(host, host.scratch)
    conversation.silence(0.15)
    conversation.closed_silently(within=2.0)
    target.expect_untouched()
    agent.agent.check_alive()


@case("PUT-CLEAN/stop", "SRV-STOP/files", "SRV-STOP/exit", needs="start witness destructive")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_stopped_in_mid_upload(host: Host, number: int) -> None:
    agent = host.start()
    target = Standing(host, f"{host.scratch}/target")
    conversation = begin_put(agent, target.path, len(DATA), DATA[:HALF])
    temporary(host, host.scratch)
    pid, start = agent.pid, time.monotonic()
    host.witness.signal(pid, number)
    expect_equal(host.witness.wait(pid, 3.0), 0, "exit status after the signal")
    expect(time.monotonic() - start < 2.5, "exit within 2 s", f"{time.monotonic() - start:.1f} s")
    conversation.closed_silently()
    target.expect_untouched()


@case("PUT-CLEAN/stop", "SRV-STOP/files", variant="many", needs="start witness server destructive")
def test_stopped_in_many_uploads(host: Host) -> None:
    """Uploads into several directories, one just begun, one in a frame, one drained."""
    agent = host.start()
    folders = [f"{host.scratch}/{index}" for index in range(6)]
    for folder in folders:
        host.witness.mkdir(folder)
    uploads = [begin_put(agent, f"{folder}/target", len(DATA), DATA[:HALF]) for folder in folders]
    uploads[0].send_raw(frame(protocol.FRAME_DATA, DATA[HALF:])[:1_000])
    uploads.append(begin_put(agent, f"{host.scratch}/missing/target", len(DATA), DATA[:HALF]))
    for folder in folders:
        temporary(host, folder)
    uploads.append(begin_put(agent, f"{host.scratch}/target", len(DATA)))
    agent.arrived()
    host.witness.terminate(agent.pid)
    expect_equal(host.witness.wait(agent.pid, 3.0), 0, "exit status after SIGTERM")
    for conversation in uploads:
        conversation.closed_silently()
    expect_names(host, host.scratch, *(str(index) for index in range(6)))
    for folder in folders:
        expect_names(host, folder)


# ---- PUT-FULL


def small_file_system(host: Host, readonly: bool = False) -> str:
    """A tmpfs of 64 KiB, or a read-only one."""
    folder = f"{host.scratch}/full"
    host.witness.mkdir(folder)
    host.witness.mount_tmpfs(folder, LIMIT, readonly)
    return folder


@case(
    "PUT-FULL/no-space",
    "PUT-CLEAN/no-space",
    "ERR-CODE/no_space",
    "ERR-ERRNO/space",
    needs="witness root destructive",
    twin="PUT-OK/content:1",
)
def test_no_space(host: Host) -> None:
    """An error, nothing left, and what fits is stored afterwards."""
    target = Standing(host, f"{small_file_system(host)}/target")
    errno_error(host, host.put(target.path, DATA), "no_space", "space")
    target.expect_untouched()
    expect_stored(host.put(target.path, DATA[: LIMIT // 2]))
    target.expect_replaced(DATA[: LIMIT // 2])


@case(
    "PUT-DRAIN/no-space",
    "PUT-DRAIN/first-error",
    "PUT-CLEAN/no-space",
    needs="witness root destructive",
    twin="PUT-OK/content:1",
)
@pytest.mark.parametrize("end", ["size", "eof", "crossing", "other"])
def test_no_space_is_drained(host: Host, end: str) -> None:
    """Nothing is said before the upload's end, however it ends; then that there was no space."""
    target = Standing(host, f"{small_file_system(host)}/target")
    conversation = host.connect()
    conversation.send_json(put_request(target.path, len(DATA)))
    conversation.send_raw(upload_frames(DATA[:HALF])[:-5])
    last = {
        "size": frame(protocol.FRAME_DATA, DATA[HALF:]),
        "eof": frame(protocol.FRAME_EOF, b"x"),
        "crossing": frame(protocol.FRAME_DATA, DATA[HALF:] + b"x"),
        "other": frame(protocol.FRAME_STDOUT, b"x") + frame(protocol.FRAME_EOF, b""),
    }[end]
    if end == "other":
        conversation.silence(0.1)
        conversation.send_raw(last)
        answer = conversation.answer()
    else:
        answer = answered_when_whole(conversation, last)
    errno_error(host, answer, "no_space", "space")
    target.expect_untouched()


@case(
    "PUT-CLEAN/no-space",
    "PUT-FULL/no-space",
    "ERR-CODE/no_space",
    needs="witness root destructive",
    twin="PUT-OK/content:1",
)
def test_no_space_for_both(host: Host) -> None:
    """Old and new stand side by side until the rename: where only one of them fits, the old one stays."""
    target = Standing(host, f"{small_file_system(host)}/target", data=content(40_000))
    errno_error(host, host.put(target.path, DATA[:40_000]), "no_space", "space")
    target.expect_untouched()


@case("PUT-FULL/limit", "ERR-CODE/no_space", "ERR-ERRNO/space", needs="start witness", twin="PUT-OK/content:1")
def test_file_size_limit(host: Host) -> None:
    """Up to the limit a file is stored; beyond it there is an error, and SIGXFSZ kills nobody."""
    agent = host.start(limits={resource.RLIMIT_FSIZE: (LIMIT, LIMIT)})
    target = Standing(host, f"{host.scratch}/target")
    for size in (LIMIT + 1, len(DATA)):
        errno_error(agent, agent.put(target.path, DATA[:size]), "no_space", "space")
        target.expect_untouched()
    agent.ping()
    expect_stored(agent.put(target.path, DATA[:LIMIT]))
    target.expect_replaced(DATA[:LIMIT])
    agent.agent.check_alive()


@case("PUT-FULL/limit", variant="sigxfsz-default", needs="start witness", twin="PUT-OK/content:1")
@pytest.mark.parametrize("blocked", [False, True], ids=["default", "blocked"])
def test_file_size_limit_of_nothing(host: Host, blocked: bool) -> None:
    """Not one byte may be written, whatever the signal's state was at the start."""
    block = (signal.SIGXFSZ,) if blocked else ()
    agent = host.start(limits={resource.RLIMIT_FSIZE: (0, 0)}, block=block)
    errno_error(agent, agent.put(f"{host.scratch}/target", b"x"), "no_space", "space")
    expect_names(host, host.scratch)
    expect_stored(agent.put(f"{host.scratch}/empty", b""))
    agent.agent.check_alive()


@case(
    "PUT-FULL/readonly",
    "ERR-CODE/permission_denied",
    "ERR-ERRNO/permission",
    needs="witness root destructive",
    twin="PUT-OK/content:1",
)
@pytest.mark.parametrize("size", [0, len(DATA)], ids=["empty", "some"])
def test_read_only_file_system(host: Host, size: int) -> None:
    folder = small_file_system(host, readonly=True)
    errno_error(host, host.put(f"{folder}/target", DATA[:size]), "permission_denied", "permission")
    expect_names(host, folder)
    host.ping()
