"""Section 5: start, stop, readiness, and life as PID 1 (SRV-START, SRV-STOP, SRV-READY, SRV-INIT, SRV-OOM)."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.suite.run_support import ORPHANS

INHERITING = ("unix", "fd-listen", "fd-conn")  # descriptors do not pass through the namespaced helper
IGNORED = (signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGHUP)
STOP = 2.0  # SRV-STOP, seconds
SLACK = 0.5  # seconds for a loaded machine


def started_run(host: Host, cmd: str, pids: int = 1) -> tuple[Conversation, list[int], bytes]:
    """A run that prints its pid (and `pids` - 1 others), a line each, and goes on: the conversation, the pids, and what came
    on STDOUT after them."""
    conversation = host.connect()
    conversation.send_json({"op": "run", "shell": "raw", "cmd": f"echo $$; {cmd}"})
    said = b""
    while said.count(b"\n") < pids:
        kind, payload = conversation.recv_frame(what="the pid that the command prints")
        expect_equal(kind, protocol.FRAME_STDOUT, "frame type")
        said += payload
    *lines, rest = said.split(b"\n", pids)
    return conversation, [int(line) for line in lines], rest


# ---- start


@case("SRV-START/ignored", needs="start witness")
def test_signals_ignored_at_the_start(host: Host) -> None:
    """With SIGCHLD ignored every exit code would read 0."""
    agent = host.start(ignore=IGNORED)
    expect_equal(exit_code(agent.run("exit 7")), 7, "exit code")
    expect_equal(exit_code(agent.run("kill -9 $$")), -9, "exit code of a killed command")


@case("SRV-START/ignored", variant="sigint-stops", needs="start witness server")
def test_ignored_sigint_still_stops(host: Host) -> None:
    """An init's `&` leaves SIGINT ignored."""
    agent = host.start(ignore=IGNORED)
    agent.ping()
    host.witness.signal(agent.pid, signal.SIGINT)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status after SIGINT")


@case("SRV-START/blocked", needs="start witness server")
def test_signals_blocked_at_the_start(host: Host) -> None:
    agent = host.start(block=tuple(range(1, 65)))
    expect_equal(exit_code(agent.run("exit 7")), 7, "exit code")
    host.witness.signal(agent.pid, signal.SIGTERM)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status after SIGTERM")


@case("SRV-START/closed", needs="start witness")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=["0", "1", "2", "012"])
def test_descriptors_closed_at_the_start(host: Host, closed: tuple[int, ...]) -> None:
    """They are opened on /dev/null, so that no connection or pipe ever takes their place."""
    agent = host.start(close=closed)
    conversation, _, said = started_run(agent, "sleep 0.2; echo err >&2; echo out; read x; echo end=$x; exec true")
    for number in closed:
        expect_equal(
            host.witness.descriptor_target(agent.pid, number), "/dev/null", f"descriptor {number} of the agent"
        )
    answer = conversation.answer()
    expect_equal((said + answer.stdout, answer.stderr), (b"out\nend=\n", b"err\n"), "both streams")
    expect_equal(exit_code(answer), 0, "exit code")


@case("SRV-START/inherited", needs="start", transports=INHERITING)
def test_inherited_descriptors_do_not_reach_commands(host: Host) -> None:
    with tempfile.TemporaryFile() as file:
        agent = host.start(pass_fds=(file.fileno(),))
        said = agent.output("exec ls -l /proc/self/fd")
        inode = os.fstat(file.fileno()).st_ino
        expect(f"/#{inode}".encode() not in said, "no inherited descriptor in the command", said)
        expect_equal(said.count(b" -> "), 4, "descriptors: 0, 1, 2 and the one ls opens")


@case("SRV-START/limit", needs="start witness")
def test_descriptor_limit(host: Host) -> None:
    agent = host.start(limits={resource.RLIMIT_NOFILE: (256, 4096)})
    conversation, _, said = started_run(agent, "ulimit -Sn; ulimit -Hn; exec sleep 0.2")
    line = next(
        line for line in host.witness.proc(agent.pid, "limits").splitlines() if line.startswith(b"Max open files")
    )
    expect_equal(line.split()[3:5], [b"4096", b"4096"], "the agent's own limit, soft and hard")
    expect_equal((said + conversation.answer().stdout).split(), [b"256", b"4096"], "its command's limit, soft and hard")


@case("SRV-OOM", needs="start witness root")
def test_oom_score_adj_is_lowered(host: Host) -> None:
    agent = host.start(oom_score_adj=100)
    conversation, _, said = started_run(agent, "cat /proc/self/oom_score_adj; exec sleep 0.2")
    own = int(host.witness.proc(agent.pid, "oom_score_adj"))
    expect(own < 100, "the agent's own oom_score_adj below 100, as far as the kernel lets it", own)
    expect_equal(said + conversation.answer().stdout, b"100\n", "the command's oom_score_adj")


# ---- stop


@case("SRV-STOP/exit", needs="start witness server")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_exit_0_within_2_s(host: Host, number: int) -> None:
    agent = host.start()
    agent.ping()
    idle = agent.connect()
    agent.arrived()
    host.witness.signal(agent.pid, number)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status in time")
    idle.closed_silently(1)


