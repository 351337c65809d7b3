"""The example agent in Go: it is built, serves, and fails what its README names, no less and no more."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestwire.judge.ledger import checks
from guestwire.judge.verdict import Exit
from guestwire.tests.harness import CONFORM, run, temporary

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "conformance/examples/go"
NAMED = re.compile(r"^\| `([A-Z-]+(?:/[a-z-]+)?)` \| (MUST|SHOULD) \|", re.MULTILINE)
SLICE = (  # of each operation something, and every case that the README names
    *("PING", "RUN-EXIT/status", "RUN-EXIT/signal", "RUN-CHILD/stdin", "RUN-CHILD/limits", "RUN-HANGUP/unread"),
    *("RUN-TIMEOUT/held", "PUT-ATOMIC/old-or-new", "GET-OK/empty", "GET-ERRORS/swapped", "SRV-SLOTS/option"),
    *("SRV-START/inherited", "SRV-START/limit", "SRV-OOM", "ERR-ERRNO/spawn"),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run, in which agents of other users reach their files too."""
    with temporary() as path:
        path.parent.chmod(0o755)
        path.chmod(0o755)
        yield path


def built_with() -> tuple[int, ...]:
    """The version of Go that the example was built with."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "-s", "example"], cwd=ROOT, env=environment, check=True, timeout=300)
    done = subprocess.run(["go", "version", ROOT / "build/example/guest-agent-go"], capture_output=True, text=True,
                          check=True, timeout=60)  # fmt: skip
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout.rpartition(":")[2])
    assert found, done.stdout
    return tuple(int(number or 0) for number in found.groups())


def gives_limits_back(version: tuple[int, ...]) -> bool:
    """Whether commands get back the limit that Go's runtime has raised for itself."""
    return version >= (1, 20, 4) or (1, 19, 9) <= version < (1, 20)


def broken(report: dict[str, Any]) -> set[str]:
    """The checks that a run found broken."""
    found: set[str] = set()
    for case in report["cases"]:
        found |= {*case["broken"], *(case["checks"] if case["outcome"] != "PASS" else ())}
    return found


def test_readme_names_checks_by_their_level() -> None:
    named = NAMED.findall((EXAMPLE / "README.md").read_text())
    assert {name: checks()[name].level for name, _ in named} == dict(named)
    assert sum(level == "MUST" for _, level in named) <= 5


@pytest.mark.timeout(600)  # quiet, 20 s
def test_fails_what_its_readme_names(folder: Path) -> None:
    named = {name for name, _ in NAMED.findall((EXAMPLE / "README.md").read_text())}
    if gives_limits_back(built_with()):
        named.remove("RUN-CHILD/limits")
    done = run(
        folder, *CONFORM, "run", str(EXAMPLE / "agent.toml"), "--transport=unix", *(f"--case={c}" for c in SLICE)
    )
    assert done.status == Exit.RED, done.stdout + done.stderr
    assert {re.split("[:@]", case)[0] for case in done.cases} == set(SLICE)
    report = json.loads((folder.with_suffix(".report") / "report.json").read_text())
    assert broken(report) == named, done.stdout
    assert {case["outcome"] for case in report["cases"]} <= {"PASS", "FAIL", "CRASH"}
