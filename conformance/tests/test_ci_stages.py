"""ci/stages: what every runner's closing line counts, and that nothing uncounted or skipped can end green."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


@pytest.mark.parametrize("arguments", [(), ("a",), ("=true",), ("a=",)])
def test_bad_command_line(arguments: tuple[str, ...]) -> None:
    assert stages(*arguments) == (2, "")


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