@case("SRV-STOP/runs", "SRV-STOP/silent", needs="start witness server")
def test_stop_kills_runs(host: Host) -> None:
    agent = host.start()
    silent, silent_pids, _ = started_run(agent, "sleep 60 & echo $!; wait", pids=2)
    noisy, noisy_pids, _ = started_run(agent, "exec yes")
    upload = agent.connect()
    upload.send_json({"op": "put_file", "path": f"{host.scratch}/file", "size": 10})
    upload.send_frame(protocol.FRAME_DATA, b"12345")
    wait_for(lambda: host.witness.temporaries(host.scratch), 2, "a temporary file in mid-upload")
    host.witness.signal(agent.pid, signal.SIGTERM)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status in time")
    for pid in silent_pids + noisy_pids:
        expect(host.witness.wait_dead(pid, 0.5) is not None, f"process {pid} of a run killed", "it lives")
    silent.closed_silently(1)
    upload.closed_silently(1)
    kinds = {kind for kind, _ in _whole_frames(noisy)}
    expect(kinds <= {protocol.FRAME_STDOUT}, "no word about the end in a run's stream", kinds)
    expect_equal(host.witness.temporaries(host.scratch), [], "temporary files")
    expect(host.witness.info(f"{host.scratch}/file") is None, "no file of a broken upload", "it is there")


def _whole_frames(conversation: Conversation) -> list[tuple[int, bytes]]:
    """All frames up to the end, which may come inside one: the agent stopped."""
    frames = []
    try:
        while True:
            frames.append(conversation.recv_frame())
    except Violation:
        conversation.close()
    return frames


@case("SRV-STOP/files", needs="start witness server")
def test_stop_removes_temporary_files(host: Host) -> None:
    agent = host.start()
    uploads = []
    for index in range(3):
        upload = agent.connect()
        upload.send_json({"op": "put_file", "path": f"{host.scratch}/file{index}", "size": 100_000})
        upload.send_frame(protocol.FRAME_DATA, b"x" * 50_000)
        uploads.append(upload)
    wait_for(lambda: len(host.witness.temporaries(host.scratch)) == 3, 2, "three temporary files")
    host.witness.signal(agent.pid, signal.SIGTERM)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status in time")
    expect_equal(host.witness.names(host.scratch), [], "what is left")
    for upload in uploads:
        upload.closed_silently(1)


@case("SRV-STOP/silent", variant="queued", needs="start witness server")
def test_stop_starts_nothing_that_was_queued(host: Host) -> None:
    agent = host.start("--max-requests", "1")
    busy, _, _ = started_run(agent, "exec sleep 60")
    queued = agent.connect()
    queued.send_json({"op": "run", "shell": "raw", "cmd": f"touch {host.scratch}/started"})
    queued.silence(0.1)
    agent.arrived()
    host.witness.signal(agent.pid, signal.SIGTERM)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status in time")
    busy.closed_silently(1)
    queued.closed_silently(1)
    expect_equal(host.witness.names(host.scratch), [], "traces of the queued command")


@case("SRV-STOP/socket", needs="start witness", transports=("unix",))
def test_stop_removes_its_own_socket_only(host: Host) -> None:
    for replaced in (False, True):
        path = f"{host.scratch}/agent-{replaced}.sock"
        pid = host.launch("--listen", f"unix:{path}")
        host.dial(path).close()
        if replaced:
            host.witness.unlink(path)
            host.witness.mksocket(path)
        host.witness.signal(pid, signal.SIGTERM)
        expect_equal(host.witness.wait(pid, STOP + SLACK), 0, "exit status in time")
        expect_equal(host.witness.info(path) is not None, replaced, "whether something stands at the socket's path")


# ---- readiness


def _first_line(descriptor: int, timeout: float = 5.0) -> bytes:
    """The first line from a pipe, which is closed then."""
    with open(descriptor, "rb") as file:
        expect(
            select.select([file], [], [], timeout)[0], f"a line on the ready descriptor within {timeout:g} s", "none"
        )
        return file.readline()


@case("SRV-READY/fd", needs="start", transports=("unix", "fd-listen"))
def test_ready_fd(host: Host) -> None:
    """`READY=1` once connections are accepted: one made right then is answered."""
    read_end, write_end = os.pipe()
    try:
        agent = host.start("--ready-fd", str(write_end), pass_fds=(write_end,))
    finally:
        os.close(write_end)
    expect_equal(_first_line(read_end), b"READY=1\n", "the line on the ready descriptor")
    agent.ping()


@case("SRV-READY/fd", variant="not-too-early", needs="start", transports=("unix",))
def test_ready_fd_comes_after_listening(host: Host) -> None:
    for attempt in range(5):
        path = f"{host.scratch}/{attempt}.sock"
        read_end, write_end = os.pipe()
        try:
            host.launch("--listen", f"unix:{path}", "--ready-fd", str(write_end), pass_fds=(write_end,))
        finally:
            os.close(write_end)
        expect_equal(_first_line(read_end), b"READY=1\n", "the line on the ready descriptor")
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(path)
            except OSError as error:
                raise Violation("a connection right after READY=1", str(error)) from None


