"""`conform replay`: the recorded bytes again, and what comes back otherwise."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.drive.conversation import frame
from guestwire.drive.frames import KEPT
from guestwire.drive.replaying import Part, Replay
from guestwire.drive.transcript import Recording, Transcript
from guestwire.judge import transcript_file
from guestwire.judge.outcome import CaseResult
from guestwire.judge.outline import digest, outline
from guestwire.judge.verdict import Exit
from guestwire.tests.harness import MINI, TINY, run, temporary
from guestwire.tests.test_vm_machine import AGENT

PONG = b'{"ok":true,"op":"pong","agent_version":"1","proto":1,"instance":"a-1"}'


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """The evidence of a ping whose pong had no version."""
    with temporary() as folder:
        run(folder, *MINI, f"--agent=exec:{TINY} --bare", "--transport=unix", "-k=test_ping")
        yield folder.with_suffix(".report") / "evidence/tiny.py/PING+2@unix"


# ---- the command


def test_the_same_agent_says_the_same(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(place)]) == Exit.GREEN
    assert "conversation 1: the same" in capsys.readouterr().out


@pytest.mark.parametrize("transport", ["unix", "fd-conn"])
def test_another_agent_says_something_else(place: Path, capsys: pytest.CaptureFixture[str], transport: str) -> None:
    assert cli.main(["replay", str(place), f"exec:{TINY}", "--transport", transport]) == Exit.RED
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].endswith(f"over {transport} (-recorded, +now):")
    assert '-JSON {"ok": true, "op": "pong", "proto": 1, "instance": *}' in lines
    assert any(line.startswith("+JSON ") and '"agent_version": *' in line for line in lines)


def test_a_running_agent(place: Path) -> None:
    with temporary() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(folder / "agent.sock")
        listener.bind(path)
        listener.listen()
        asked: list[bytes] = []

        def serve() -> None:
            while len(asked) < 1:
                connection, _ = listener.accept()
                with connection:
                    request = connection.recv(100)
                    if request:
                        asked.append(request)
                        connection.sendall(frame(1, PONG))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert cli.main(["replay", str(place), f"unix:{path}"]) == Exit.RED
        thread.join(5)
    assert asked == [frame(1, b'{"op":"ping"}')]


def no_conversation(found: dict[str, Any]) -> None:
    found["conversations"] = found["conversations"][:1]


def too_much(found: dict[str, Any]) -> None:
    found["conversations"][-1]["host_whole"] = False


def unknown_agent(found: dict[str, Any]) -> None:
    found["conversations"][-1]["agent"] = -1


def no_such_agent(found: dict[str, Any]) -> None:
    found["conversations"][-1]["agent"] = 7


def no_step(found: dict[str, Any]) -> None:
    found["conversations"][-1]["host"].append({"at": 1, "do": "jump"})


def endless(found: dict[str, Any]) -> None:
    found["conversations"][-1]["host"][0]["at"] = 1e12


def another_version(found: dict[str, Any]) -> None:
    found["format_version"] = 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (no_conversation, "no conversation of the case's own"),
        (too_much, "too many"),
        (unknown_agent, "how the agent was started"),
        (no_such_agent, "damaged"),
        (no_step, "damaged"),
        (endless, "damaged"),
        (another_version, "cannot read"),
    ],
)
def test_what_cannot_be_replayed(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], None],
    says: str,
) -> None:
    found = json.loads((place / "transcript.json").read_text())
    change(found)
    (tmp_path / "transcript.json").write_text(json.dumps(found))
    (tmp_path / "agent.json").write_bytes((place / "agent.json").read_bytes())
    assert cli.main(["replay", str(tmp_path)]) == Exit.USAGE
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["/nowhere"], "no evidence"),
        (["PLACE", "exec:/nowhere"], "no such file"),
        (["PLACE", f"exec:{TINY}", "--transport=tcp"], "has no transport 'tcp'"),
        (["PLACE", "oracle-ready"], "a gate has no part in an agent's conversations"),
    ],
)
def test_usage(place: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert cli.main(["replay", *(str(place) if word == "PLACE" else word for word in words)]) == Exit.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_of_a_bridge_nothing_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its evidence tells how it was started; what the case sent is the case's own."""
    (tmp_path / "agent.json").write_text("{}")
    assert cli.main(["replay", str(tmp_path)]) == Exit.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"records no conversation of the case's own: run {tmp_path}/replay.sh")


def test_an_agent_in_a_guest(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(place), f"qemu-vhost-user:{AGENT}"]) == Exit.RED
    said = capsys.readouterr().out
    assert "over qemu-vhost-user (-recorded, +now):" in said
    assert '"agent_version": *' in said.replace('":*', '": *')


# ---- the playing


