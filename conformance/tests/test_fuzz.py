"""`conform fuzz`: bugs planted in an agent of another language are found, made small and kept; what is drawn and what is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.blackbox import campaign, gate, mutate, shrink, side
from guestwire.blackbox.inputs import Frame, Input, parse
from guestwire.blackbox.seeds import seeds
from guestwire.mutants import build
from guestwire.tests.harness import CONFORM, HERE, ORACLE, expect_refused, left_behind, oracle, run, start, temporary

ROOT = HERE.parents[1]
EXAMPLE = ROOT / "conformance/examples/go"
AGENT = ROOT / "build/smolvm-guest-agent"
PLANTED = {  # file of the example: what stands there, what is put in its place
    "put.go": (
        ("if kind == frameData && int64(length) <= size {", "if kind == frameData && int64(length) <= size+1 {"),
        ("\tsyscall.Close(t.directory)\n}\n\n// putFile", "}\n\n// putFile"),
    ),
    "json.go": (("r.twice, r.duplicate = true, name.(string)", 'panic("two members of one name")'),),
}
SEED, EXAMPLES = "2", "600"


def planted(folder: Path) -> str:
    """The connectable of the Go example with bugs: an upload may be a byte too long, a descriptor is lost with each refused
    upload, and an agent that meets a duplicate name dies."""
    source = folder / "go"
    shutil.copytree(EXAMPLE, source)
    for name, changes in PLANTED.items():
        text = (source / name).read_text()
        for old, new in changes:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        (source / name).write_text(text)
    environment = {**os.environ, "GOFLAGS": "", "GOPROXY": "off", "CGO_ENABLED": "0"}
    for name in ("GOCACHE", "GOPATH"):
        environment.setdefault(name, str(ROOT / f".cache/go{'-path' if name == 'GOPATH' else ''}"))
    words = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(folder / "agent"), "."]
    subprocess.run(words, cwd=source, env=environment, check=True, timeout=300)
    return f"exec:{folder}/agent"


@pytest.mark.timeout(900)  # quiet, 40 s
def test_planted_bugs(tmp_path: Path) -> None:
    """Each is found, with a case that fails on the planted agent and passes on the oracle, and with evidence."""
    agent, kept = planted(tmp_path), tmp_path / "kept"
    with temporary() as folder:
        words = (*CONFORM, "fuzz", agent, "--seed", SEED, "--examples", EXAMPLES, "--save", str(kept))
        found, _ = (started := start(folder, *words)).communicate(timeout=800)
        assert started.returncode == 1, found
        assert f"seed {SEED}\n" in found
        kinds = set(re.findall(r"^FAIL [A-Z].* \(([a-z ]+)\) by input", found, re.MULTILINE))
        assert kinds == {"wrong answer", "crash", "leak"}, found
        assert "not seen again" not in found
        for file in kept.glob("*.toml"):
            again = run(folder, *CONFORM, "fuzz", agent, "--replay", str(file))
            assert (again.status, again.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed, 0 skipped"), (
                file.read_text()
            )
            right = run(folder, *CONFORM, "fuzz", f"exec:{ORACLE}", "--replay", str(file))
            assert (right.status, right.stdout) == (0, "1 passed, 0 failed, 0 skipped\n"), right.stdout
    (evidence,) = kept.glob("evidence/agent/SRV-SURVIVE_alive*")
    assert json.loads((evidence / "case.json").read_text())["outcome"] == "CRASH"
    assert b"two members of one name" in (evidence / "stderr.txt").read_bytes()
    assert {path.name for path in evidence.iterdir()} >= {
        "replay.sh",
        "transcript.txt",
        "transcript.json",
        "agent.json",
    }
    (crash,) = kept.glob("srv-survive-alive-*.toml")
    request = crash.read_text().partition("conversations.found = [")[2].splitlines()[1]
    assert request.count(":") <= 4, f"not made small: {request}"


@pytest.mark.timeout(300)  # quiet, 5 s
def test_nothing_is_found_on_the_agent(tmp_path: Path) -> None:
    """Not by a running agent's rules either, where nothing is started, and nothing floods it."""
    with temporary() as folder:
        words = ("--seed=7", "--examples=400", f"--save={tmp_path / 'kept'}")
        done = run(folder, *CONFORM, "fuzz", f"exec:{AGENT}", *words)
        assert (done.status, done.stderr) == (0, ""), done.stdout
        assert done.stdout.endswith("\n400 passed, 0 failed, 0 skipped\n")
    with oracle(tmp_path / "socket"), temporary() as folder:
        done = run(folder, *CONFORM, "fuzz", f"unix:{tmp_path / 'socket'}", *words)
        assert (done.status, done.stderr) == (0, ""), done.stdout
    assert not (tmp_path / "kept").exists()


