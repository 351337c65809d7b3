"""An exception of the harness itself is neither green nor red: exit 4, and one line that says where."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.drive.connectable import UsageError
from guestwire.judge import ledger
from guestwire.report import bug, document
from guestwire.tests.harness import CONFORM, HERE, MINI, TINY, Done, run, temporary


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No report of an earlier run lies below the current directory."""
    monkeypatch.chdir(tmp_path)


WORDS = ("run", f"exec:{TINY}", "--transport=unix", "--case=PING", "--case=PING-INSTANCE/random")
BREAK = """
import importlib, sys
def fail(*_, **__):
    raise RuntimeError("the sky\\nhas fallen")
module, _, name = sys.argv.pop(1).rpartition(".")
setattr(importlib.import_module(module), name, fail)
from guestwire import cli
sys.argv[0] = "conform"
sys.exit(cli.main())
"""
SAID = "RuntimeError: the sky has fallen (<string>:4); GUESTWIRE_TRACEBACK=1 shows the traceback"


def broken(folder: Path, name: str, *options: str) -> Done:
    """A run of a harness in which this function raises."""
    return run(folder, sys.executable, "-c", BREAK, name, *WORDS, "--jobs=1", *options)


@pytest.mark.parametrize(
    "name",
    [
        "guestwire.drive.selection.rows_of",
        "guestwire.drive.selection.note",
        "guestwire.report.junit.xml",
        "guestwire.report.terminal.show",
    ],
)
def test_run_whose_harness_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bug.TRACEBACK, raising=False)
    with temporary() as folder:
        done = broken(folder, name)
        place = folder.with_suffix(".report") / "report.json"
        verdict = document.load(place)["footer"]["verdict"] if done.cases else None
    told = [line for line in (done.stdout + done.stderr).splitlines() if "RuntimeError" in line]
    assert done.status == 4
    assert told in ([f"HARNESS BUG {SAID}"], [f"conform: the harness failed, nothing was judged: {SAID}"])
    assert len(done.stderr.splitlines()) <= 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "green" not in done.stdout
    assert verdict in (None, "harness-bug") or name.endswith("terminal.show")


def test_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bug.TRACEBACK, "1")
    with temporary() as folder:
        done = broken(folder, "guestwire.drive.selection.select")
    assert done.status == 4
    assert "in pytest_collection_modifyitems" in done.stderr
    assert "has fallen" in done.stderr


