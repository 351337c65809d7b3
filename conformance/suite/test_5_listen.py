"""Section 5: how the agent listens (SRV-LISTEN), and who is served on a Unix socket (SRV-PEER).

The command line is judged on the `unix` row alone: it is the same program on every transport.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import CouldNotRun, expect, expect_equal

UNIX = ("unix",)
INHERITING = ("unix", "fd-listen", "fd-conn")  # descriptors do not pass through the namespaced helper
NOBODY = 65534


def pong(conversation: Conversation) -> None:
    """A ping on this conversation is answered."""
    conversation.send_json({"op": "ping"})
    expect_equal(conversation.answer().terminal.get("op"), "pong", "op of the answer")


def refused(host: Host, pid: int, status: int, contains: str = "") -> str:
    """The agent ends by itself with that status, having said why in one line, which is returned."""
    ended = host.witness.wait(pid, 5)
    said: str = host.witness.stderr(pid).decode(errors="replace")
    expect_equal(ended, status, f"exit status (stderr: {said!r})")
    expect(
        said.count("\n") == 1 and said.endswith("\n") and len(said) > 10,
        "one line on stderr saying what is wrong",
        said,
    )
    expect(contains in said, f"a line naming {contains!r}", said)
    return said


@case("SRV-LISTEN/unix", needs="start witness", transports=UNIX)
def test_unix_socket(host: Host) -> None:
    path = f"{host.scratch}/agent.sock"
    host.launch("--listen", f"unix:{path}", umask=0)
    pong(host.dial(path))
    found = host.witness.info(path)
    expect_equal((found.kind, found.mode), ("socket", 0o600), "kind and mode of the socket file")


@case("SRV-LISTEN/unix", variant="equals", needs="start witness", transports=UNIX)
def test_option_with_equals(host: Host) -> None:
    path = f"{host.scratch}/a socket"
    host.launch(f"--listen=unix:{path}")
    pong(host.dial(path))


@case("SRV-LISTEN/stale", needs="start witness", transports=UNIX)
def test_stale_socket_is_replaced(host: Host) -> None:
    path = f"{host.scratch}/agent.sock"
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(path)
        leftover.listen()
    old = host.witness.info(path).inode
    pid = host.launch("--listen", f"unix:{path}")
    pong(host.dial(path))
    expect(host.witness.poll(pid) is None, "the agent serves", "it has ended")
    found = host.witness.info(path)
    expect(found.kind == "socket" and found.mode == 0o600, f"a new socket, 0600, in place of inode {old}", found)


@case("SRV-LISTEN/live", needs="start witness", transports=UNIX, twin="SRV-LISTEN/unix")
def test_live_socket_is_left_alone(host: Host) -> None:
    path = f"{host.scratch}/agent.sock"
    host.launch("--listen", f"unix:{path}")
    pong(host.dial(path))
    inode = host.witness.info(path).inode
    refused(host, host.launch("--listen", f"unix:{path}"), 1)
    expect_equal(host.witness.info(path).inode, inode, "inode of the live socket")
    pong(host.dial(path))


@case("SRV-LISTEN/not-socket", needs="start witness", transports=UNIX, twin="SRV-LISTEN/unix")
@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "link-to-file"])
def test_what_is_no_socket_is_left_alone(host: Host, kind: str) -> None:
    path = f"{host.scratch}/agent.sock"
    if kind == "file":
        host.witness.write(path, b"precious")
    elif kind == "directory":
        host.witness.mkdir(path)
    elif kind == "fifo":
        host.witness.mkfifo(path)
    else:
        host.witness.write(f"{host.scratch}/target", b"precious")
        host.witness.symlink("target", path)
    before = host.witness.info(path)
    refused(host, host.launch("--listen", f"unix:{path}"), 1)
    expect_equal(host.witness.info(path), before, "what stands in the socket's place")


@case("SRV-LISTEN/fd-listening", needs="start", transports=INHERITING)
def test_fd_listening(host: Host) -> None:
    agent = host.start(transport="fd-listen")
    agent.ping()
    agent.ping()


@case("SRV-LISTEN/fd-connected", needs="start", transports=INHERITING)
def test_fd_connected(host: Host) -> None:
    agent = host.start(transport="fd-conn")
    agent.ping()
    agent.agent.check_alive()  # on fd-conn: exited 0 in time


@case("SRV-LISTEN/fd-connected", variant="no-request", needs="start", transports=INHERITING)
def test_fd_connected_without_a_request(host: Host) -> None:
    agent = host.start(transport="fd-conn")
    agent.connect().close()
    agent.agent.check_alive()


@contextmanager
def wrong_descriptor(kind: str) -> Iterator[int]:
    """A descriptor that is no stream socket of AF_UNIX or AF_VSOCK, listening or connected."""
    if kind == "file":
        with tempfile.TemporaryFile() as file:
            yield file.fileno()
    elif kind == "pipe":
        ends = os.pipe()
        try:
            yield ends[0]
        finally:
            for end in ends:
                os.close(end)
    else:
        makers: dict[str, Callable[[], socket.socket]] = {
            "tcp": lambda: socket.create_server(("127.0.0.1", 0)),
            "datagram": lambda: socket.socketpair(type=socket.SOCK_DGRAM)[0],
            "seqpacket": lambda: socket.socketpair(type=socket.SOCK_SEQPACKET)[0],
            "unconnected": lambda: socket.socket(socket.AF_UNIX),
        }
        with closing(makers[kind]()) as sock:
            yield sock.fileno()


@case("SRV-LISTEN/fd-other", needs="start witness", transports=UNIX, twin="SRV-LISTEN/unix")
@pytest.mark.parametrize("kind", ["file", "pipe", "tcp", "datagram", "seqpacket", "unconnected"])
def test_fd_that_is_no_socket_of_ours(host: Host, kind: str) -> None:
    with wrong_descriptor(kind) as number:
        refused(host, host.launch("--listen", f"fd:{number}", pass_fds=(number,)), 2)


@case("SRV-LISTEN/fd-other", variant="closed", needs="start witness", transports=UNIX, twin="SRV-LISTEN/unix")
def test_fd_that_is_not_open(host: Host) -> None:
    refused(host, host.launch("--listen", "fd:99"), 2)


BAD = {
    "unknown-option": ["--frobnicate"],
    "positional": ["socket"],
    "missing-value": ["--listen"],
    "empty-listen": ["--listen", ""],
    "kind": ["--listen", "tcp:1234"],
    "no-path": ["--listen", "unix:"],
    "fd-word": ["--listen", "fd:x"],
    "fd-negative": ["--listen", "fd:-1"],
    "vsock-port-word": ["--listen", "vsock:x"],
    "vsock-port-huge": ["--listen", "vsock:4294967296"],
    "vsock-empty": ["--listen", "vsock:"],
    "vsock-cid-word": ["--listen", "vsock:x:1024"],
    "port-word": ["--port", "x"],
    "port-huge": ["--port", "4294967296"],
    "port-negative": ["--port", "-1"],
    "repeated-listen": ["--listen", "@", "--listen", "@"],
    "repeated-quiet": ["--listen", "@", "--quiet", "--quiet"],
    "repeated-timeout": ["--listen", "@", "--io-timeout", "1", "--io-timeout", "1"],
    "timeout-word": ["--listen", "@", "--request-timeout", "soon"],
    "timeout-zero": ["--listen", "@", "--io-timeout", "0"],
    "timeout-negative": ["--listen", "@", "--linger-timeout", "-1"],
    "timeout-nan": ["--listen", "@", "--linger-timeout", "nan"],
    "slots-zero": ["--listen", "@", "--max-requests", "0"],
    "slots-word": ["--listen", "@", "--max-requests", "many"],
    "cid-word": ["--listen", "@", "--allow-cid", "host"],
    "ready-fd-word": ["--listen", "@", "--ready-fd", "x"],
    "ready-fd-closed": ["--listen", "@", "--ready-fd", "99"],
    "quiet-with-value": ["--listen", "@", "--quiet=yes"],
}


@case("SRV-LISTEN/bad", needs="start witness", transports=UNIX, twin="SRV-LISTEN/bad:good-twin")
@pytest.mark.parametrize("name", BAD)
def test_bad_command_line(host: Host, name: str) -> None:
    """A bad or repeated option: one line, exit 2; nothing has been bound by then."""
    path = f"{host.scratch}/agent.sock"
    words = [f"unix:{path}" if word == "@" else word for word in BAD[name]]
    refused(host, host.launch(*words), 2)
    expect(host.witness.info(path) is None, "nothing bound", host.witness.names(host.scratch))


@case("SRV-LISTEN/bad", variant="good-twin", needs="start witness", transports=UNIX)
def test_every_good_option_is_taken(host: Host) -> None:
    """The positive twin of the table above."""
    path = f"{host.scratch}/agent.sock"
    words = "--quiet --request-timeout 2.5 --io-timeout=3 --linger-timeout 0.5 --max-requests 2 --allow-cid 3 --allow-cid any"
    host.launch("--listen", f"unix:{path}", *words.split())
    pong(host.dial(path))


@case("SRV-LISTEN/bind", needs="start witness", transports=UNIX, twin="SRV-LISTEN/unix")
@pytest.mark.parametrize("name", ["no-directory", "too-long"])
def test_cannot_bind(host: Host, name: str) -> None:
    path = f"{host.scratch}/missing/agent.sock" if name == "no-directory" else f"{host.scratch}/{'x' * 120}"
    refused(host, host.launch("--listen", f"unix:{path}"), 1)


@contextmanager
def vsock_port() -> Iterator[int]:
    """A vsock port that is taken, to see by EADDRINUSE which port an agent goes for."""
    try:
        taken = socket.socket(socket.AF_VSOCK)
    except OSError as error:
        raise CouldNotRun(f"this kernel has no AF_VSOCK ({error}): modprobe vsock") from None
    with closing(taken):
        taken.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        taken.listen()
        yield taken.getsockname()[1]


@case("SRV-LISTEN/precedence", needs="start witness", transports=UNIX, twin="SRV-LISTEN/precedence:empty-variable")
@pytest.mark.parametrize("how", ["variable", "port", "listen", "listen-url"])
def test_which_port_decides(host: Host, how: str) -> None:
    """The one named last in the table decides; it is taken, so the agent cannot bind: exit 1."""
    with vsock_port() as port:
        free = str(random.randrange(1 << 16, 1 << 30))  # the kernel hands out neighbours to cases at the same time
        words, env = {
            "variable": ([], {"SMOLVM_AGENT_PORT": str(port)}),
            "port": (["--port", str(port)], {"SMOLVM_AGENT_PORT": free}),
            "listen": (["--listen", f"vsock:{port}", "--port", free], {"SMOLVM_AGENT_PORT": free}),
            "listen-url": ([f"--listen=vsock://{port}", "--port", free], {}),
        }[how]
        refused(host, host.launch(*words, env=env), 1)


@case("SRV-LISTEN/precedence", variant="empty-variable", needs="start witness", transports=UNIX, twin="SRV-LISTEN/unix")
def test_variable_that_does_not_decide(host: Host) -> None:
    """Empty is unset, and a variable that is not asked is not judged; one that is asked is."""
    for value in ("", "garbage"):
        path = f"{host.scratch}/agent{len(value)}.sock"
        host.launch("--listen", f"unix:{path}", "--port", "5", env={"SMOLVM_AGENT_PORT": value})
        pong(host.dial(path))
    refused(host, host.launch(env={"SMOLVM_AGENT_PORT": "garbage"}), 2)


CLIENT = """
import os, socket, struct, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.settimeout(5)
try:
    s.connect(sys.argv[1])
