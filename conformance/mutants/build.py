"""A mutant's executable, built in a temporary folder from the oracle's or the C agent's source. The shipped ones stay clean."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import py_compile
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from signal import SIG_DFL, SIGINT

from guestwire.drive.platform import ON_LINUX, lacking
from guestwire.judge.contract import AGENT, CONTRACTS, Contract
from guestwire.mutants.load import CatalogueError, Mutant

ROOT = Path(__file__).resolve().parents[2]
ORACLE = AGENT.oracle
BUILD_NEEDS = ("Makefile", "VERSION", "pyproject.toml", "setup.py", "agent", "ci", "conformance/bench",
               "conformance/examples/*.mk", "conformance/vm/debian.py", "fuzz/*.mk")  # fmt: skip
BUILD_TIMEOUT = 300.0  # seconds; the first of a run compiles everything


def possible(contract: Contract = AGENT) -> str:
    """What is missing for mutants of the oracle, "" for nothing."""
    if not ON_LINUX:
        return lacking("conform mutants")
    oracle = contract.oracle
    return "" if oracle.is_file() else f"no {oracle}: mutants are made from the oracle's source, in a checkout"


def replaced(mutant: Mutant, text: str, replacements: tuple[tuple[str, str], ...], name: str) -> str:
    """The text with all replacements made. Raises CatalogueError where an old text does not stand there exactly once."""
    for old, new in replacements:
        times = text.count(old)
        if times != 1:
            raise CatalogueError(f"mutant {mutant.id}: stands {times} times, not once, in {name}: {old!r}")
        text = text.replace(old, new)
    return text


def oracle_connectable(folder: Path, label: str, text: str) -> str:
    """The connectable of an oracle with this source, compiled: most of a start's time is compiling."""
    source, compiled = folder / f"{label}.py", folder / f"{label}.pyc"
    source.write_text(text, encoding="utf-8")
    try:
        py_compile.compile(str(source), str(compiled), doraise=True)
    except py_compile.PyCompileError as error:
        raise CatalogueError(f"mutant {label}: {' '.join(error.msg.split())}") from None
    python = os.path.realpath(sys.executable)  # behind the virtual environment's link: it starts faster
    return f"exec:{shlex.quote(python)} -I -S {shlex.quote(str(compiled))}"


def build(mutant: Mutant, folder: Path, contract: Contract = AGENT) -> str:
    """The connectable of the mutant, made in `folder`. Raises CatalogueError."""
    if mutant.source == "oracle":
        pairs = tuple((old, new) for old, new in mutant.replace)
        source = contract.oracle.read_text(encoding="utf-8")
        return oracle_connectable(folder, mutant.id, replaced(mutant, source, pairs, f"oracle/{contract.oracle.name}"))
    if contract is not AGENT:
        raise CatalogueError(f"mutant {mutant.id}: source {mutant.source!r}; of a {contract.noun} only its oracle is")
    return _build_agent(mutant, folder)


def build_all(mutants: Sequence[Mutant], folder: Path, contract: Contract = AGENT) -> dict[str, str]:
    """The connectables of all mutants by id, made on all cores. Raises CatalogueError."""
    patched = [mutant for mutant in mutants if mutant.source == "agent"]
    others = [mutant for mutant in mutants if mutant.source != "agent"]
    parts = [patched, *(others[start : start + 16] for start in range(0, len(others), 16))]  # one tree for all patched
    made: dict[str, str] = {}
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(mp_context=fork, initializer=signal.signal, initargs=(SIGINT, SIG_DFL)) as pool:
        for found in pool.map(_build_some, parts, itertools.repeat(folder), itertools.repeat(contract.name)):
            made |= found
    return made


def _build_some(mutants: Sequence[Mutant], folder: Path, contract: str) -> dict[str, str]:
    return {mutant.id: build(mutant, folder, CONTRACTS[contract]) for mutant in mutants}


def _build_agent(mutant: Mutant, folder: Path) -> str:
    """The C agent, patched. One tree serves all, so that each compiles only its change."""
    tree = folder / "tree"
    if not tree.exists():
        for source in itertools.chain.from_iterable(map(ROOT.glob, BUILD_NEEDS)):
            target = tree / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
        for name in (".venv", ".cache"):
            (tree / name).symlink_to(ROOT / name)
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name, _, _ in mutant.replace}
    for name, text in texts.items():
        pairs = tuple((old, new) for file, old, new in mutant.replace if file == name)
        (tree / name).write_text(replaced(mutant, text, pairs, name), encoding="utf-8")
    binary = tree / "build/smolvm-guest-agent"
    stamp = "--old-file=.venv/.stamp"  # it is this tree's, and not to be set up anew
    command = ("make", "-s", "-C", str(tree), stamp, "agent", "AGENT_SIZE_MAX=200000")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=BUILD_TIMEOUT, check=False)
    for name, text in texts.items():
        (tree / name).write_text(text, encoding="utf-8")
    if done.returncode != 0:
        raise CatalogueError(f"mutant {mutant.id} does not build: {done.stderr.strip()[-400:]}")
    result = folder / f"{mutant.id}.agent"
    shutil.copy2(binary, result)
    return f"exec:{shlex.quote(str(result))}"
