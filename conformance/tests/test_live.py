"""What `conform run` shows: on a terminal a line that changes, elsewhere plain lines; an agent's texts cannot steer it."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from rich.console import Console

from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.verdict import judge
from guestwire.report import about, carried, live, terminal
from guestwire.tests.harness import CONFORM, TINY, left_behind, run, temporary
from guestwire.tests.reports import NASTY, cases

WORDS = (
    *CONFORM,
    "run",
    f"exec:{TINY} --bare",
    "--transport=unix",
    "--case=PING",
    "--case=PING-INSTANCE/random",
    "--jobs=1",
)
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])[;m]")
MOVES = re.compile(r"\x1b\[\d*[A-K]")
COLUMNS = 46


def on_terminal(folder: Path, **environment: str) -> str:
    """All that the run writes to a terminal of 46 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        (*WORDS, f"--report-dir={folder.with_suffix('.report')}"), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
        env={**clean, "TMPDIR": str(folder), "TERM": "xterm-256color"} | environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    text = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal_end:
        while True:
            try:
                part = terminal_end.read(65536)
            except OSError:  # EIO: the other side is closed
                break
            if not part:
                break
            text += part
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert left_behind(folder) == []
    return text.decode()


def test_terminal() -> None:
    """Done, total and failures so far, in one line that is overwritten, however narrow; gone at the end."""
    with temporary() as folder:
        text = on_terminal(folder)
    drawn = [
        re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", part).rstrip("\r\n ") for part in re.split(r"\x1b\[2K|\x1b\[\?25h", text)
    ]
    progress = [line for line in drawn if re.match(r"(\x1b\S*)?\d+/\d+, \d+ failed ", line)]
    assert len(progress) >= 2
    assert all(len(line) <= COLUMNS for line in progress)
    done = [tuple(map(int, re.findall(r"\d+", line)[:3])) for line in progress]
    assert done == sorted(done)
    assert done[0][0] == 0
    assert len({total for _, total, _ in done}) == 1
    assert done[-1][2] >= 1
    assert COLOUR.search(text)
    matrix = drawn[-1].splitlines()
    assert any(re.match(r" agent +cases +MUST +SHOULD", line) for line in matrix)
    assert any("verdict: RED" in line for line in matrix)
    assert re.search(r"\d+ passed, \d+ failed, 0 skipped$", text.rstrip())


def test_no_color() -> None:
    with temporary() as folder:
        text = on_terminal(folder, NO_COLOR="1")
    assert MOVES.search(text)
    assert not COLOUR.search(text)


def test_dumb_terminal() -> None:
    with temporary() as folder:
        assert "\x1b" not in on_terminal(folder, TERM="dumb")


def test_plain_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with temporary() as folder:
        done = run(folder, *WORDS)
    assert (done.status, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    told = [line for line in done.stdout.splitlines() if not re.fullmatch(r"\d+ of \d+ cases, \d+ failed", line)]
    assert told[0].startswith("FAIL ")


def test_long_runs_say_how_far_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PLAIN_EVERY", 0.0)
    target = Console(file=io.StringIO(), force_terminal=False, width=120)
    shown = live.Live(target)
    shown._collected(3)
    for case in cases(4)[:3]:
        report = pytest.TestReport("x", ("x", 0, "x"), {}, "passed", None, "call")
        carried.load(report, case.to_json())
        shown.pytest_runtest_logreport(report)
    assert isinstance(target.file, io.StringIO)
    assert target.file.getvalue().splitlines() == [
        "1 of 3 cases, 0 failed", "2 of 3 cases, 0 failed", "3 of 3 cases, 1 failed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", [NASTY, "\x1b]0;title\x07\x1b[2J" + "x" * 1_000_000, "a\r\nverdict: green\x9b31m[bold]"]
)
def test_what_an_agent_says_cannot_steer_the_terminal(text: str) -> None:
    """Neither what it answers, nor the name of its file."""
    made = cases(8, ("ag\x1b[31ment", "oracle"))
    made[2].actual = made[2].expected = made[3].actual = text
    made[4].broken = {"ERR-CODE/known": [text, text]}
    rows = [("ag\x1b[31ment", "unix"), ("oracle", "unix")]
    verdict = judge(made, rows, set(), filtered=False, strict=True, expected=8, errors=[text])
    target = Console(file=io.StringIO(), force_terminal=False, width=120, soft_wrap=True)
    terminal.show(verdict, {"oracle": f"exec:{text}", "ag\x1b[31ment": "exec:a"}, target)
    assert isinstance(target.file, io.StringIO)
    lines = target.file.getvalue().splitlines()
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("verdict: ")] == ["verdict: NONE (the harness failed: it could not "
        "collect, lost cases, or ran none)"]  # fmt: skip
    assert max(map(len, lines)) <= 8 * terminal.LONGEST
    assert next(line for line in lines if "actual: " in line).endswith("…") == (len(text) > 1_000)


def test_the_command_that_repeats_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told as it was typed, or as it is found by everybody."""
    program = tmp_path / "a venv/bin/conform"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    for typed, path, told in (
        (str(program), "/nowhere", "'a venv/bin/conform'"),
        ("a venv/bin/conform", "/nowhere", "'a venv/bin/conform'"),
        (str(program), str(program.parent), "conform"),
        ("/somewhere/cli.py", "/nowhere", "conform"),
        ("/elsewhere/bin/conform", str(program.parent), "/elsewhere/bin/conform"),
    ):
        monkeypatch.setattr("sys.argv", [typed, "run"])
        monkeypatch.setenv("PATH", path)
        assert about.program() == told


@pytest.mark.parametrize(("count", "lines"), [(terminal.FEW, terminal.FEW), (terminal.FEW + 1, 1), (500, 1)])
def test_many_cases_that_could_not_run(count: int, lines: int) -> None:
    """Are told in one line for each reason: the verdict is not to be looked for behind hundreds."""
    made = [
        CaseResult(f"PING:{n}", "agent", "unix", ["PING"], Outcome.COULD_NOT_RUN, actual="over") for n in range(count)
    ]
    verdict = judge(made, [("agent", "unix")], set(), filtered=False, strict=False, expected=count, errors=[])
    target = Console(file=io.StringIO(), width=120, soft_wrap=True)
    terminal.show(verdict, {"agent": "exec:agent"}, target)
    assert isinstance(target.file, io.StringIO)
    told = [line for line in target.file.getvalue().splitlines() if line.startswith("COULD-NOT-RUN ")]
    assert len(told) == lines
    assert lines > 1 or told == [
        f"COULD-NOT-RUN {count} cases [agent]: over: PING:0@unix, PING:1@unix, PING:2@unix, ..."
    ]
