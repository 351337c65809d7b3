"""The nested level without its guests: what the outer one is given, and what is taken from it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from guestwire import cli
from guestwire.commands.run import base_options
from guestwire.drive import nesting
from guestwire.judge import ledger
from guestwire.judge.contract import AGENT
from guestwire.judge.verdict import Exit
from guestwire.vm import nested, outer, qemu
from guestwire.vm.nested import NestedError
from guestwire.vm.nested_cases import BY_SECTION, CASES

NAMED = ("RUN-TIMEOUT", "RUN-HANGUP", "CONV-HALFCLOSE", "CONV-LINGER", "PUT-CLEAN", "SRV-PEER")


def test_the_outer_guest_has_this_python_the_suite_and_qemu() -> None:
    files = outer.files()
    for module in (hypothesis, pytest, json, ledger):
        assert module.__file__ is not None
        assert outer.place(Path(module.__file__).resolve()) in files
    assert outer.place(Path(sys.executable)) in files
    assert outer.place(Path(qemu.program("x86_64"))) in files
    assert any(name.endswith("/accel-tcg-x86_64.so") for name in files)
    assert any(Path(name).name == "libpthread.so.0" for name in files)  # that a package's own extension is linked with
    assert "usr/lib64/ld-linux-x86-64.so.2" in files
    assert not any(name.split("/")[0] in ("bin", "lib", "lib64", "sbin") for name in files)


def test_bytecode_is_never_checked_against_a_source_without_a_time(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("VALUE = 7\n")
    found = {Path(name).name: entry.data for name, entry in outer.file(module).items()}
    (name,) = set(found) - {"module.py"}
    assert name.startswith("module.cpython-")
    assert found[name][4:8] == b"\x01\0\0\0"  # PEP 552: by hash, unchecked


def test_every_section_is_judged() -> None:
    """By the contract's own headings and tables: at least forty cases, five of each section, and of some clauses by name."""
    section_of, section = {}, 0
    for line in AGENT.text.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\d) ", line):
            section = int(heading[1])
        elif row := re.match(r"\| ([A-Z-]+) \| (?:MUST|SHOULD) ", line):
            section_of[row[1]] = section
    assert len(set(CASES)) == len(CASES) >= 40
    for number, cases in BY_SECTION.items():
        assert len(cases) >= 5
        assert {section_of[re.split("[/:]", name)[0]] for name in cases} == {number}
    assert set(BY_SECTION) == {1, 2, 3, 4, 5}  # 6 is about the host, judged without an agent
    assert set(NAMED) <= {name.partition("/")[0] for name in CASES}


def test_every_case_exists_in_a_guest(tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.write_text("#!/bin/sh\n")
    agent.chmod(0o755)
    words = [*base_options(AGENT), "-q", "--collect-only", f"--agent=qemu-nested:{agent}"]
    words += [f"--case={name}" for name in CASES]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _report(cases: list[str], **changes: Any) -> dict[str, Any]:
    passed = [{"id": f"{name}@qemu-nested", "outcome": "PASS", "broken": {}} for name in cases]
    return {"cases": passed, "footer": {"reasons": ["filtered: cases were left out by request"]}} | changes


def test_the_levels_own_cases_are_green_only_if_all_of_them_passed() -> None:
    assert nesting.shortfall(_report([*CASES])) == ""
    assert nesting.shortfall(_report([*CASES[1:]])) == f"{CASES[0]} did not run"
    skipped = _report([*CASES])
    skipped["cases"][3] |= {"outcome": "COULD-NOT-RUN"}
    assert nesting.shortfall(skipped) == f"{CASES[3]}@qemu-nested did not pass"
    broken = _report([*CASES])
    broken["cases"][3] |= {"broken": {"ERR-SHAPE": ["a", "b"]}}
    assert nesting.shortfall(broken) == f"{CASES[3]}@qemu-nested did not pass"
    more = "1 refusals do not count: their twins did not run, or did not pass"
    assert nesting.shortfall(_report([*CASES], footer={"reasons": [more]})) == more


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["qemu-nested:/bin/true", "exec:/bin/true"], "is judged alone"),
        (["qemu-nested:/bin/true", "--shard=1/2"], "--shard does not reach into the guest"),
        (["qemu-nested:/bin/true", "--expect=known.toml"], "--expect does not reach into the guest"),
    ],
)
def test_what_it_cannot_do_is_said_at_once(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", *words, f"--report-dir={tmp_path}"]) == Exit.USAGE
    assert says in capsys.readouterr().err


def test_an_outer_guest_that_dies_is_red_and_leaves_its_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_agent: Path, _words: list[str], folder: Path, _deadline: float) -> NoReturn:
        (folder / "outer.console.log").write_text("Kernel panic")
        (folder / "conform.log").write_text("12 of 60 cases, 0 failed\n60 passed, 0 failed, 0 skipped\n")
        raise NestedError("the outer guest did not end within 900 s")

    monkeypatch.setattr(nested, "run", run)
    assert cli.main(["run", "qemu-nested:/bin/true", f"--report-dir={tmp_path}"]) == Exit.RED
    said = capsys.readouterr()
    assert "did not end within 900 s" in said.err
    assert "60 passed" not in said.out
    assert (tmp_path / "evidence/qemu-nested/outer.console.log").read_text() == "Kernel panic"


@pytest.mark.parametrize("report", [None, "", '{"format": "guestwire-report", "format_version": 1}'])
def test_a_run_whose_report_is_not_whole_is_red(
    report: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_agent: Path, _words: list[str], folder: Path, _deadline: float) -> nested.Told:
        (folder / "conform.log").write_text("verdict: green\n60 passed, 0 failed, 0 skipped\n")
        if report is not None:
            (folder / "report").mkdir()
            (folder / "report/report.json").write_text(report)
        return nested.Told(status=0, kernel="6.1", seconds=9, scale=1)

    monkeypatch.setattr(nested, "run", run)
    assert cli.main(["run", "qemu-nested:/bin/true", f"--report-dir={tmp_path}"]) == Exit.RED
    assert "60 passed" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_nothing_of_the_outer_guest_lands_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with tarfile.open(folder / "report.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(NestedError, match="archive holds"):
        nested.unpacked(folder)
    assert not (tmp_path / "outside").exists()


def test_an_outer_guest_that_says_nothing_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "report.tar").touch()
    (tmp_path / "outer.console.log").write_text("one\nKernel panic - not syncing\n")
    with pytest.raises(NestedError, match=r"no results came out.*Kernel panic"):
        nested.unpacked(tmp_path)
