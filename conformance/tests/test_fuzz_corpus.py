"""The committed corpora and regressions: small, named by their content, and in step with what is made from them."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "fuzz"
TARGETS = sorted(path.stem for path in FUZZ.glob("fuzz_*.c"))
FILES, BYTES = 1_000, 2 << 20  # of a target's corpus, at most


@pytest.mark.parametrize("target", TARGETS)
def test_a_corpus(target: str) -> None:
    files = list((FUZZ / "corpus" / target).iterdir())
    assert 0 < len(files) <= FILES
    assert sum(path.stat().st_size for path in files) <= BYTES
    for path in files:
        assert path.name == hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_corpora_and_regressions_belong_to_targets() -> None:
    assert TARGETS
    assert sorted(path.name for path in (FUZZ / "corpus").iterdir()) == TARGETS
    for folder in (FUZZ / "regressions").iterdir():
        assert folder.name in TARGETS
        for path in folder.iterdir():
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", path.name), f"{path}: a name that says what broke"


def test_cases_from_the_corpus_are_in_step() -> None:
    """conformance/cases/corpus.json is what fuzz/cases.py makes of the corpus."""
    words = ["/usr/bin/python3", str(FUZZ / "cases.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
