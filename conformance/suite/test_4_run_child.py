"""Section 4: what a command starts with (RUN-CHILD)."""

from __future__ import annotations

import re
import resource
import tempfile
from collections.abc import Iterable
from typing import Any

import pytest

from guestwire import protocol
from guestwire.drive.host import Host, exit_code
from guestwire.drive.process import StartSpec
from guestwire.judge.case import case
from guestwire.judge.outcome import expect_equal
from guestwire.suite.run_support import begin, read_lines

CATCHABLE = tuple(n for n in range(1, 65) if n not in (9, 19, 32, 33))  # those that sigaction(2) of a C library takes
INHERITING = ("unix", "fd-listen", "fd-conn")  # descriptors do not pass through the namespaced helper


def started_alike(host: Host, *argv: str, **conditions: Any) -> bytes:
    """What a plain program prints that is started just as an agent is."""
    pid = host.witness.start(StartSpec(argv=argv, **conditions))
    try:
        expect_equal(host.witness.wait(pid, 5), 0, f"exit status of {argv[0]}")
        output: bytes = host.witness.stderr(pid)  # its stdout goes there too
        return output
    finally:
        host.witness.stop(pid)


def status_lines(agent: Host, names: Iterable[str]) -> dict[str, int]:
    """Signal sets of /proc/self/status as a command sees them that has touched none. (A shell or grep touches some.)"""
    text = agent.output("exec cat /proc/self/status").decode()
    return {name: int(re.findall(rf"^{name}:\s*([0-9a-f]+)$", text, re.MULTILINE)[0], 16) for name in names}


# ---- session, stdin, working directory, umask


@case("RUN-CHILD/session")
def test_session_and_group_of_its_own(host: Host) -> None:
    """`in a session and process group of its own`: it leads both, and has no terminal."""
    said = host.output("echo $$; cat /proc/$$/stat; :").decode()
    pid, _, stat = said.partition("\n")
    pgrp, session, terminal = stat.rpartition(")")[2].split()[2:5]
    expect_equal((pgrp, session, terminal), (pid, pid, "0"), "process group, session and terminal")


@case("RUN-CHILD/stdin")
def test_stdin_is_at_its_end(host: Host) -> None:
    expect_equal(host.output("exec wc -c"), b"0\n", "bytes in stdin")
    expect_equal(host.output("exec readlink /proc/self/fd/0"), b"/dev/null\n", "stdin")


@case("RUN-CHILD/stdin", variant="never-the-agents", needs="start")
def test_stdin_is_never_the_agents(host: Host) -> None:
    """The agent's own may be a console."""
    expect_equal(host.start(stdin="/dev/zero").output("exec readlink /proc/self/fd/0"), b"/dev/null\n", "stdin")


@case("RUN-CHILD/stdin", variant="closed", needs="start")
def test_stdin_of_an_agent_without(host: Host) -> None:
    said = host.start(close=(0,)).output("readlink /proc/self/fd/0; exec wc -c").split()
    expect_equal(said, [b"/dev/null", b"0"], "stdin and the bytes in it")


@case("RUN-CHILD/cwd", needs="start witness")
def test_working_directory(host: Host) -> None:
    folder = f"{host.scratch}/wörking directory"
    host.witness.mkdir(folder)
    agent = host.start(cwd=folder)
    expect_equal(agent.output("exec readlink /proc/self/cwd"), f"{folder}\n".encode(), "working directory")
    expect_equal(agent.output("exec pwd", shell="login"), f"{folder}\n".encode(), "working directory of a login shell")


@case("RUN-CHILD/umask", needs="start")
@pytest.mark.parametrize("mask", [0o027, 0o000], ids=["027", "000"])
def test_umask(host: Host, mask: int) -> None:
    expect_equal(host.start(umask=mask).output("umask"), b"%04o\n" % mask, "umask")


# ---- signals


@case("RUN-CHILD/signals", "RUN-CHILD/mask")
@pytest.mark.parametrize("shell", ["raw", "login"])
def test_signals(host: Host, shell: str) -> None:
    """`every signal at its default and none blocked`: those of the C library's own too."""
    text = host.output("exec cat /proc/self/status", shell=shell).decode()
    found = dict(re.findall(r"^(Sig(?:Blk|Ign|Cgt)):\s*([0-9a-f]+)$", text, re.MULTILINE))
    expect_equal(found, dict.fromkeys(("SigBlk", "SigIgn", "SigCgt"), "0" * 16), "signal sets")


@case("RUN-CHILD/signals", variant="agent-ignores", needs="start")
def test_signals_that_the_agent_was_started_to_ignore(host: Host) -> None:
    """An init's `&` leaves SIGINT and SIGQUIT ignored."""
    expect_equal(status_lines(host.start(ignore=CATCHABLE), ["SigIgn"]), {"SigIgn": 0}, "ignored signals")


@case("RUN-CHILD/mask", variant="agent-blocks", needs="start")
def test_signals_that_the_agent_was_started_to_block(host: Host) -> None:
    expect_equal(status_lines(host.start(block=CATCHABLE), ["SigBlk"]), {"SigBlk": 0}, "blocked signals")