@pytest.mark.timeout(300)  # quiet, 35 s
def test_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent that never answers a raw control character, which is common. Waits are shortened; nothing hangs on them."""
    old = 'raise self.malformed("a raw control character in a string")'
    text = ORACLE.read_text()
    assert text.count(old) == 1
    agent = build.oracle_connectable(tmp_path, "hangs", text.replace(old, "time.sleep(1000)"))
    for module, name, most in ((side, "PATIENCE", 2.0), (campaign, "PATIENCE", 2.0), (campaign, "MORE_PATIENCE", 8.0),
                               (shrink, "PATIENCE", 2.0), (shrink, "TRIES", 12)):  # fmt: skip
        monkeypatch.setattr(module, name, most)
    kept = tmp_path / "kept"
    assert cli.main(["fuzz", agent, "--seed=4", "--examples=60", f"--save={kept}"]) == 1
    assert "FAIL CONV-FIRST/malformed (hang) by input" in capsys.readouterr().out
    (evidence,) = kept.glob("evidence/*/CONV-FIRST_malformed*")
    assert json.loads((evidence / "case.json").read_text())["outcome"] == "TIMEOUT"
    assert (evidence / "threads.txt").read_text()


def test_interrupted(tmp_path: Path) -> None:
    """What was done is told."""
    with temporary() as folder:
        started = start(folder, *CONFORM, "fuzz", f"exec:{AGENT}", "--seconds=100", f"--save={tmp_path / 'kept'}")
        assert started.stdout is not None
        assert started.stdout.readline().startswith("seed ")
        time.sleep(1)
        started.send_signal(signal.SIGINT)
        told, wrong = started.communicate(timeout=60)
        assert left_behind(folder) == []
    assert (started.returncode, wrong) == (130, "interrupted: this is what came before\n")
    assert re.match(r"\d+ inputs from \d+ seeds in ", told)


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    begin = seeds()
    drawn = [mutate.draw(7, number, begin) for number in range(200)]
    assert [mutate.draw(7, number, begin) for number in range(200)] == drawn
    assert [mutate.draw(8, number, begin) for number in range(200)] != drawn
    assert len({each.stream() for each in drawn}) > 150


def members(value: object) -> Iterator[tuple[str, object]]:
    """Every member of every object in a JSON value."""
    for name, inner in value if isinstance(value, tuple) else ():
        yield name, inner
        yield from members(inner)
    for inner in value if isinstance(value, list) else ():
        yield from members(inner)


def test_no_command_or_path_but_the_harmless_ones() -> None:
    """By a reading that takes the first frame alone, and one that takes every object in the stream, whatever its names' case."""
    begin, seen = seeds(), set()
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=tuple)
    for number in range(3000):
        stream = mutate.draw(9, number, begin).stream().decode("utf-8", "replace")
        for brace in re.finditer(r"\{", stream):
            try:
                found, _ = decoder.raw_decode(stream, brace.start())
            except (ValueError, RecursionError):
                continue
            for name, value in members(found):
                if isinstance(value, str) and name.lower() in gate.KINDS:
                    seen.add(name)
                    assert value in gate.KINDS[name.lower()], stream
    assert seen >= set(gate.KINDS)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"op":"run","cmd":"true; reboot"}',
        b'{"op":"run","cmd":"reboot","cmd":"true"}',
        b'{"op":"run","CMD":"reboot"}',
        b'{"op":"run","c\\u006dd":"reboot"}',
        b'{"op":"run","cmd" "reboot"}',
        b'{"op":"run","cmd":["reboot"]}',
        b'{"op":"run","cmd":"true"reboot"}',
        '{"cmd":"reboot"}'.encode("utf-16-le"),
        b'{"op":"put_file","path":"/etc/passwd"}',
        b'{"op":"put_file","path":"@HOME@/../../../etc/passwd"}',
        b'{"op":"put_file","path":"@HOME@/folder","name":"/etc/passwd"}',
        b'{"op":"run","cmd":"echo one","env":{"BASH_FUNC_echo%%":"() { reboot; }"}}',
        b'{"op":"run","cmd":"true","env":{"L\\u0044_PRELOAD":"/tmp/x.so"}}',
        b'{"op":"run","cmd":"true","env":{"HOME":"/tmp/x"}}',
    ],
)
def test_the_gate_is_shut(payload: bytes) -> None:
    assert not gate.passes(Input((Frame(1, payload),)))
    assert not gate.passes(Input((Frame(1, payload[:12]), Frame(4, payload[12:])))) or b'"cmd"' not in payload


def test_no_name_comes_in_two_frames() -> None:
    assert not gate.passes(Input((Frame(1, b'{"op":"run","c'), Frame(1, b'md":"reboot"}'))))


def test_the_gate_lets_through_what_is_harmless() -> None:
    for payload in (b'{"op":"run","cmd":"true"}', b'{"cmd":null,"CMD":7}', b'{"path" : "@HOME@/new","name":".."}'):
        assert gate.passes(Input((Frame(1, payload),)))


def test_a_stream_is_cut_into_its_frames() -> None:
    raw = b"\x01\0\0\0\x02{}\x04\0\0\0\x05abc"
    drawn = parse(raw)
    assert drawn.frames == (Frame(1, b"{}"), Frame(4, b"abc", 5))
    assert drawn.stream() == raw


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "AGENT"),
        (["exec:/nowhere/agent"], "no such file"),
        ([f"exec:{ORACLE}", "--examples=0"], "--examples"),
        ([f"exec:{ORACLE}", "--seconds=x"], "--seconds"),
        ([f"exec:{ORACLE}", "--seed=x"], "--seed"),
        ([f"exec:{ORACLE}", "--transport=tcp"], "accepted: unix"),
        ([f"exec:{ORACLE}", "--corpus=/nowhere/corpus"], "/nowhere/corpus"),
        ([f"exec:{ORACLE}", "--oracle=exec:/nowhere/oracle"], "name it with --oracle"),
        ([f"exec:{ORACLE}", f"--save={ORACLE}"], "agent.py is no folder"),
        ([f"exec:{ORACLE}", f"--save={ORACLE}/kept"], "agent.py is no folder"),
        ([f"exec:{ORACLE}", "--replay", "/nowhere/case.toml"], "/nowhere/case.toml: No such file"),
        ([f"exec:{ORACLE}", "--replay", str(ORACLE)], "not a file of cases"),
    ],
    ids=lambda value: " ".join(value[-1:]).replace(str(HERE), "") if isinstance(value, list) else "",
)
def test_wrong_command_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, exit 2."""
    expect_refused(["fuzz", *arguments], says, capsys)
