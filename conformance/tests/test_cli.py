"""The command line of the harness: what it refuses, what it says of agents that fail, and its exit status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.tests.harness import CONFORM, HERE, MINI, ORACLE, TINY, Done, expect_refused, run, temporary

README = HERE / "__init__.py"  # a file that is not executable
FILTERED = ("--clause=PING", "--transport=unix", "--jobs=1")


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


def mini(folder: Path, agent: str, *options: str) -> Done:
    """The short cases of mini_suite.py, on a tiny agent with these options, on one transport."""
    return run(folder, *MINI, "--agent", agent, "--transport=unix", "-k=not slow", *options)


# ---- wrong command lines


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["judge"], "judge"),
        (["run"], "AGENT"),
        (["run", "--fast", f"exec:{TINY}"], "--fast"),
        (["run", "agent"], "exec:PATH"),
        (["run", ""], "exec:PATH"),
        (["run", "exec:"], "exec:PATH"),
        (["run", "exec: "], "exec:PATH"),
        (["run", 'exec:"agent'], "quotation"),
        (["run", "exec:/nowhere/agent"], "no such file"),
        (["run", f"exec:{HERE}"], "no such file"),
        (["run", f"exec:{README}"], "not executable"),
        (["run", "udp:localhost:1024"], "unknown kind 'udp'"),
        (["run", "unix:"], "exec:PATH"),
        (["run", "vsock:3"], "no port"),
        (["run", "vsock:three:1024"], "CID is not a number"),
        (["run", "vsock:3:-1"], "port is not a number"),
        (["run", "vsock:4294967296:1"], "no CID has the number 4294967296"),
        (["run", "hybrid:/a:4294967296"], "no port has the number 4294967296"),
        (["run", "hybrid:/run/vm.sock"], "no port"),
        (["run", "hybrid:/run/vm.sock:x"], "port is not a number"),
        (["run", "hybrid::1024"], "no port"),
        (["run", f"exec:{TINY}", f"exec:{TINY} --ok"], "both be called 'tiny.py'"),
        (["run", "--clause", "PONG", f"exec:{TINY}"], "unknown clause 'PONG'"),
        (["run", "--clause", "ping", f"exec:{TINY}"], "unknown clause 'ping'"),
        (["run", "--jobs", "many", f"exec:{TINY}"], "--jobs"),
    ],
    ids=lambda value: " ".join(value).replace(str(HERE), "") if isinstance(value, list) else "",
)
def test_wrong_command_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, exit 2."""
    expect_refused(arguments, says, capsys)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--transport=udp"],
            "unknown transport 'udp'; accepted: unix, fd-listen, fd-conn, unix-ns, tcp, vsock, hybrid",
        ),
        (["--transport=vsock"], "no agent here has the transport vsock"),
        (["--case=PING/nothing", "--jobs=1"], "unknown case 'PING/nothing'"),
        (["--clause=SRV-INIT", "--case=PING-ALWAYS", "--transport=fd-conn", "--jobs=1"], "unknown case 'PING-ALWAYS'"),
    ],
    ids=["transport", "transport-of-another-kind", "case", "case-of-another-transport"],
)
def test_nothing_to_run(folder: Path, options: list[str], says: str) -> None:
    done = run(folder, *CONFORM, "run", f"exec:{TINY}", *options)
    assert done.status == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "passed" not in done.stdout


# ---- agents that do not come up


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("#!/bin/sh\necho no such device >&2\nexit 7\n", "exited with status 7; stderr: 'no such device"),
        ("#!/bin/sh\nkill -SEGV $$\n", "ended by signal 11"),
        ("#!/nowhere/interpreter\n", "cannot be started"),
        ("\0\1\2\3", "cannot be started"),
    ],
    ids=["exits", "dies", "no-interpreter", "no-program"],
)
@pytest.mark.parametrize("transport", ["unix", "fd-listen"])
def test_agent_that_does_not_come_up(tmp_path: Path, folder: Path, transport: str, script: str, says: str) -> None:
    """Told in one line, before any case."""
    program = tmp_path / "agent"
    program.write_text(script)
    program.chmod(0o755)
    done = run(folder, *CONFORM, "run", f"exec:{program}", "--clause=PING", f"--transport={transport}", "--jobs=1")
    assert done.status == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.cases == {}
    assert done.stdout.strip() == ""


