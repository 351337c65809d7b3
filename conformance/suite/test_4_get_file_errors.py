"""Section 4: get_file, what is refused, and files that have nothing to say or cannot be read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host, file_of, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import CouldNotRun, Violation, expect, expect_equal
from guestwire.suite.files import AT_ONCE, NOBODY, PAUSE, content, errno_error, raw_request

KMSG = "/proc/kmsg"
DATA = content(100_000)


def refused(host: Host, path: str, code: str, contains: str = "") -> None:
    """get_file of the path is answered at once with this error and nothing else."""
    host.error(host.ask({"op": "get_file", "path": path}, within=AT_ONCE), code, contains)


# ---- fields


@case("GET-ERRORS/empty", "ERR-CODE/invalid_argument", wide=True, twin="CONV-ONE/single:download")
@pytest.mark.parametrize("path", ["absent", '""', "null"], ids=["absent", "empty", "null"])
def test_empty_path(host: Host, chunking: str, path: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(raw_request("get_file", **({} if path == "absent" else {"path": path})), chunking)
    host.error(conversation.answer(), "invalid_argument", contains="path")


@case("GET-ERRORS/type", "ERR-CODE/invalid_argument", wide=True, twin="CONV-ONE/single:download")
@pytest.mark.parametrize(
    "spelling", ["1", "true", '["/etc/passwd"]', '{"path":"/etc/passwd"}'], ids=["number", "true", "list", "object"]
)
def test_path_of_a_wrong_type(host: Host, chunking: str, spelling: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(raw_request("get_file", path=spelling), chunking)
    host.error(conversation.answer(), "invalid_argument", contains="path")


# ---- what cannot be opened


@case("GET-ERRORS/not-found", "ERR-CODE/not_found", "ERR-ERRNO/not-found", needs="witness", twin="GET-OK/content:1")
@pytest.mark.parametrize("path", ["missing", "missing/file", "file/below", "loop", "loop/file", "dangling"])
def test_no_such_file(host: Host, path: str) -> None:
    host.witness.write(f"{host.scratch}/file", DATA)
    host.witness.symlink("loop", f"{host.scratch}/loop")
    host.witness.symlink("nowhere", f"{host.scratch}/dangling")
    answer = host.ask({"op": "get_file", "path": f"{host.scratch}/{path}"}, within=AT_ONCE)
    errno_error(host, answer, "not_found", "not-found")


@case(
    "GET-ERRORS/not-found",
    "ERR-CODE/invalid_argument",
    "ERR-ERRNO/name",
    variant="enametoolong",
    twin="CONV-ONE/single:download",
)
@pytest.mark.parametrize("path", ["/" + "n" * 256, "/n" * 2_100], ids=["name", "path"])
def test_name_too_long(host: Host, path: str) -> None:
    errno_error(host, host.ask({"op": "get_file", "path": path}), "invalid_argument", "name")


@case(
    "GET-ERRORS/denied",
    "ERR-CODE/permission_denied",
    "ERR-ERRNO/permission",
    needs="start witness root",
    twin="GET-OK/content:1",
)
@pytest.mark.parametrize("where", ["file", "directory"])
def test_no_right_to_read(host: Host, where: str) -> None:
    """As an unprivileged user, for whom the kernel does refuse root's file of mode 0600."""
    folder = f"{host.scratch}/dir"
    host.witness.mkdir(folder)
    host.witness.write(f"{folder}/file", DATA)
    agent = host.start(uid=NOBODY)
    expect_equal(agent.get(f"{folder}/file")[1], DATA, "content while everybody may read it")
    host.witness.chmod(folder if where == "directory" else f"{folder}/file", 0o700 if where == "directory" else 0o600)
    info = host.witness.info(folder if where == "directory" else f"{folder}/file")
    expect_equal((info.uid, info.mode & 0o077), (0, 0), "owner and others' rights")
    answer = agent.ask({"op": "get_file", "path": f"{folder}/file"})
    errno_error(agent, answer, "permission_denied", "permission")


@case(
    "GET-ERRORS/denied",
    "ERR-CODE/permission_denied",
    "ERR-ERRNO/permission",
    variant="root",
    twin="CONV-ONE/single:download",
)
def test_no_right_to_read_even_as_root(host: Host) -> None:
    """A file that may only be written, whoever asks."""
    refused(host, "/proc/sys/vm/compact_memory", "permission_denied")


# ---- what is no regular file


@case("GET-ERRORS/directory", "ERR-CODE/not_regular_file", needs="witness", twin="GET-OK/content:1")
@pytest.mark.parametrize("path", ["dir", "dir/", "link", "link/", "dir/."])
def test_directory(host: Host, path: str) -> None:
    host.witness.mkdir(f"{host.scratch}/dir")
    host.witness.symlink("dir", f"{host.scratch}/link")
    refused(host, f"{host.scratch}/{path}", "not_regular_file")


