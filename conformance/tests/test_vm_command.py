"""`conform vm` as a person uses it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.tests.harness import CONFORM, left_behind

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 120.0  # seconds for what takes five on a quiet machine
pytestmark = pytest.mark.timeout(300)


def started(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*CONFORM, "vm", *words],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def until(process: subprocess.Popen[bytes], pattern: bytes, so_far: bytes = b"") -> bytes:
    """What it prints until the pattern has come."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    end = time.monotonic() + DEADLINE
    while not re.search(pattern, so_far):
        assert time.monotonic() < end, so_far
        assert process.poll() is None, so_far
        so_far += process.stdout.read() or b""
        time.sleep(0.05)
    return so_far


def test_a_shell_in_the_guest(tmp_path: Path) -> None:
    (tmp_path / "add/opt").mkdir(parents=True)
    (tmp_path / "add/opt/hello").write_text("of the host\n")
    guest = started(tmp_path, "shell", "--initrd-add", str(tmp_path / "add"), "--memory", "192")
    try:
        assert b"192 MiB: answers after" in until(guest, rb"~ # ")
        assert guest.stdin is not None
        guest.stdin.write(b"cat /opt/hello; pidof smolvm-guest-agent >/dev/null && echo is there: $((6 * 7))\n")
        guest.stdin.flush()
        until(guest, rb"of the host\r\nis there: 42\r\n")
        guest.stdin.write(b"exit\n")
        guest.stdin.flush()
        assert guest.wait(DEADLINE) == 0
    finally:
        guest.kill()
        guest.communicate()
    assert [path for path in left_behind(tmp_path, grace=1.0) if "/add" not in path] == []


def test_ctrl_c_ends_it_whole(tmp_path: Path) -> None:
    guest = started(tmp_path, "run")
    try:
        said = until(guest, rb"logs   .*\n").decode()
        assert re.search(r"idle, it holds \d+ KiB \(RSS\), \d+ KiB \(PSS\)", said)
        (connectable,) = re.findall(r"^reach +(hybrid:\S+:1024)$", said, re.MULTILINE)
        answer = subprocess.run(
            [ROOT / "build/guestwire", "ready", "agent", connectable, "--timeout", "30"], check=False, timeout=60
        )
        assert answer.returncode == 0
        guest.send_signal(signal.SIGINT)
        assert guest.wait(30) == 130
    finally:
        guest.kill()
        guest.communicate()
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agent", "/no-such-agent"], "/no-such-agent: no such file"),
        (["--kernel", "/no-such-kernel", "--agent", "/bin/sh"], "/no-such-kernel: no such file"),
        (["--initrd-add", "/no-such-folder", "--agent", "/bin/sh"], "/no-such-folder: no such folder"),
        (["--memory", "0"], "--memory"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = cli.main(["vm", "run", *words])
    except SystemExit as error:
        status = int(error.code or 0)
    assert status == 2
    error_lines = capsys.readouterr().err.splitlines()
    assert len(error_lines) == 1
    assert said in error_lines[0]