def recorded(host: Callable[[socket.socket], None], agent: Callable[[socket.socket], None]) -> dict[str, Any]:
    """A conversation of transcript.json, and its outline."""
    transcript = Transcript()
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=agent, args=(theirs,))
    sock = transcript.record(ours)
    thread.start()
    with sock:
        host(sock)
    thread.join()
    theirs.close()
    found: dict[str, Any] = transcript_file.document(CaseResult("A", "a", "unix", ["A"]), transcript, "")[
        "conversations"
    ][0]
    return found


def played(found: dict[str, Any], agent: Callable[[socket.socket], None]) -> Recording:
    threads = []
    sockets = []

    def connect(number: int) -> socket.socket:
        assert number == 0
        ours, theirs = socket.socketpair()
        sockets.append(theirs)
        threads.append(threading.Thread(target=agent, args=(theirs,)))
        threads[-1].start()
        return ours

    (recording,) = Replay([Part.of(json.loads(json.dumps(found)))], connect).run()
    for thread, sock in zip(threads, sockets, strict=True):
        thread.join()
        sock.close()
    return recording


def echo(sock: socket.socket) -> None:
    """Sends back what comes, then ends."""
    while data := sock.recv(65_536):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def read_all(sock: socket.socket) -> None:
    while sock.recv(65_536):
        pass


def in_turns(sock: socket.socket) -> None:
    """The second piece goes once the first has come back."""
    sock.sendall(frame(2, b"one"))
    sock.recv(8)
    sock.sendall(frame(3, b"two"))
    sock.shutdown(socket.SHUT_WR)
    read_all(sock)


def much(sock: socket.socket) -> None:
    """More than the socket's buffers hold, while nobody reads."""
    sender = threading.Thread(target=sock.sendall, args=(frame(2, bytes(KEPT - 5)),))
    sender.start()
    got = 0
    while got < KEPT:
        got += len(sock.recv(65_536))
    sender.join()
    sock.shutdown(socket.SHUT_WR)
    read_all(sock)


@pytest.mark.parametrize("host", [in_turns, much])
def test_what_is_alike_has_the_same_outline(host: Callable[[socket.socket], None]) -> None:
    found = recorded(host, echo)
    assert found["host_whole"]
    assert outline(played(found, echo)) == found["outline"]


def test_another_byte_shows() -> None:
    def other(sock: socket.socket) -> None:
        while data := sock.recv(65_536):
            sock.sendall(data.replace(b"two", b"tvo"))
        sock.shutdown(socket.SHUT_WR)

    found = recorded(in_turns, echo)
    now = outline(played(found, other))
    assert next(pair for pair in zip(found["outline"], now, strict=True) if pair[0] != pair[1]) == (
        "STDERR 3 bytes b'two'",
        "STDERR 3 bytes b'tvo'",
    )


# ---- the outline


def told(*pieces: bytes, ended: bool = True) -> list[str]:
    recording = Recording(0.0)
    for piece in pieces:
        recording.received.note(piece)
    if ended:
        recording.mark("agent", "end of stream")
    return outline(recording)


STREAMS = frame(2, b"abcdef") + frame(3, b"xy")
EXIT = frame(1, b'{"ok":true,"op":"exit","exit_code":0}')


@pytest.mark.parametrize(
    "pieces",
    [
        [STREAMS[:3], STREAMS[3:] + EXIT],
        [frame(2, b"abc"), frame(2, b"def"), frame(3, b"xy"), EXIT],
        [frame(3, b"x"), frame(2, b"abcd"), frame(3, b"y"), frame(2, b"ef"), EXIT],
    ],
)
def test_chunks_and_interleaving_do_not_count(pieces: list[bytes]) -> None:
    assert told(*pieces) == told(STREAMS + EXIT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PONG, PONG.replace(b'"1"', b'"2 \\" 3"').replace(b"a-1", b"b-2")),
        (b'{"ok":false,"op":"error","error":"no \\"op\\""}', b'{"ok":false,"op":"error","error":"what?"}'),
    ],
)
def test_what_may_differ_does_not_count(one: bytes, other: bytes) -> None:
    assert told(frame(1, one)) == told(frame(1, other))


WHOLE = b"".join(
    (frame(1, PONG), frame(2, bytes(300)), frame(3, b"error"), EXIT, frame(5, b""), frame(9, b"?"), frame(1, b"{"))
)


def test_any_other_altered_byte_counts() -> None:
    """Every byte of a conversation in turn, but for those of the two values that may differ."""
    before = digest(told(WHOLE))
    free = [WHOLE.index(value) + at for value in (b'"1"', b'"a-1"') for at in range(1, len(value) - 1)]
    same = [
        at for at in range(len(WHOLE)) if digest(told(WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :])) == before
    ]
    assert same == free
    assert digest(told(WHOLE[:-1])) != before
    assert digest(told(WHOLE + b"\1")) != before
    assert digest(told(WHOLE, ended=False)) != before