@case("GET-ERRORS/directory", "ERR-CODE/not_regular_file", variant="root", twin="CONV-ONE/single:download")
def test_root_directory(host: Host) -> None:
    refused(host, "/", "not_regular_file")


@case("GET-ERRORS/fifo", "ERR-CODE/not_regular_file", needs="witness", twin="GET-OK/content:1")
@pytest.mark.parametrize("path", ["fifo", "link"])
def test_fifo(host: Host, path: str) -> None:
    """Nobody writes to it, nobody will: the answer comes at once all the same."""
    host.witness.mkfifo(f"{host.scratch}/fifo")
    host.witness.symlink("fifo", f"{host.scratch}/link")
    refused(host, f"{host.scratch}/{path}", "not_regular_file")


@case("GET-ERRORS/socket", "ERR-CODE/not_regular_file", needs="witness root", twin="GET-OK/content:1")
@pytest.mark.parametrize("path", ["socket", "link"])
def test_socket(host: Host, path: str) -> None:
    host.witness.mksocket(f"{host.scratch}/socket")
    host.witness.symlink("socket", f"{host.scratch}/link")
    refused(host, f"{host.scratch}/{path}", "not_regular_file")


@contextmanager
def unopened_terminal(host: Host) -> Iterator[str]:
    """The device of a terminal that nobody may open meanwhile."""
    path = host.witness.open_terminal()
    try:
        yield path
    finally:
        opened = host.witness.terminal_was_opened(path)
    expect(not opened, "a device that is never opened", "the terminal was opened")


@case("GET-ERRORS/device", "ERR-CODE/not_regular_file", needs="witness", twin="GET-OK/content:1")
@pytest.mark.parametrize("way", ["path", "link"])
def test_device_is_never_opened(host: Host, way: str) -> None:
    """A terminal's other end sees when its device has been opened and closed."""
    with unopened_terminal(host) as path:
        if way == "link":
            host.witness.symlink(path, f"{host.scratch}/link")
        refused(host, f"{host.scratch}/link" if way == "link" else path, "not_regular_file")


@case("GET-ERRORS/device", "ERR-CODE/not_regular_file", variant="node", needs="witness root", twin="GET-OK/content:1")
def test_device_node(host: Host) -> None:
    host.witness.mknod_null(f"{host.scratch}/null")
    refused(host, f"{host.scratch}/null", "not_regular_file")


def ask_while_exchanging(host: Host, path: str, other: str) -> None:
    """get_file of a path again and again while its file changes places with what `other` names: each answer is the file,
    whole, or not_regular_file, at once."""
    wanted, disturbed, answers = 5 if host.transport == "fd-conn" else 60, 0, []
    host.witness.begin_exchanging(path, other)
    try:
        while disturbed < wanted and host.left() > 10:
            before = host.witness.exchanged()
            answers.append(host.ask({"op": "get_file", "path": path}, within=5.0))
            # one swap began and ended meanwhile, whatever was under way before; a busy disk lets seconds pass without any
            disturbed += host.witness.exchanged() > before + 1
    finally:
        host.witness.end_exchanging()
    for answer in answers:
        if answer.frames[-1:] and answer.frames[-1][0] == protocol.FRAME_EOF:
            expect(file_of(answer)[1] == DATA, "the file, whole", f"{len(answer.data)} other bytes")
        else:
            host.error(answer, "not_regular_file")
    if disturbed < wanted:
        raise RuntimeError(f"harness bug: swaps during {disturbed} requests of {len(answers)} only")


@case("GET-ERRORS/swapped", "GET-ERRORS/fifo", needs="witness", deadline=30)
def test_path_swapped_for_a_fifo(host: Host) -> None:
    """Whoever looks first and opens then waits for a writer that never comes."""
    path, other = f"{host.scratch}/file", f"{host.scratch}/fifo"
    host.witness.write(path, DATA)
    host.witness.mkfifo(other)
    ask_while_exchanging(host, path, other)


@case("GET-ERRORS/swapped", "GET-ERRORS/device", variant="device", needs="witness", deadline=30)
def test_path_swapped_for_a_device(host: Host) -> None:
    path, other = f"{host.scratch}/way", f"{host.scratch}/other"
    host.witness.write(f"{host.scratch}/file", DATA)
    host.witness.symlink("file", path)
    with unopened_terminal(host) as device:
        host.witness.symlink(device, other)
        ask_while_exchanging(host, path, other)


