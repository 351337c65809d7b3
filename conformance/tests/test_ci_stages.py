"""ci/stages: what every runner's closing line counts, and that nothing uncounted or skipped can end green."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestwire.tests.harness import HEEDING

STAGES = Path(__file__).resolve().parents[2] / "ci/stages"


def stages(*arguments: str) -> tuple[int, str]:
    """Run ci/stages. Return: exit status, its last line."""
    done = subprocess.run([sys.executable, STAGES, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.splitlines()[-1] if done.stdout else ""


CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] a
[==========] 3 test(s) run.
[  PASSED  ] 2 test(s).
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] a

 1 FAILED TEST(S)"""


@pytest.mark.parametrize(
    ("output", "total"),
    [
        ("4 passed, 0 failed, 0 skipped", "4 passed, 0 failed, 0 skipped"),
        ("conform: 4 passed, 1 failed", "4 passed, 1 failed, 0 skipped"),
        ("5 passed, 0 failed, 0 skipped\nlater\n2 passed, 0 failed, 1 skipped", "2 passed, 0 failed, 1 skipped"),
        ("===== 3 passed in 0.12s =====", "3 passed, 0 failed, 0 skipped"),
        ("2 failed, 3 passed, 1 skipped in 61.20s (0:01:01)", "3 passed, 2 failed, 1 skipped"),
        ("1 failed, 3 passed, 2 deselected, 1 xfailed, 1 warning, 2 errors in 0.1s", "3 passed, 3 failed, 1 skipped"),
        ("\033[32m\033[1m3 passed\033[0m\033[32m in 0.01s\033[0m", "3 passed, 0 failed, 0 skipped"),
        (CMOCKA, "2 passed, 1 failed, 0 skipped"),
        (f"{CMOCKA}\n{CMOCKA}", "4 passed, 2 failed, 0 skipped"),
        (f"{CMOCKA}\n7 passed, 0 failed, 0 skipped", "7 passed, 0 failed, 0 skipped"),
    ],
)
def test_counts_are_read(output: str, total: str, tmp_path: Path) -> None:
    (tmp_path / "output").write_text(output + "\n")
    status, last = stages(f"one=cat {tmp_path}/output")
    assert last == total
    assert (status == 0) == total.endswith(" 0 failed, 0 skipped")


def test_stages_add_up_and_all_run() -> None:
    assert stages(
        "a=echo 1 passed, 1 failed, 0 skipped; exit 1", "b=echo 2 passed, 0 failed, 0 skipped", "c=echo 1 passed in 1s"
    ) == (1, "4 passed, 1 failed, 0 skipped")


def test_a_stage_that_counts_nothing_fails() -> None:
    assert stages("a=echo 2 passed, 0 failed, 0 skipped", "b=true") == (1, "2 passed, 1 failed, 0 skipped")
    assert stages("a=echo no tests ran in 0.01s") == (1, "0 passed, 1 failed, 0 skipped")
    assert stages("a=echo 0 passed, 0 failed, 0 skipped") == (1, "0 passed, 1 failed, 0 skipped")


def test_a_bad_exit_status_fails_whatever_was_counted() -> None:
    assert stages("a=echo 2 passed, 0 failed, 0 skipped; kill -SEGV $$") == (1, "2 passed, 1 failed, 0 skipped")


def test_by_status_each_stage_is_one_test() -> None:
    assert stages("--by-status", "a=true", "b=false", "c=echo 9 passed, 9 failed") == (
        1,
        "2 passed, 1 failed, 0 skipped",
    )
    assert stages("--by-status", "a=true") == (0, "1 passed, 0 failed, 0 skipped")


def test_together_all_run_at_once(tmp_path: Path) -> None:
    """The first waits for the second; each is shown in its turn."""
    first = f"first=while ! test -e {tmp_path}/there; do sleep 0.02; done; echo 1 passed, 0 failed, 0 skipped"
    second = f"second=touch {tmp_path}/there; echo 2 passed, 1 failed, 0 skipped"
    done = subprocess.run(
        [sys.executable, STAGES, "--together", first, second], capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (1, "3 passed, 1 failed, 0 skipped")
    assert lines[:5] == [
        "--- first", "1 passed, 0 failed, 0 skipped", "--- second", "2 passed, 1 failed, 0 skipped", "---",
    ]  # fmt: skip


def test_together_by_status() -> None:
    assert stages("--together", "--by-status", "a=true", "b=exit 3", "c=true") == (1, "2 passed, 1 failed, 0 skipped")


@pytest.mark.parametrize("arguments", [(), ("a",), ("=true",), ("a=",), ("--together",)])
def test_bad_command_line(arguments: tuple[str, ...]) -> None:
    assert stages(*arguments) == (2, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_stops_all_that_run_together(number: signal.Signals, tmp_path: Path) -> None:
    stage = f"echo $$ >{tmp_path}/$0.new; mv {tmp_path}/$0.new {tmp_path}/$0; exec sleep 60"
    words = [f"{name}=exec sh -c '{stage}' {name}" for name in "abc"]
    command = [*HEEDING, sys.executable, str(STAGES), "--together", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        end = time.monotonic() + 60
        while not all((tmp_path / name).exists() for name in "abc"):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(timeout=10) == 130
    for name in "abc":
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / name).read_text()), 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_stops_its_stage(number: signal.Signals) -> None:
    command = [*HEEDING, sys.executable, str(STAGES), "a=echo $$; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "--- a\n"
        stage = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(timeout=10) == 130
        with pytest.raises(ProcessLookupError):
            os.kill(stage, 0)