@contextmanager
def notify_socket(address: str | bytes) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(5)
        yield manager


def _notified(manager: socket.socket) -> list[bytes]:
    try:
        return manager.recv(4096).split(b"\n")
    except TimeoutError:
        raise Violation("a notification within 5 s", "none") from None


@case("SRV-READY/notify", needs="start", transports=("unix",))
def test_notify_socket_path(host: Host) -> None:
    path = f"{host.scratch}/notify"
    with notify_socket(path) as manager:
        agent = host.start(env={"NOTIFY_SOCKET": path})
        expect(b"READY=1" in _notified(manager), "READY=1 among the lines", "it is not")
        agent.ping()


@case("SRV-READY/abstract", needs="start", transports=("unix", "fd-listen"))
def test_notify_socket_abstract(host: Host) -> None:
    name = f"guestwire-{os.getpid()}-{time.monotonic_ns()}"
    with notify_socket(b"\0" + name.encode()) as manager:
        agent = host.start(env={"NOTIFY_SOCKET": f"@{name}"})
        expect(b"READY=1" in _notified(manager), "READY=1 among the lines", "it is not")
        agent.ping()


@case("SRV-READY/failure", needs="start")
@pytest.mark.parametrize(
    "address", ["/nonexistent/notify", "relative", "@", "@guestwire-nobody", "vsock:2:x", "x" * 200]
)
def test_failing_notification_delays_nothing(host: Host, address: str) -> None:
    agent = host.start(env={"NOTIFY_SOCKET": address})
    agent.ping(within=2)
    time.sleep(0.3)  # it may fail later than the first ping comes
    agent.ping(within=2)


@case("SRV-READY/failure", variant="full", needs="start", transports=("unix",))
def test_notification_nobody_reads(host: Host) -> None:
    """A manager that does not read its datagrams: the queue is full, serving goes on."""
    path = f"{host.scratch}/notify"
    with notify_socket(path), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(path)
        with suppress(BlockingIOError):
            while True:
                other.send(b"x")
        began = time.monotonic()
        host.start(env={"NOTIFY_SOCKET": path}).ping(within=2)
        expect(time.monotonic() - began < 2, "a ping answered within 2 s of the start", "later")


@case("SRV-READY/failure", variant="ready-fd", needs="start", transports=("unix", "fd-listen"))
def test_ready_fd_nobody_reads(host: Host) -> None:
    """A full pipe, and one whose reader is gone."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    host.start("--ready-fd", str(write_end), pass_fds=(write_end,)).ping(within=2)
    os.close(read_end)
    host.start("--ready-fd", str(write_end), pass_fds=(write_end,)).ping(within=2)
    os.close(write_end)


# ---- PID 1 and subreaper


def _agent_pid(host: Host, agent: Host, init: bool) -> int:
    return (
        int(wait_for(lambda: host.witness.children(agent.pid), 5, "the agent as PID 1")[0].pid) if init else agent.pid
    )


@case("SRV-INIT/reaps", "SRV-INIT/status", needs="start witness root server destructive", deadline=60, long=True)
@pytest.mark.parametrize("role", ["init", "subreaper"])
def test_orphans_are_reaped_and_no_status_is_taken(host: Host, role: str) -> None:
    """1,000 orphans, and runs with different statuses at the same time."""
    agent = host.start(init=True) if role == "init" else host.start(subreaper=True)
    maker = agent.connect()
    maker.send_json({"op": "run", "shell": "raw", "cmd": ORPHANS})
    for status in range(1, 60):
        expect_equal(exit_code(agent.run(f"exit {status}")), status, "exit code beside a thousand orphans")
    expect_equal(exit_code(maker.answer()), 0, "exit code of the command that made them")
    pid = _agent_pid(host, agent, role == "init")
    wait_for(lambda: not host.witness.children(pid), 3, "all orphans reaped")


@case("SRV-INIT/reaps", variant="lives-on", needs="start witness root server")
def test_background_process_becomes_init_child(host: Host) -> None:
    """One that holds no stream outlives its run, becomes PID 1's child, and is reaped when it ends."""
    agent = host.start(init=True)
    pid = _agent_pid(host, agent, init=True)
    expect_equal(exit_code(agent.run("setsid sleep 0.6 >/dev/null 2>&1 & exit 4")), 4, "exit code")
    expect(len(host.witness.children(pid)) == 1, "the background process lives on", host.witness.children(pid))
    wait_for(lambda: not host.witness.children(pid), 5, "the background process reaped")


@case("SRV-INIT/reaps", variant="stops", needs="start witness root", transports=("unix",))
def test_pid_1_stops_on_sigterm(host: Host) -> None:
    """PID 1 gets no default action: the agent must have handlers."""
    agent = host.start(init=True)
    agent.ping()
    host.witness.signal(_agent_pid(host, agent, init=True), signal.SIGTERM)
    expect_equal(host.witness.wait(agent.pid, STOP + SLACK), 0, "exit status after SIGTERM")
