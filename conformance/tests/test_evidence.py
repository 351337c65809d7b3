"""What a failed case leaves behind."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestwire.drive.frames import KEPT
from guestwire.drive.transcript import Recording, RecordingSocket, Transcript
from guestwire.judge import evidence, transcript_file
from guestwire.judge.outcome import CaseResult
from guestwire.report import folder as report
from guestwire.report.timeline import Budget, conversations
from guestwire.tests.harness import MINI, TINY, Done, run, temporary


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


@pytest.fixture(scope="module")
def bare() -> Iterator[tuple[Done, dict[str, Path]]]:
    """A run on an agent whose pongs lack their version, and its evidence."""
    with temporary() as path:
        yield mini(path, "--bare"), left(path)


def mini(folder: Path, options: str) -> Done:
    return run(folder, *MINI, f"--agent=exec:{TINY} {options}", "--transport=unix", "-k=not slow")


def left(folder: Path) -> dict[str, Path]:
    """The evidence of the run, by the case's id."""
    found = folder.with_suffix(".report").glob("evidence/*/*/case.json")
    return {json.loads(path.read_text())["id"]: path.parent for path in found}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


# ---- of a run


def test_a_failure_leaves_a_folder_and_nothing_else_does(bare: tuple[Done, dict[str, Path]]) -> None:
    done, found = bare
    assert set(found) == {case for case, (outcome, _, _) in done.cases.items() if outcome != "PASS"}
    place = found["PING:2@unix"]
    assert f"evidence: {place}" in done.stdout
    above = place.parents[2]
    (told,) = [case["evidence"] for case in read(above / "report.json")["cases"] if case["id"] == "PING:2@unix"]
    assert above / told == place
    assert not (place / "threads.txt").exists()


def test_what_stands_in_it(bare: tuple[Done, dict[str, Path]]) -> None:
    place = bare[1]["PING:2@unix"]
    agent = read(place / "agent.json")
    assert agent["command"] == [str(TINY), "--bare"]
    assert agent["sha256"][str(TINY)] == hashlib.sha256(TINY.read_bytes()).hexdigest()
    assert agent["environment"]["LC_ALL"] == "C"
    assert [process["state"] for process in agent["processes"]] == ["running"]
    (asked,) = [each for each in read(place / "transcript.json")["conversations"] if not each["label"]]
    frames = [event for event in asked["events"] if event["what"] == "frame"]
    assert [(event["from"], json.loads(event["text"])["op"]) for event in frames] == [
        ("host", "ping"),
        ("agent", "pong"),
    ]
    assert base64.b64decode(frames[0]["payload"]) == b'{"op":"ping"}'
    assert asked["ended"] == "end of stream"
    text = (place / "transcript.txt").read_text()
    assert "000000  7b 22 6f 70 22 3a 22 70  69 6e 67 22 7d" in text
    assert "agent > host  end of stream" in text


def test_the_page_shows_its_frames(bare: tuple[Done, dict[str, Path]]) -> None:
    place = bare[1]["PING:2@unix"]
    above = place.parents[2]
    found = conversations(above, str(place.relative_to(above)), Budget())
    assert found[-1]["label"] == ""
    assert found[-1]["events"][0]["what"] == "JSON, 13 bytes"
    assert '"conversations":[{' in (above / "report.html").read_text().replace(" ", "")


