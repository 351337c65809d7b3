"""Section 3: the shape of errors, their codes, and how failed calls of the kernel are told."""

from __future__ import annotations

import os
import resource

import pytest

from guestwire.drive.conversation import Answer
from guestwire.drive.host import Host, exit_code
from guestwire.judge.case import case
from guestwire.judge.outcome import expect

NOBODY = 65_534
DENIED_TO_ALL = "/proc/sys/vm/compact_memory"  # write-only, to root too


def get(host: Host, path: str) -> Answer:
    """The response to a get_file that has to fail."""
    return host.ask({"op": "get_file", "path": path})


# ---- ERR-SHAPE


@case("ERR-SHAPE", variant="long", transports=("unix",), twin="CONV-ONE/single:ping")
@pytest.mark.parametrize(
    "character", ["x", "é", "€", "😀", '"', "\x01"], ids=["1", "2", "3", "4", "escaped", "control"]
)
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_error_about_something_long(host: Host, character: str, shift: int) -> None:
    """Whatever of a long name gets into the text, 1,024 bytes are the end, and no character is cut in two."""
    part = character * 60 + "/"
    path = "/" + "d" * shift + part * (3_900 // len(part.encode()))
    host.error(get(host, path + "file"), "not_found")
    host.error(host.ask({"op": "y" * shift + character * 1_200}), "unknown_op", "unknown op")


# ---- ERR-CODE: each code by an error that is there to be had


@case("ERR-CODE/no_space", "ERR-CODE/known", needs="start witness", twin="PUT-OK/content:1")
def test_no_space(host: Host) -> None:
    private = host.start(limits={resource.RLIMIT_FSIZE: (65_536, 65_536)})
    host.error(private.put(f"{host.scratch}/file", bytes(200_000)), "no_space")


@case("ERR-CODE/io_error", "ERR-ERRNO/other", "ERR-CODE/known", needs="root witness", twin="CONV-ONE/single:download")
def test_io_error(host: Host) -> None:
    """Nothing can be renamed over a mount point: EBUSY, which no other code stands for."""
    path = f"{host.scratch}/mounted"
    host.witness.write(path, b"old")
    host.witness.mount_over("/etc/passwd", path)
    terminal = host.error(host.put(path, b"new"), "io_error")
    host.should("ERR-ERRNO/other", terminal.get("code") == "io_error", "code io_error for EBUSY", terminal)


# ---- ERR-ERRNO


def told(host: Host, check: str, answer: Answer, code: str) -> None:
    """An error whose code is this check's matter."""
    terminal = host.error(answer, code)
    host.should(f"ERR-ERRNO/{check}", terminal.get("code") == code, f"code {code}", terminal)


@case("ERR-ERRNO/not-found", needs="witness")
@pytest.mark.parametrize("name", ["nothing", "nothing/file", "file/file", "loop", "loop/file", "dangling"])
def test_enoent_enotdir_eloop(host: Host, name: str) -> None:
    host.witness.write(f"{host.scratch}/file", b"")
    host.witness.symlink("loop", f"{host.scratch}/loop")
    host.witness.symlink("nothing", f"{host.scratch}/dangling")
    told(host, "not-found", get(host, f"{host.scratch}/{name}"), "not_found")
    if "/" in name:
        told(host, "not-found", host.put(f"{host.scratch}/{name}", b"abc"), "not_found")


@case("ERR-ERRNO/permission", variant="eacces-user", needs="start root witness")
def test_eacces_of_a_user(host: Host) -> None:
    private = host.start(uid=NOBODY)
    path = f"{host.scratch}/secret"
    host.witness.write(path, b"secret", mode=0o600)
    expect(exit_code(private.run(f"cat {path}")) != 0, "the kernel to refuse it", "it does not")
    told(host, "permission", get(private, path), "permission_denied")
    told(host, "permission", private.put(f"{host.scratch}/new", b"abc"), "permission_denied")


@case("ERR-ERRNO/permission", variant="eperm", needs="start root witness")
def test_eperm(host: Host) -> None:
    """In a sticky directory nobody may replace somebody else's file."""
    private = host.start(uid=NOBODY)
    directory = f"{host.scratch}/sticky"
    host.witness.mkdir(directory, 0o1777)
    host.witness.write(f"{directory}/file", b"old")
    expect(
        exit_code(private.run(f"mv -f /dev/null {directory}/file; rm -f {directory}/file")) != 0,
        "the kernel to refuse it",
        "it does not",
    )
    told(host, "permission", private.put(f"{directory}/file", b"new"), "permission_denied")


@case("ERR-ERRNO/permission", variant="erofs", needs="root witness")
def test_erofs(host: Host) -> None:
    directory = f"{host.scratch}/readonly"
    host.witness.mkdir(directory)
    host.witness.mount_tmpfs(directory, 65_536, readonly=True)
    told(host, "permission", host.put(f"{directory}/file", b"abc"), "permission_denied")


@case("ERR-ERRNO/directory", needs="witness")
def test_eisdir(host: Host) -> None:
    host.witness.mkdir(f"{host.scratch}/inner")
    told(host, "directory", host.put(f"{host.scratch}/inner", b"abc"), "is_directory")
    told(host, "directory", host.put(host.scratch, b"abc", name="inner"), "is_directory")


@case("ERR-ERRNO/space", variant="enospc", needs="root witness destructive")
def test_enospc(host: Host) -> None:
    directory = f"{host.scratch}/small"
    host.witness.mkdir(directory)
    host.witness.mount_tmpfs(directory, 131_072)
    told(host, "space", host.put(f"{directory}/file", bytes(400_000)), "no_space")


@case("ERR-ERRNO/space", variant="efbig", needs="start witness")
def test_efbig(host: Host) -> None:
    private = host.start(limits={resource.RLIMIT_FSIZE: (65_536, 65_536)})
    told(host, "space", private.put(f"{host.scratch}/file", bytes(65_537)), "no_space")


@case("ERR-ERRNO/name", needs="witness")
@pytest.mark.parametrize("name", ["n" * 256, "n/" * 2_100], ids=["component", "path"])
def test_enametoolong(host: Host, name: str) -> None:
    told(host, "name", get(host, f"{host.scratch}/{name}"), "invalid_argument")
    told(host, "name", host.put(f"{host.scratch}/{name}", b"abc"), "invalid_argument")


@case("ERR-ERRNO/name", variant="base-name", needs="witness")
def test_enametoolong_of_a_base_name(host: Host) -> None:
    told(host, "name", host.put(host.scratch, b"abc", name="n" * 256), "invalid_argument")


@case("ERR-ERRNO/spawn", needs="start root")
def test_eagain_of_fork(host: Host) -> None:
    """A user with too few processes: the agent and at most one worker of its own, or just the agent."""
    user = 1_000_000 + os.getpid()  # nobody else's: the kernel counts what all processes of a user have
    for most in (2, 1):
        private = host.start(uid=user, limits={resource.RLIMIT_NPROC: (most, most)})
        answer = private.run("true")
        if answer.terminal.get("op") != "exit":
            told(host, "spawn", answer, "spawn_failed")
            return
    expect(False, "a run that fails for want of processes", answer.terminal)
