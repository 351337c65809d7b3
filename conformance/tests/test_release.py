"""What ships: ci/check-binary's look at the symbols, the bill of materials, and what an operator installs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "agent/install"
STATIC = ("gcc", "-static-pie", "-Wl,-z,relro,-z,now,-z,noexecstack", "-Wl,--build-id=none")


def _check(*words: object) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "ci/check-binary"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def _program(folder: Path, name: str, body: str) -> tuple[Path, Path]:
    """A program, and the same with its symbols."""
    source, plain, named = folder / f"{name}.c", folder / name, folder / f"{name}.debug"
    source.write_text(f"#include <stdlib.h>\nint main(int argc, char **argv) {{ (void)argv; {body} }}\n")
    for target, words in ((plain, ("-s",)), (named, ())):
        subprocess.run([*STATIC, *words, source, "-o", target], check=True, capture_output=True, timeout=60)
    return plain, named


def test_symbols(tmp_path: Path) -> None:
    machine = os.uname().machine
    calm, calm_named = _program(tmp_path, "calm", "return argc;")
    shell, shell_named = _program(tmp_path, "shell", "return system(argv[0]) + argc;")
    _, said = _check("--symbols", shell_named, shell, machine)
    assert "has system()" in said
    assert "has system()" not in _check("--symbols", calm_named, calm, machine)[1]
    status, said = _check("--symbols", shell_named, calm, machine)
    assert status == 1
    assert "--symbols is of another program" in said
    status, said = _check("--symbols", calm, calm, machine)
    assert status == 1
    assert "--symbols has none" in said


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guestwire_sbom", ROOT / "ci/sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _document(sbom: ModuleType, folder: Path, **changes: Any) -> str:
    binaries = [folder / "agent-a", folder / "agent-b"]
    for number, path in enumerate(binaries):
        path.write_bytes(b"binary %d" % number)
    facts = {"version": "1.2.3+g0123456789ab", "commit": "0123456789ab" + "0" * 28, "when": 1_700_000_000}
    cjson = folder / "cjson"
    (cjson / "debian").mkdir(parents=True, exist_ok=True)
    (cjson / "debian/changelog").write_text("cjson (1.7.15-1+deb12u4) bookworm-security; urgency=medium\n")
    text = sbom.document(sbom.Source(**(facts | changes)), binaries, ROOT, cjson)
    assert isinstance(text, str)
    return text


def test_bill_of_materials_is_spdx(sbom: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "release.spdx.json"
    path.write_text(_document(sbom, tmp_path))
    document = parse_file(str(path))
    assert [message.validation_message for message in validate_full_spdx_document(document)] == []
    assert {package.name for package in document.packages} == {"agent-a", "agent-b", "cJSON", "musl"}
    assert document.creation_info.created.timestamp() == 1_700_000_000


def test_bill_of_materials_says_what_is_in_it(sbom: ModuleType, tmp_path: Path) -> None:
    first = _document(sbom, tmp_path)
    assert first == _document(sbom, tmp_path)
    parts = {part["name"]: part for part in json.loads(first)["packages"]}
    assert parts["cJSON"]["versionInfo"] == "1.7.15-1+deb12u4"
    (reference,) = parts["cJSON"]["externalRefs"]
    assert reference["referenceLocator"] == "pkg:deb/debian/cjson@1.7.15-1%2Bdeb12u4?arch=source"
    assert _document(sbom, tmp_path, commit="f" * 40) != first


def _make(*words: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-s", "-C", str(ROOT), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_install_and_uninstall(tmp_path: Path) -> None:
    neighbour = tmp_path / "usr/bin/neighbour"
    neighbour.parent.mkdir(parents=True)
    neighbour.touch()
    _make("install", "PREFIX=/usr", f"DESTDIR={tmp_path}")
    modes = {
        str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()
    }
    del modes["usr/bin/neighbour"]
    assert modes == {
        "etc/init.d/smolvm-guest-agent": 0o755,
        "usr/bin/guestwire": 0o755,
        "usr/bin/smolvm-guest-agent": 0o755,
        "usr/lib/systemd/system/smolvm-guest-agent.service": 0o644,
        "usr/share/man/man1/conform.1": 0o644,
        "usr/share/man/man1/guestwire.1": 0o644,
        "usr/share/man/man8/smolvm-guest-agent.8": 0o644,
    }
    assert (tmp_path / "usr/bin/smolvm-guest-agent").read_bytes() == (ROOT / "build/smolvm-guest-agent").read_bytes()
    unit = tmp_path / "usr/lib/systemd/system/smolvm-guest-agent.service"
    assert "ExecStart=/usr/bin/smolvm-guest-agent" in unit.read_text()
    words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", unit.name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    subprocess.run(["sh", "-n", str(tmp_path / "etc/init.d/smolvm-guest-agent")], check=True, timeout=60)
    _make("uninstall", "PREFIX=/usr", f"DESTDIR={tmp_path}")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [neighbour]


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.[18]")))
def test_manual_page(page: str) -> None:
    words = ["mandoc", "-Tlint", "-Wwarning", str(PAGES / page)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("page", "commands"),
    [
        ("smolvm-guest-agent.8", [["build/smolvm-guest-agent"]]),
        ("guestwire.1", [["build/guestwire"], ["build/guestwire", "bridge"], ["build/guestwire", "ready"]]),
    ],
)
def test_manual_page_has_all_options(page: str, commands: list[list[str]]) -> None:
    told = set(re.findall(r"Fl -([a-z-]+)", (PAGES / page).read_text()))
    offered: set[str] = set()
    for command in commands:
        words = [str(ROOT / command[0]), *command[1:], "--help"]
        said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
        offered |= set(re.findall(r"--([a-z]+[a-z-]*)", said))
    assert told == offered


def test_manual_page_has_all_commands() -> None:
    words = [sys.executable, "-m", "guestwire.cli", "--help"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    offered = re.findall(r"^    ([a-z]+) {2,}", said, re.MULTILINE)
    assert re.findall(r"^\.It Cm ([a-z]+)$", (PAGES / "conform.1").read_text(), re.MULTILINE) == offered