except PermissionError:
    print("kernel"); sys.exit()
try:
    s.sendall(struct.pack(">BI", 1, 13) + b'{"op":"ping"}')
    print("served" if s.recv(5) else "refused")
except (BrokenPipeError, ConnectionResetError):
    print("refused")
"""


def client_as(uid: int, path: str) -> str:
    """What a client of that user comes to: served, refused (by the agent) or kernel (the socket's mode)."""
    words = [sys.executable, "-c", CLIENT, path, str(uid)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or done.stderr


@case("SRV-PEER/unix", needs="start witness root", transports=UNIX)
@pytest.mark.parametrize("agent_uid", [0, 1234])
@pytest.mark.parametrize("client_uid", [0, 1234, NOBODY])
def test_only_root_and_the_agents_user(host: Host, agent_uid: int, client_uid: int) -> None:
    """The socket's mode is opened on purpose, so that the agent itself has to look (SO_PEERCRED)."""
    host.witness.chmod(host.scratch, 0o777)
    path = f"{host.scratch}/agent.sock"
    host.launch("--listen", f"unix:{path}", **({"uid": agent_uid} if agent_uid else {}))
    pong(host.dial(path))
    if client_uid not in (0, agent_uid):
        expect_equal(client_as(client_uid, path), "kernel", "with mode 0600 the kernel refuses")
    host.witness.chmod(path, 0o666)
    expected = "served" if client_uid in (0, agent_uid) else "refused"
    expect_equal(
        client_as(client_uid, path), expected, f"a client of user {client_uid}, the agent being user {agent_uid}"
    )
    pong(host.dial(path))