def test_nobody_else_can_read_it(bare: tuple[Done, dict[str, Path]]) -> None:
    place = bare[1]["PING:1@unix"]
    for each in (place, place.parent, place.parent.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


def test_a_signal_is_told_by_name(folder: Path) -> None:
    mini(folder, "--die 6 --noise")
    place = left(folder)["PING:2@unix"]
    assert [process["state"] for process in read(place / "agent.json")["processes"]] == ["ended by signal SIGSEGV"]
    assert (place / "stderr.txt").read_bytes().count(b"\xff\x00\x1b[2J") > 1_000


def test_where_a_hung_agent_waits(folder: Path) -> None:
    mini(folder, "--hang 6")
    place = left(folder)["PING:2@unix"]
    assert read(place / "case.json")["outcome"] == "TIMEOUT"
    threads = (place / "threads.txt").read_text()
    assert f"{TINY} --hang 6" in threads
    assert "wchan: " in threads
    assert "syscall: " in threads
    assert "waited in vain" in (place / "transcript.txt").read_text()


def test_replay_runs_the_case_alone(bare: tuple[Done, dict[str, Path]]) -> None:
    place = bare[1]["PING:2@unix"]
    done = subprocess.run([place / "replay.sh"], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 1
    assert [case["id"] for case in read(place / "replay/report.json")["cases"]] == ["PING:2@unix"]
    assert (place / "transcript.json").exists()  # its run has not replaced the evidence it came from


def test_an_earlier_runs_evidence_goes(tmp_path: Path) -> None:
    report.claim(tmp_path)
    (tmp_path / "evidence/a/b").mkdir(parents=True)
    report.claim(tmp_path)
    assert not (tmp_path / "evidence").exists()


def test_names_that_are_no_path() -> None:
    assert evidence.file_safe("RUN-EXIT/signal:SIGTERM@unix") == "RUN-EXIT_signal+SIGTERM@unix"
    odd = [evidence.file_safe(name) for name in ("../x", "..", "a b", "a-b", "é" * 300, "")]
    assert not any("/" in name or name.startswith(".") for name in odd)
    assert len(set(odd)) == len(odd)
    assert max(map(len, odd)) < 255


# ---- the recording


def talk() -> tuple[RecordingSocket, socket.socket, Recording]:
    ours, theirs = socket.socketpair()
    recording = Recording(0.0)
    return RecordingSocket.around(ours, recording), theirs, recording


def document(recording: Recording) -> dict[str, Any]:
    transcript = Transcript()
    transcript.recordings.append(recording)
    found = transcript_file.document(CaseResult("A", "a", "unix", ["A"]), transcript, "")
    conversation: dict[str, Any] = found["conversations"][0]
    return conversation


def test_frames_are_found_however_the_bytes_come() -> None:
    sock, other, recording = talk()
    raw = b"\x02\0\0\0\x03abc" + b"\x03\0\0\0\x01x" + b"\x05\0\0\0\0" + b"\x01\0"
    with sock, other:
        for index in range(len(raw)):
            other.send(raw[index : index + 1])
            sock.recv(10)
        other.close()
        assert sock.recv(1) == b""
    events = [(e["what"], e.get("name"), e.get("length"), e.get("got")) for e in document(recording)["events"]]
    assert events == [
        ("frame", "STDOUT", 3, 3),
        ("frame", "STDERR", 1, 1),
        ("frame", "EOF", 0, 0),
        ("part of a header", None, None, 2),
        ("end of stream", None, None, None),
        ("close", None, None, None),
    ]


def test_what_is_peeked_at_comes_once() -> None:
    sock, other, recording = talk()
    with sock, other:
        other.send(b"\x05\0\0\0\0")
        assert sock.recv(1, socket.MSG_PEEK)
        sock.recv(5)
    assert [event["what"] for event in document(recording)["events"]] == ["frame", "close"]


def test_much_is_kept_as_its_sum() -> None:
    """Ten times what is kept: counted and hashed whole, in bounded memory."""
    sock, other, recording = talk()
    payload = bytes(range(256)) * 256
    count = 10 * KEPT // len(payload)
    with sock, other:
        for _ in range(count):
            other.sendall(b"\x02\0\x01\0\0" + payload)
            got = 0
            while got < len(payload) + 5:
                got += len(sock.recv(len(payload) + 5 - got))
    found = document(recording)
    total = found["totals"]["agent"]["STDOUT"]
    assert total == {"length": count * len(payload), "sha256": hashlib.sha256(payload * count).hexdigest()}
    assert sum(event.get("frames", 0) for event in found["events"]) == count
    assert sum(len(record.payload) for record in recording.received.frames().records) <= KEPT


def test_what_went_out_before_a_break_is_known() -> None:
    sock, other, recording = talk()
    with sock:
        sock.sendall(b"\x05\0\0\0\0")
        other.close()
        with pytest.raises(BrokenPipeError):
            sock.sendall(b"\x05\0\0\0\0")
    assert [(e["from"], e["what"]) for e in document(recording)["events"][:2]] == [
        ("host", "frame"),
        ("agent", "closed (EPIPE)"),
    ]