def test_running_agent_that_is_not_there(folder: Path) -> None:
    done = run(folder, *CONFORM, "run", "unix:/nowhere/agent.sock", "--clause=PING")
    assert (done.status, done.cases) == (2, {})
    assert "is the agent running?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# ---- verdicts


def test_filtered_run_is_partial(folder: Path) -> None:
    done = run(folder, *CONFORM, "run", f"exec:{ORACLE}", *FILTERED)
    assert done.status == 3
    assert "PARTIAL" in done.stdout
    assert done.stdout.endswith("1 passed, 0 failed, 0 skipped\n")
    assert done.cases == {"PING@unix": ("PASS", "", "")}


def test_agent_whose_pongs_have_no_version(folder: Path) -> None:
    done = run(folder, *CONFORM, "run", f"exec:{TINY} --bare", *FILTERED)
    assert done.status == 1
    assert "verdict: RED" in done.stdout
    assert done.stdout.endswith("0 passed, 1 failed, 0 skipped\n")
    lines = done.stdout.splitlines()
    at = lines.index("FAIL PING@unix [tiny.py]")
    assert lines[at + 1] == "  expected: a pong"
    assert lines[at + 2].startswith("    actual: {'ok': True, 'op': 'pong', 'proto': 1,")
    assert lines[at + 3].strip() == f"repeat: conform run 'exec:{TINY} --bare' --transport unix --case PING"


def test_missing_check_is_red(folder: Path) -> None:
    """The tiny agent takes duplicates, so that one case of four fails: no green, whatever passed."""
    done = mini(folder, f"exec:{TINY}")
    assert done.status == 1
    assert [done.cases[f"PING:{number}@unix"][0] for number in (1, 2, 3)] == ["PASS"] * 3
    assert done.cases["JSON-DUP/plain@unix"][0] == "FAIL"


def test_crash(folder: Path) -> None:
    """With its signal; the next case gets a fresh agent. For a case that expects to be refused it is no pass either."""
    done = mini(folder, f"exec:{TINY} --die 6")
    assert done.status == 1
    assert [done.cases[f"PING:{number}@unix"][0] for number in (1, 2, 3)] == ["PASS", "CRASH", "PASS"]
    assert "ended by signal 11" in done.cases["PING:2@unix"][2]
    assert done.cases["JSON-DUP/plain@unix"][0] == "CRASH"
    assert "CRASH PING:2@unix [tiny.py]" in done.stdout


def test_hang(folder: Path) -> None:
    """TIMEOUT, and the run goes on with a fresh agent."""
    done = mini(folder, f"exec:{TINY} --hang 6")
    assert done.status == 1
    assert [done.cases[f"PING:{number}@unix"][0] for number in (1, 2, 3)] == ["PASS", "TIMEOUT", "PASS"]
    assert done.cases["JSON-DUP/plain@unix"][0] == "TIMEOUT"


def test_leak(folder: Path) -> None:
    """A child that is left behind fails the case that left it."""
    done = mini(folder, f"exec:{TINY} --leak 6")
    assert done.status == 1
    assert [done.cases[f"PING:{number}@unix"][0] for number in (1, 2, 3)] == ["PASS", "FAIL", "PASS"]
    assert "children" in done.cases["PING:2@unix"][2]


def test_flood(folder: Path) -> None:
    """An answer without an end ends the case, by its deadline or by what a response may hold."""
    done = mini(folder, f"exec:{TINY} --flood 6")
    assert done.status == 1
    outcomes = [done.cases[f"PING:{number}@unix"][0] for number in (1, 2, 3)]
    assert outcomes in (["PASS", "FAIL", "PASS"], ["PASS", "TIMEOUT", "PASS"])


def test_no_case_is_not_green(folder: Path) -> None:
    done = mini(folder, f"exec:{TINY}", "-k=nothing")
    assert done.status == 4
    assert "verdict: NONE" in done.stdout
    assert "green" not in done.stdout
