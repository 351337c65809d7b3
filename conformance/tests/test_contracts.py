"""Several contracts: one for each run, canaries, and what a bridge or gate is judged for after every case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.agents import descriptor
from guestwire.drive import connectable
from guestwire.drive.connectable import UsageError
from guestwire.judge.contract import BRIDGE
from guestwire.tests.harness import CONFORM, HERE, ORACLE, TINY, Done, expect_refused, run, temporary

BRIDGED = HERE / "agents/tiny_bridge.py"
ONE = ("--transport=unix-unix", "--case=BRIDGE-BYTES/values")


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def bridged(folder: Path, fault: str, *options: str) -> Done:
    """One case on the tiny bridge."""
    return run(folder, *CONFORM, "run", "--contract=bridge", f"exec:{BRIDGED} {fault}", *(options or ONE))


# ---- one contract for each run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["oracle", "oracle-bridge"], "one run judges by one contract"),
        (["oracle-ready", "oracle-bridge"], "one run judges by one contract"),
        (["oracle-bridge", "--contract=agent"], "one run judges by one contract"),
        ([f"exec:{TINY}", "--contract=bride"], "invalid choice: 'bride'"),
        (["unix:/run/bridge.sock", "--contract=bridge"], "a bridge is started by the harness"),
        (["tcp:127.0.0.1:22", "--contract=ready"], "a gate is started by the harness"),
        (["qemu-native:/bin/true", "--contract=ready"], "in a guest: qemu-vhost-user:PATH [ARGS]"),
        (["oracle-bridge", "--clause=PING"], "unknown clause 'PING'"),
        (["oracle", "--clause=BRIDGE-HALF"], "unknown clause 'BRIDGE-HALF'"),
        (["oracle-bridge", "--transport=unix"], "unknown transport 'unix'; accepted: unix-unix"),
        (["oracle", "--transport=local"], "unknown transport 'local'"),
        (["oracle", "--transport=via-unix"], "unknown transport 'via-unix'"),
        (["oracle", "--through=oracle"], "one run judges by one contract"),
        (["oracle", "--through=oracle-ready"], "one run judges by one contract"),
        (["oracle-bridge", "--through=oracle-bridge"], "--through is for agents"),
        (["unix:/run/agent.sock", "--through=oracle-bridge"], "--through wants agents that the harness starts"),
        (["oracle", "--through=exec:/nowhere/bridge"], "no such file"),
    ],
)
def test_wrong_command_lines(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    expect_refused(["run", *arguments], says, capsys)


def test_what_descriptors_say_holds_for_all() -> None:
    found = connectable.parse_all([f"exec:{BRIDGED}", "oracle-bridge"])
    assert [each.contract for each in found] == [BRIDGE, BRIDGE]
    assert found[0].transports == found[1].transports == BRIDGE.transports


# ---- descriptors


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('contract = "tunnel"\ncommand = "a {listen}"', "contract: unknown 'tunnel'; accepted: agent, bridge, ready"),
        (
            'contract = "bridge"\ncommand = "a {listen}"',
            "each of {listen} or {listen_path}, {connect} or {connect_path}",
        ),
        ('contract = "bridge"\ncommand = "a {listen} {listen_path} {connect}"', "has to stand in it once"),
        ('contract = "bridge"\ncommand = "a {target}"', "unknown {target}"),
        ('contract = "ready"\ncommand = "a {kind} {target}"', "each of {kind}, {target}, {timeout}"),
        ('contract = "bridge"\nconnect = "unix:/a"', "connect: a bridge is started by the harness: give command"),
        ('contract = "bridge"\ncommand = "a"\ntransports = ["unix"]', "unknown 'unix'; accepted: unix-unix"),
        ('contract = "bridge"\ncommand = "a"\n[lacks]\nclauses = ["PING"]', "no clause of a bridge"),
        ('contract = "ready"\ncommand = "a"\n[lacks]\nchecks = ["PING"]', "no check of a gate"),
        ('contract = "ready"\ncommand = "a"\n[lacks]\noperations = ["run"]', "unknown key 'operations'"),
        ('contract = "ready"\ncommand = "a"\n[timers]\nio_timeout = 1', "unknown key 'timers'"),
    ],
)
def test_bad_descriptors(text: str, says: str) -> None:
    with pytest.raises(UsageError) as told:
        descriptor.parse(f'name = "a"\n{text}', Path("/a.toml"))
    assert len(str(told.value).splitlines()) == 1
    assert says in str(told.value)


def test_templates() -> None:
    from guestwire.drive import template

    assert template.bridge(("b", "-v"), "unix:/l", "tcp:h:1") == (
        "b",
        "-v",
        "--listen",
        "unix:/l",
        "--connect",
        "tcp:h:1",
    )
    assert template.bridge(("s", "L:{listen_path},fork", "C:{connect_path}"), "unix:/l", "unix:/c") == (
        "s",
        "L:/l,fork",
        "C:/c",
    )
    assert template.gate(("g",), "ssh", "unix:/s", 2.5) == ("g", "ssh", "unix:/s", "--timeout", "2.5")
    assert template.gate(("g", "-t{timeout}", "{kind}={target}"), "ssh", "unix:/s", 3) == ("g", "-t3", "ssh=unix:/s")


# ---- canaries


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--contract=bridge", f"exec:{BRIDGED} mute"], "expected a byte carried both ways"),
        (["--contract=ready", "exec:/bin/true"], "where nobody listens, not called ready, got exit status 0"),
        (["--contract=ready", "exec:/bin/false"], "which answers, called ready (exit status 0), got exit status 1"),
    ],
    ids=["mute-bridge", "gate-that-is-always-ready", "gate-that-is-never-ready"],
)
def test_nothing_counts(folder: Path, words: list[str], says: str) -> None:
    done = run(folder, *CONFORM, "run", *words)
    assert (done.status, done.cases, done.stdout) == (1, {}, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nothing judged" in done.stderr
    assert says in done.stderr


def test_a_bridge_that_does_not_come_up(folder: Path) -> None:
    done = bridged(folder, "dead")
    assert (done.status, done.stdout, len(done.stderr.strip().splitlines())) == (2, "", 1)
    assert "does not come up: it exited with status 1; stderr: 'tiny_bridge: it is dead" in done.stderr


# ---- after every case


def test_a_sound_one_and_its_report(folder: Path) -> None:
    """A filtered run is partial; the report says which contract was judged, and `clauses` goes by it."""
    done = bridged(folder, "")
    assert (done.status, [case[0] for case in done.cases.values()]) == (3, ["PASS"])
    report = folder.with_suffix(".report") / "report.json"
    assert json.loads(report.read_text())["run"]["contract"] == "bridge"
    listed = run(folder, *CONFORM, "clauses", "--report", str(report), judging=False)
    assert "BRIDGE-BYTES/values: " in listed.stdout
    assert "RUN-EXIT" not in listed.stdout
    other = run(folder, *CONFORM, "clauses", "--contract=ready", "--report", str(report), judging=False)
    assert (other.status, len(other.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("leaks", "BROKEN BRIDGE-SURVIVE/leaks"),
        ("litters", "BROKEN BRIDGE-SURVIVE/files"),
        ("stray", "BROKEN BRIDGE-SURVIVE/leaks"),
    ],
)
def test_what_it_leaves_is_told(folder: Path, fault: str, says: str) -> None:
    done = bridged(folder, fault)
    assert done.status == 1
    assert says in done.stdout
    assert "--contract bridge" in done.stdout, "the command that repeats it"


def test_a_crash_is_no_failure_of_the_case(folder: Path) -> None:
    done = bridged(folder, "dies", "--transport=unix-unix", "--case=BRIDGE-MANY/sequence")
    assert (done.status, {case[0] for case in done.cases.values()}) == (1, {"CRASH"})
    assert "ended by signal 11" in done.stdout
    evidence = next((folder.with_suffix(".report") / "evidence").glob("*/*"))
    told = json.loads((evidence / "agent.json").read_text())
    assert [fact["state"] for fact in told["processes"]] == ["ended by signal SIGSEGV"]
    assert "--contract=bridge" in (evidence / "replay.sh").read_text()


# ---- through a bridge


def through(folder: Path, fault: str, *options: str) -> Done:
    return run(
        folder, *CONFORM, "run", f"exec:{ORACLE}", f"--through=exec:{BRIDGED} {fault}", "--transport=via-unix", *options
    )


def test_through_a_sound_bridge(folder: Path) -> None:
    done = through(folder, "", "--clause=PING", "--clause=CONV-HALFCLOSE", "--jobs=2")
    assert done.status == 3, done.stdout
    assert {case[0] for name, case in done.cases.items() if name.endswith("@via-unix")} == {"PASS"}


@pytest.mark.parametrize(
    ("fault", "case", "says"),
    [
        ("whole", "FRAME-TRUNC/request:half-close", "TIMEOUT FRAME-TRUNC/request:half-close@via-unix"),
        ("leaks", "PING", "the bridge tiny_bridge.py "),
    ],
)
def test_through_a_broken_bridge(folder: Path, fault: str, case: str, says: str) -> None:
    done = through(folder, fault, f"--case={case}")
    assert done.status == 1
    assert says in done.stdout + done.stderr


def test_a_bridge_that_dies_is_named(folder: Path) -> None:
    done = through(folder, "dies", "--case=PING")
    assert (done.status, done.cases, len(done.stderr.splitlines())) == (1, {}, 1)
    assert "expected the bridge tiny_bridge.py lives, got it ended by signal 11" in done.stderr
