"""The wheel: all of `conform`, in an empty venv, outside the checkout, without a compiler; and nothing once it is uninstalled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from guestwire import __version__
from guestwire.judge.verdict import Exit
from guestwire.tests.harness import left_behind, temporary

ROOT = Path(__file__).resolve().parents[2]
CHECKOUT_ONLY = ("bench", "examples", "tests")
AGENT = ROOT / "build/smolvm-guest-agent"


@dataclass(frozen=True)
class Installed:
    """A venv that holds the wheel, and an empty folder to run it in."""

    wheel: Path
    venv: Path
    folder: Path

    def conform(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A run that finds no program but itself, and nothing of the checkout."""
        with temporary() as scratch:
            environment = {"PATH": "/nowhere", "HOME": str(self.folder), "TMPDIR": str(scratch)}
            done = subprocess.run(
                [self.venv / "bin/conform", *words], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            assert left_behind(scratch) == []
        return done

    def left(self) -> list[str]:
        """Whatever in the venv is named after the distribution or its command."""
        names = (path.relative_to(self.venv) for path in self.venv.rglob("*"))
        return sorted(str(name) for name in names if "guestwire" in str(name) or name.name == "conform")


def pip(*words: str | Path) -> None:
    """Run this Python's pip. What it prints is shown where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def install(top: Path) -> Installed:
    """Build and install as a person does it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    made = subprocess.run(["make", "-s", "wheel", f"DIST={top}/dist"], cwd=ROOT, env=environment, capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, timeout=300)  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    (wheel,) = (top / "dist").iterdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", top / "venv"], check=True, timeout=300)
    # bytecode is left to the runs: those files are harder to uninstall, and compiling every dependency takes its time
    pip("--python", top / "venv/bin/python", "install", "-q", "--no-compile", "--only-binary=:all:", wheel)
    (top / "empty").mkdir()
    return Installed(wheel, top / "venv", top / "empty")


def check_contents(installed: Installed) -> None:
    """Every file of the package, but those of the checkout alone; under its own name."""
    assert installed.wheel.name == f"guestwire-{__version__}-py3-none-any.whl"
    package = ROOT / "conformance"
    expected = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    expected = {path for path in expected if path.parts[0] not in CHECKOUT_ONLY and "__pycache__" not in path.parts}
    with zipfile.ZipFile(installed.wheel) as archive:
        names = {Path(name) for name in archive.namelist()}
    found = {name.relative_to("guestwire") for name in names if name.parts[0] == "guestwire"}
    assert found == expected
    assert {name.parts[0] for name in names} == {"guestwire", f"guestwire-{__version__}.dist-info"}


def check_version(installed: Installed) -> None:
    assert installed.conform("--version").stdout == f"conform {__version__}\n"


def check_list(installed: Installed) -> None:
    """The agents of a checkout are known, and said not to be there."""
    done = installed.conform("list")
    assert (done.returncode, done.stderr) == (Exit.GREEN, "")
    built_in = sorted(path.stem for path in (ROOT / "conformance/agents").glob("*.toml"))
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == built_in
    assert all("no such program" in line for line in done.stdout.splitlines())


def check_explain(installed: Installed) -> None:
    """With the clause's text, from the spec, and its cases, from the suite."""
    done = installed.conform("explain", "PING-INSTANCE")
    assert (done.returncode, done.stderr) == (Exit.GREEN, "")
    assert "drawn at random when the process starts" in done.stdout
    assert "PING-INSTANCE/random" in done.stdout


def check_run(installed: Installed) -> None:
    """A real agent, with the cases that are data, and every kind of report."""
    agent = shutil.copy2(AGENT, installed.folder.parent / "agent")
    words = ("--transport=unix", "--clause=PING", "--clause=JSON-DUP", "--jobs=2")
    done = installed.conform("run", f"exec:{agent}", *words)
    assert done.returncode == Exit.PARTIAL, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].endswith(" passed, 0 failed, 0 skipped")
    reports = [path.name for path in (installed.folder / "guestwire-report").iterdir()]
    assert {"report.json", "report.html", "junit.xml"} <= set(reports)


def check_init(installed: Installed) -> None:
    assert installed.conform("init", "--name", "mine").returncode == Exit.GREEN
    assert f"guestwire-{__version__}-" in (installed.folder / ".github/workflows/conformance.yml").read_text()


def check_needs_a_checkout(installed: Installed) -> None:
    """Mutants are made from the sources."""
    done = installed.conform("mutants")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (Exit.USAGE, "", 1)
    assert "in a checkout" in done.stderr


def check_uninstalled(installed: Installed) -> None:
    """After all those runs."""
    assert "bin/conform" in installed.left()
    pip("--python", installed.venv / "bin/python", "uninstall", "-q", "-y", "guestwire")
    assert installed.left() == []


CHECKS = (
    check_contents,
    check_version,
    check_list,
    check_explain,
    check_run,
    check_init,
    check_needs_a_checkout,
    check_uninstalled,
)


@pytest.mark.timeout(600)  # quiet, 20 s
def test_wheel(tmp_path: Path) -> None:
    """One test, so that it is built once and uninstalled last, whoever runs the tests in whatever order."""
    installed = install(tmp_path)
    for check in CHECKS:
        check(installed)
    shutil.rmtree(tmp_path)
