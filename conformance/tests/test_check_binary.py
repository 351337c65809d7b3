"""ci/check-binary: a good binary passes, and each promise it guards is caught when it alone is broken."""

from __future__ import annotations

import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MACHINE = platform.machine()
FOREIGN = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]
PT_LOAD, PF_X, PF_W = 1, 1, 2
GOOD = ("-static-pie", "-s", "-Wl,-z,relro,-z,now,-z,noexecstack")

BROKEN = {
    "dynamic": (("-pie", *GOOD[1:]), {"asks for an interpreter: dynamically linked", "needs a shared library"}),
    "shared object": (("-shared", "-fPIC", *GOOD[1:]), {"not position-independent"}),
    "fixed address": (("-static", "-no-pie", *GOOD[1:]), {"not position-independent", "not bound at start"}),
    "lazy": (
        ("-pie", "-s", "-Wl,-z,relro,-z,lazy,-z,noexecstack"),
        {"interpreter", "shared library", "not bound at start"},
    ),
    "no RELRO": (("-static-pie", "-s", "-Wl,-z,norelro,-z,now,-z,noexecstack"), {"no RELRO segment"}),
    "executable stack": (("-static-pie", "-s", "-Wl,-z,relro,-z,now,-z,execstack"), {"executable stack"}),
    "symbols": ((GOOD[0], *GOOD[2:]), {"not stripped"}),
}


def build(folder: Path, *flags: str) -> Path:
    """An empty program, linked with these flags."""
    source = folder / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    binary = folder / "empty"
    subprocess.run(["gcc", *flags, source, "-o", binary], check=True, capture_output=True, timeout=60)
    return binary


def check(binary: Path, machine: str = MACHINE, *options: str) -> tuple[int, list[str]]:
    """Run ci/check-binary. Return: exit status, the findings."""
    done = subprocess.run(
        [sys.executable, ROOT / "ci/check-binary", *options, binary, machine],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary that keeps every promise."""
    return build(tmp_path_factory.mktemp("good"), *GOOD)


def test_good_binary_passes(good: Path) -> None:
    assert check(good) == (0, [])


def test_agent_passes() -> None:
    assert check(ROOT / "build/smolvm-guest-agent", MACHINE, "--max-size", "81920") == (0, [])


@pytest.mark.parametrize("name", BROKEN)
def test_broken_promise_is_found(name: str, tmp_path: Path) -> None:
    flags, expected = BROKEN[name]
    status, findings = check(build(tmp_path, *flags))
    assert status == 1
    assert len(findings) == len(expected), findings
    assert all(any(text in finding for finding in findings) for text in expected), findings


def test_writable_code_is_found(good: Path, tmp_path: Path) -> None:
    data = bytearray(good.read_bytes())
    segments, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for at in range(segments, segments + 56 * count, 56):
        kind, flags = struct.unpack_from("<II", data, at)
        if kind == PT_LOAD and flags & PF_X:
            struct.pack_into("<I", data, at + 4, flags | PF_W)
    changed = tmp_path / "changed"
    changed.write_bytes(data)
    status, findings = check(changed)
    assert status == 1
    assert len(findings) == 1
    assert findings[0].endswith("segment writable and executable")


def test_other_machine_is_found(good: Path) -> None:
    status, findings = check(good, FOREIGN)
    assert status == 1
    assert len(findings) == 1
    assert findings[0].endswith(f"is not {FOREIGN}")


def test_size_is_judged_at_the_byte(good: Path) -> None:
    size = good.stat().st_size
    assert check(good, MACHINE, "--max-size", str(size)) == (0, [])
    status, findings = check(good, MACHINE, "--max-size", str(size - 1))
    assert status == 1
    assert findings[0].endswith(f"{size} bytes, more than {size - 1}")


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(100), b"\x7fELF\x02\x01" + bytes(20)]
)
def test_not_an_elf_file_is_found(content: bytes, tmp_path: Path) -> None:
    binary = tmp_path / "junk"
    binary.write_bytes(content)
    status, findings = check(binary)
    assert status == 1
    assert len(findings) == 1


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    status, findings = check(tmp_path / "absent")
    assert status == 1
    assert len(findings) == 1