@case("GET-ERRORS/swapped", "GET-ERRORS/directory", variant="directory", needs="witness", deadline=30)
def test_path_swapped_for_a_directory(host: Host) -> None:
    path, other = f"{host.scratch}/file", f"{host.scratch}/dir"
    host.witness.write(path, DATA)
    host.witness.mkdir(other)
    ask_while_exchanging(host, path, other)


# ---- GET-BROKEN


def broken_off(host: Host, path: str) -> None:
    """The file can be opened and not be read: the header, then the end without EOF."""
    answer = host.ask({"op": "get_file", "path": path}, within=AT_ONCE)
    expect_equal([kind for kind, _ in answer.frames], [protocol.FRAME_JSON], "frame types before the end")
    header = answer.controls[0]
    expect(header.get("ok") is True and header.get("size") == 0, "a header", header)


@case("GET-BROKEN")
def test_read_error_after_the_header(host: Host) -> None:
    """EIO: nothing is mapped where the agent's memory begins."""
    broken_off(host, "/proc/self/mem")


@case("GET-BROKEN", variant="einval", needs="root")
def test_other_read_error_after_the_header(host: Host) -> None:
    """EINVAL: a file that is only for writing, but that root may open."""
    broken_off(host, "/proc/self/clear_refs")


# ---- GET-WAIT


def waiting(host: Host) -> Conversation:
    """A download of the kernel's log that has come to the end of what there is, and waits."""
    conversation = host.connect()
    conversation.send_json({"op": "get_file", "path": KMSG})
    header = conversation.recv_json()
    if header.get("code") == "permission_denied":
        conversation.close()
        raise CouldNotRun(f"{KMSG} may not be read here: run it as root with CAP_SYSLOG")
    expect(header.get("ok") is True, "a header", header)
    while True:
        try:
            conversation.silence(PAUSE)
            return conversation
        except Violation:  # the log goes on, or the agent has closed: the frame tells
            kind, _ = conversation.recv_frame(what="more of the log, or silence")
            expect_equal(kind, protocol.FRAME_DATA, "frame type of the log")


@case("GET-WAIT/timeout", needs="start root half-close")
@pytest.mark.parametrize("how", ["open", "half-closed"])
def test_silent_file_is_given_up(host: Host, how: str) -> None:
    """After --io-timeout without a byte, and without EOF: there might have been more. A half-close changes nothing."""
    agent = host.start("--io-timeout", "0.6")
    waiting(agent).close()
    conversation, start = agent.connect(), time.monotonic()
    conversation.send_json({"op": "get_file", "path": KMSG})
    if how == "half-closed":
        conversation.half_close()
    header = conversation.recv_json()
    expect(header.get("ok") is True, "a header", header)
    answer = conversation.answer()
    took = time.monotonic() - start
    kinds = {kind for kind, _ in answer.frames}
    expect(kinds <= {protocol.FRAME_DATA}, "the end without EOF", kinds)
    expect(took > 0.5, "0.6 s of waiting", f"{took:.2f} s")
    if not answer.frames:
        expect(took < 2.0, "the end after 0.6 s", f"{took:.2f} s")
    agent.ping()


@case("GET-WAIT/hangup", needs="witness root full-close")
def test_silent_file_ends_with_the_host(host: Host) -> None:
    """Under the default of 60 s: when the host hangs up, descriptor and worker are given back at once."""
    conversation = waiting(host)
    pid = host.pid
    before: int = host.witness.counts(pid)[0]
    conversation.close()

    def given_back() -> bool:
        if host.transport == "fd-conn":
            ended: int | None = host.witness.wait(pid, 0.01)
            return ended == 0
        held: int = host.witness.counts(pid)[0]
        return held <= before - 2  # the connection and the file

    wait_for(given_back, 2.0, "descriptors given back once the host is gone")


@case("GET-WAIT/hangup", variant="slot", needs="start server root full-close")
def test_silent_file_frees_its_slot(host: Host) -> None:
    """The only work slot waits for the log; others are served as soon as its host is gone."""
    agent = host.start("--max-requests", "1")
    conversation = waiting(agent)
    queued = agent.connect()
    queued.send_json({"op": "get_file", "path": "/proc/version"})
    queued.silence(PAUSE)
    agent.ping(within=AT_ONCE)
    conversation.close()
    expect(b"Linux" in file_of(queued.answer(within=2.0))[1], "the queued file", "something else")


@case("GET-WAIT/hangup", "SRV-STOP/exit", variant="stopped", needs="start witness root destructive")
def test_silent_file_does_not_keep_the_agent(host: Host) -> None:
    """SIGTERM while a download waits: no worker is blocked for good."""
    agent = host.start()
    conversation = waiting(agent)
    host.witness.terminate(agent.pid)
    expect_equal(host.witness.wait(agent.pid, 2.5), 0, "exit status within 2 s of SIGTERM")
    conversation.closed_silently()
