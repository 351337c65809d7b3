"""Agents that run already behind TCP, and the times of agents that run already."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.drive import connectable
from guestwire.drive.connectable import UsageError
from guestwire.tests.harness import CONFORM, oracle, run, temporary

SHORT = ("--request-timeout", "1.2", "--io-timeout", "1.5", "--linger-timeout", "0.8")
TIMES = "[timers]\nrequest_timeout = 1.2\nio_timeout = {}\nlinger_timeout = 0.8\n"


def pump(source: socket.socket, target: socket.socket) -> None:
    """Bytes one way, and the end of them."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def serve_one(host: socket.socket, guest: Path) -> None:
    with host, socket.socket(socket.AF_UNIX) as agent:
        agent.connect(str(guest))
        back = threading.Thread(target=pump, args=(agent, host))
        back.start()
        pump(host, agent)
        back.join()


@contextlib.contextmanager
def behind_tcp(guest: Path, address: str) -> Iterator[int]:
    """A TCP port that leads to the agent behind the socket `guest`."""
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve_one, args=(listener.accept()[0], guest), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


@pytest.mark.parametrize("text", ["tcp:localhost:1", "tcp:127.0.0.1:65535", "tcp:[::1]:7000"])
def test_parsed(text: str) -> None:
    found = connectable.parse(text)
    assert (found.transports, f"tcp:{found.host}:{found.port}") == (("tcp",), text.replace("[", "").replace("]", ""))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tcp:7000", "no host and port"),
        ("tcp::7000", "no host and port"),
        ("tcp:[]:7000", "no host and port"),
        ("tcp:::1:7000", "tcp:[IPv6]:PORT"),
        ("tcp:localhost:", "port is not a number"),
        ("tcp:localhost:http", "port is not a number"),
        ("tcp:localhost:0", "1 to 65535"),
        ("tcp:localhost:65536", "1 to 65535"),
    ],
)
def test_mistake(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("[", r"\[")) as error:
        connectable.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_judged(folder: Path, address: str) -> None:
    """One that cannot be seen: what needs a witness could not run, and the verdict is partial."""
    guest = folder.parent / "agent.sock"
    with oracle(guest), behind_tcp(guest, address) as port:
        agent = f"tcp:[{address}]:{port}"
        words = ("--clause=PING", "--clause=CONV-HALFCLOSE", "--clause=GET-EXACT", "--clause=CONV-ONE")
        done = run(folder, *CONFORM, "run", agent, *words)
    assert done.status == 3, done.stdout
    assert done.cases["PING@tcp"][0] == "PASS"
    assert done.cases["CONV-HALFCLOSE/run@tcp"][0] == "PASS"
    witnessed = done.cases["CONV-ONE/descriptors:data@tcp"]
    assert witnessed == (
        "COULD-NOT-RUN",
        "the case to run",
        "no witness: the agent runs where the harness cannot see it",
    )
    assert {outcome for outcome, _, _ in done.cases.values()} == {"PASS", "COULD-NOT-RUN"}


def test_nobody_listens(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = run(folder, *CONFORM, "run", f"tcp:127.0.0.1:{port}", "--clause=PING")
    assert (done.status, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "is the agent running?" in done.stderr


@pytest.mark.parametrize(("io_timeout", "broken"), [("1.5", False), ("2.9", True)])
def test_declared_times_are_waited_for(folder: Path, io_timeout: str, broken: bool) -> None:
    """All at once; an agent that does not keep to what its descriptor says is red. (Not through the proxy, which would hide that
    the agent has given up what nobody reads.)"""
    guest, path = folder.parent / "agent.sock", folder.parent / "agent.toml"
    with oracle(guest, *SHORT):
        path.write_text(f'name = "far"\nconnect = "unix:{guest}"\n{TIMES.format(io_timeout)}')
        done = run(folder, *CONFORM, "run", str(path), "--clause=CONV-IDLE", "--clause=CONV-STALL")
    outcomes = {case: result[0] for case, result in done.cases.items() if result[0] != "COULD-NOT-RUN"}
    assert outcomes == {
        "CONV-IDLE/others@unix": "PASS",
        "CONV-STALL/upload:declared@unix": "PASS",
        "CONV-STALL/upload:running@unix": "NOT-APPLICABLE",
    }
    assert done.status == (1 if broken else 3)
    assert ("BROKEN CONV-STALL/upload (in CONV-STALL/upload:declared@unix)" in done.stdout) == broken
    assert "BROKEN CONV-IDLE/closed" not in done.stdout