@pytest.mark.parametrize("how", ["raise RuntimeError('the sky has fallen')", "os._exit(9)"])
def test_worker_that_fails(how: str, tmp_path: Path) -> None:
    """In a worker of pytest-xdist, after a case: its results are missing, and the run says so."""
    (tmp_path / "breaks_workers.py").write_text(
        "import os\n"
        "from guestwire.drive import selection\n"
        "def note(*_):\n"
        "    if 'PYTEST_XDIST_WORKER' in os.environ:\n"
        f"        {how}\n"
        "selection.note = note\n"
    )
    code = f"import os, sys; sys.path.insert(0, {str(tmp_path)!r}); os.environ['PYTEST_PLUGINS'] = 'breaks_workers'\n"
    code += "from guestwire import cli; sys.exit(cli.main())"
    with temporary() as folder:
        done = run(
            folder, sys.executable, "-c", code, *WORDS[:2], "--transport=unix,fd-listen", "--clause=PING", "--jobs=2"
        )
    assert done.status == 4, done
    assert "HARNESS BUG" in done.stdout or "verdict: NONE" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_module_that_skips_itself(tmp_path: Path) -> None:
    """Its cases are missing, whatever the others prove."""
    (tmp_path / "test_a.py").write_text((HERE / "mini_suite.py").read_text())
    (tmp_path / "test_b.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    with temporary() as folder:
        words = ("--agent", f"exec:{TINY}", "--transport=unix", "-k=test_ping or test_b")
        done = run(folder, *MINI[:-2], f"--rootdir={tmp_path}", str(tmp_path), *words)
    assert done.status == 4
    assert "HARNESS BUG test_b.py: " in done.stdout


def test_agent_that_is_replaced(tmp_path: Path) -> None:
    """Whether the old or the new one passed cannot be told."""
    agent = tmp_path / "agent.py"
    agent.write_text(TINY.read_text())
    agent.chmod(0o755)
    (tmp_path / "test_a.py").write_text(
        f"{(HERE / 'mini_suite.py').read_text()}\n\n"
        '@case("PING-INSTANCE/stable", deadline=3)\n'
        "def test_replaced(host: Host) -> None:\n"
        "    host.ping()\n"
        f"    open({str(agent)!r}, 'a').write('# changed')\n"
    )
    with temporary() as folder:
        words = ("--agent", f"exec:{agent}", "--transport=unix", "-k=test_ping or test_replaced")
        done = run(folder, *MINI[:-2], f"--rootdir={tmp_path}", str(tmp_path), *words)
    assert done.status == 4, done.stdout
    assert "HARNESS BUG agent.py was replaced while it was judged" in done.stdout


# ---- every subcommand


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (RuntimeError("the sky\nhas fallen"), 4, "conform: the harness failed, nothing was judged: RuntimeError: the sky has"),
        (KeyboardInterrupt(), 130, "interrupted: nothing was judged"),
        (UsageError("no such\nthing"), 2, "conform: no such; thing"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", cli.COMMANDS)
def test_command_that_fails(
    name: str, error: BaseException, status: int, says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.delenv(bug.TRACEBACK, raising=False)
    monkeypatch.setattr(importlib.import_module(f"guestwire.commands.{name}"), "main", raises(error))
    assert _with_as_many_words_as_it_wants(name) == status
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert told.err.startswith(says)


def _with_as_many_words_as_it_wants(name: str) -> int:
    tried = ([name, *[word] * count] for count in range(4) for word in ("x", "run"))
    options = next(made for words in tried if (made := _parsed(words)))
    return cli.main(options)


def _parsed(words: list[str]) -> list[str]:
    """The words, if they are a command line."""
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        cli._arguments(words).parse_args(words)
        return words
    return []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_unknown_option_of_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--no-such-option"])
    assert end.value.code == 2
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)


def raises(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def test_ledger_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ledger, "clauses", raises(ledger.LedgerError("PING: level 'MAY'")))
    for words in (["clauses"], ["explain", "PING"], ["run", f"exec:{TINY}", "--clause=PING"]):
        assert cli.main(words) == 4
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("words", [["list"], ["clauses"]], ids=" ".join)
def test_output_that_cannot_be_written(words: list[str]) -> None:
    """A full disk, say: never exit 0."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "guestwire.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100
        )
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


@pytest.mark.parametrize(("closed", "status"), [(">&-", 2), ("2>&-", 3), ("<&-", 3)])
def test_closed_descriptors(closed: str, status: int, tmp_path: Path) -> None:
    """Without a place to tell the verdict there is none; the others are not missed."""
    words = (f"exec:{TINY}", "--transport=unix", "--case=PING", f"--report-dir={tmp_path}/r")
    with temporary() as folder:
        done = run(folder, "sh", "-c", f'exec "$@" {closed}', "sh", *CONFORM, "run", *words, judging=False)
    assert done.status == status, done
    assert (
        done.stderr.splitlines()
        == ["conform: standard output is closed: let it go to a file, to /dev/null say"][: status == 2]
    )


def test_locale_without_a_name_for_every_letter() -> None:
    """Our own files are UTF-8 wherever they are read."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with temporary() as folder:
        words = (f"exec:{TINY}", "--transport=unix", "--case=PING", f"--report-dir={folder.parent}/r")
        done = subprocess.run(
            [*CONFORM, "run", *words], env={**environment, "TMPDIR": str(folder)}, capture_output=True, timeout=100
        )
    assert (done.returncode, done.stderr) == (3, b"")


def test_names_that_cannot_be_printed(tmp_path: Path) -> None:
    """Whatever an agent's file is called, the verdict stands: the name is told with escapes."""
    program = os.fsencode(tmp_path) + b"/\xff\xc3\xa9.py"
    os.symlink(TINY, program)
    with temporary() as folder:
        environment = {**os.environ, "TMPDIR": str(folder), "PYTHONIOENCODING": "ascii"}
        done = subprocess.run(
            [sys.executable, "-m", "guestwire.cli", "run", b"exec:" + program, *WORDS[2:], "--jobs=1",
             f"--report-dir={tmp_path}/report"],
            env=environment, capture_output=True, timeout=100,
        )  # fmt: skip
    made = document.load(tmp_path / "report/report.json")
    assert (done.returncode, done.stderr) == (made["footer"]["exit"], b"")
    assert done.returncode in (1, 3), done.stdout
    assert [case["id"] for case in made["cases"] if ".py" in case["id"]] == []
    assert b"\nverdict: " in done.stdout