@case("RUN-CHILD/sigpipe")
def test_sigpipe_kills(host: Host) -> None:
    """As in `yes | head`: 128 + 13 from the shell, and no complaint about a broken pipe."""
    answer = host.run("{ yes; echo $? >&2; } | head -n 1")
    expect_equal((answer.stdout, answer.stderr), (b"y\n", b"141\n"), "the first line, and the status of yes")


@case("RUN-CHILD/sigpipe", variant="agent-ignores", needs="start")
def test_sigpipe_that_the_agent_was_started_to_ignore(host: Host) -> None:
    answer = host.start(ignore=(13,)).run("{ yes; echo $? >&2; } | head -n 1")
    expect_equal((answer.stdout, answer.stderr), (b"y\n", b"141\n"), "the first line, and the status of yes")


# ---- limits


@case("RUN-CHILD/limits", needs="start witness")
def test_limits(host: Host) -> None:
    """The agent raises its own descriptor limit, not its children's (SRV-START)."""
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (200, 1000),
        resource.RLIMIT_STACK: (4 << 20, 6 << 20),
        resource.RLIMIT_FSIZE: (1 << 30, 1 << 31),
        resource.RLIMIT_CPU: (900, 1000),
    }
    expected = started_alike(host, "/bin/cat", "/proc/self/limits", limits=limits)
    agent = host.start(limits=limits)
    expect_equal(agent.output("exec cat /proc/self/limits"), expected, "limits")
    expect_equal(agent.output("ulimit -Sn; ulimit -Hn"), b"200\n1000\n", "descriptors, soft and hard")


@case("RUN-CHILD/limits", variant="defaults", needs="start witness")
def test_limits_nobody_set(host: Host) -> None:
    limits = {resource.RLIMIT_CORE: (0, 0)}  # but this one: a sanitizer changes it before main()
    expected = started_alike(host, "/bin/cat", "/proc/self/limits", limits=limits)
    expect_equal(host.start(limits=limits).output("exec cat /proc/self/limits"), expected, "limits")


@case("RUN-CHILD/oom", needs="start")
@pytest.mark.parametrize("score", [0, 300])
def test_oom_score_adj(host: Host, score: int) -> None:
    """SRV-OOM lowers the agent's own only."""
    said = host.start(oom_score_adj=score).output("exec cat /proc/self/oom_score_adj")
    expect_equal(said, b"%d\n" % score, "oom_score_adj")


@case("RUN-CHILD/oom", variant="unprivileged", needs="start root", transports=("unix", "fd-listen", "unix-ns"))
def test_oom_score_adj_of_an_unprivileged_agent(host: Host) -> None:
    """Where the agent may not lower its own, the command's stays what it is."""
    agent = host.start(oom_score_adj=300, uid=65_534)
    expect_equal(agent.output("id -u; exec cat /proc/self/oom_score_adj"), b"65534\n300\n", "user and oom_score_adj")


# ---- descriptors


def expect_standard_only(listing: bytes) -> None:
    """`ls -l /proc/self/fd` shows 0, 1, 2 and the directory it reads."""
    found = re.findall(rb"(\S+) -> (.*)", listing)
    numbers = [name for name, target in found if not re.fullmatch(rb"/proc/\d+/fd", target)]
    expect_equal(numbers, [b"0", b"1", b"2"], f"descriptors in {listing.decode(errors='replace')}")


@case("RUN-CHILD/descriptors")
def test_descriptors(host: Host) -> None:
    expect_standard_only(host.output("exec ls -l /proc/self/fd"))


@case("RUN-CHILD/descriptors", variant="inherited", needs="start", transports=INHERITING)
def test_descriptors_of_an_agent_that_inherited_some(host: Host) -> None:
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
        agent = host.start(pass_fds=(one.fileno(), other.fileno()))
        expect_standard_only(agent.output("exec ls -l /proc/self/fd"))


@case("RUN-CHILD/descriptors", variant="closed", needs="start")
def test_descriptors_of_an_agent_without_standard_ones(host: Host) -> None:
    agent = host.start(close=(0, 1, 2))
    answer = agent.run("(ls -l /proc/self/fd 2>/dev/null); echo err >&2")  # some say that one of them is gone
    expect_standard_only(answer.stdout)
    expect_equal(answer.stderr, b"err\n", "stderr")


@case("RUN-CHILD/descriptors", variant="crowd", needs="server witness destructive full-close", deadline=30)
def test_descriptors_in_a_crowd(host: Host) -> None:
    """Uploads, downloads and runs under way, and many shells started at the same moment: nothing leaks into any of them."""
    host.witness.write(f"{host.scratch}/large", bytes(1 << 20))
    under_way = [begin(host, "echo here; exec sleep 60") for _ in range(8)]
    for index in range(8):
        download = host.connect()
        download.send_json({"op": "get_file", "path": f"{host.scratch}/large"})
        upload = host.connect()
        upload.send_json({"op": "put_file", "path": f"{host.scratch}/{index}", "size": 2})
        upload.send_frame(protocol.FRAME_DATA, b"1")
        under_way += [download, upload]
    for conversation in under_way[:8]:
        read_lines(conversation, 1)
    listings = [begin(host, "exec ls -l /proc/self/fd") for _ in range(40)]  # 64 in all
    for conversation in listings:
        answer = conversation.answer()
        expect_equal(exit_code(answer), 0, "exit code of ls")
        expect_standard_only(answer.stdout)
    for conversation in under_way:
        conversation.close()
