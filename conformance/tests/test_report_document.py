"""report.json: what is written can be read back, and what is not whole is refused."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.drive.connectable import UsageError
from guestwire.judge.ledger import checks
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit
from guestwire.report import document, folder
from guestwire.tests.harness import CONFORM, MINI, TINY, left_behind, run, temporary
from guestwire.tests.reports import head, in_guest, report


def written(tmp_path: Path, made: Any) -> Path:
    path = tmp_path / "report.json"
    path.write_text(made if isinstance(made, str) else document.dump(made))
    return path


def test_read_back(tmp_path: Path) -> None:
    made = report()
    path = written(tmp_path, made)
    assert document.load(path) == made
    read = document.results(made)
    assert [case.id for case in read] == [case["id"] for case in made["cases"]]
    assert document.compose(document.Head({}, {}, [], []), read, Exit.RED)["cases"] == made["cases"]


def test_a_guests_facts_are_looked_at() -> None:
    made = in_guest()
    assert document.fault(made) == ""
    made["agents"][0]["guest"]["accelerator"] = "a wish"
    assert "accelerator" in document.fault(made)
    made = in_guest()
    del made["agents"][0]["guest"]["boot_seconds"]
    assert "boot_seconds" in document.fault(made)


def test_other_layout_is_the_same_report(tmp_path: Path) -> None:
    """The digest is that of the cases, not of the file."""
    made = report()
    assert document.load(written(tmp_path, json.dumps(made, indent=3, sort_keys=True))) == made


def test_later_members_are_ignored() -> None:
    made = report()
    made["cases"][0]["later"] = {}
    made["footer"]["digest"] = document.digest(made["cases"])
    assert document.fault(made) == ""
    assert isinstance(document.results(made)[0], CaseResult)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    text = document.dump(report(2))
    for length in range(0, len(text.rstrip()), 7):
        with pytest.raises(UsageError, match=r"cut short|no guestwire report"):
            document.load(written(tmp_path, text[:length]))


def change(*path: str | int, to: Any) -> Callable[[Any], None]:
    """A change of one member."""

    def apply(made: Any) -> None:
        for name in path[:-1]:
            made = made[name]
        if to is KeyError:
            del made[path[-1]]
        else:
            made[path[-1]] = to

    return apply


def verdict(name: str, status: int) -> Callable[[Any], None]:
    """Another verdict."""
    return lambda made: made["footer"].update(verdict=name, exit=status)


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (change("format", to="other"), "is no guestwire report"),
        (change("format_version", to=2), "has the format version 2; this conform reads 1"),
        (change("footer", to=KeyError), "has no footer"),
        (change("versions", "harness", to=KeyError), "harness"),
        (change("cases", 0, "outcome", to="GREEN"), r"cases\[0\].outcome must be one of"),
        (change("cases", 0, "checks", to=[]), r"cases\[0\].checks"),
        (change("cases", 0, "actual", to=KeyError), "actual"),
        (change("cases", 0, to=KeyError), "has 7 cases, and a footer that counts 8"),
        (change("footer", "cases", to=9), "has 8 cases, and a footer that counts 9"),
        (change("footer", "outcomes", "PASS", to=1), "a footer that counts"),
        (change("cases", 0, "seconds", to=2.5), "was altered"),
        (change("footer", "verdict", to="green"), "has the verdict 'green' with the exit status 1"),
        (verdict("green", 0), r"has the verdict 'green', and the failed case FRAME\S+@unix of oracle"),
        (verdict("partial", 3), r"has the verdict 'partial', and the failed case FRAME\S+@unix of oracle"),
        (change("footer", "digest", to="0" * 64), "was altered"),
        (change("agents", 0, "sha256", to="abc"), "sha256"),
        (change("run", "started", to="yesterday"), "started"),
    ],
)
def test_altered_report_is_refused(tmp_path: Path, alter: Callable[[Any], None], says: str) -> None:
    made = report()
    alter(made)
    with pytest.raises(UsageError, match=says) as told:
        document.load(written(tmp_path, made))
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda made: made["cases"][2].update(outcome="CRASH", excused=True), "the failed case"),
        (lambda made: made["cases"][2].update(outcome="PASS"), "cases that did not run"),
        (
            lambda made: made["run"].update(filtered=True) or made["cases"][2].update(outcome="PASS"),
            "cases that did not run",
        ),
        (lambda made: made["cases"][2].update(outcome="PASS", broken={"PING": ["a", "b"]}), "the failed case"),
    ],
)
def test_green_that_cannot_be(change: Callable[[Any], None], says: str, tmp_path: Path) -> None:
    made = report()
    change(made)
    outcomes = [case["outcome"] for case in made["cases"]]
    made["footer"] |= {"digest": document.digest(made["cases"]), "verdict": "green", "exit": 0}
    made["footer"]["outcomes"] = {name: outcomes.count(name) for name in set(outcomes)}
    with pytest.raises(UsageError, match=says):
        document.load(written(tmp_path, made))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: None, ""),
        (lambda made: made["cases"].clear(), "no case that proves FRAME-TYPES/json of agent"),
        (lambda made: made["cases"].pop(7), "no case that proves"),
        (
            lambda made: made["agents"].append(made["agents"][0] | {"label": "b"}),
            "no case that proves FRAME-TYPES/json of b",
        ),
        (lambda made: made["versions"].update(harness="9"), ""),
        (lambda made: made["versions"].update(harness="9") or made["cases"].clear(), "no case that proves anything"),
    ],
)
def test_green_needs_every_check(spoil: Callable[[Any], None], says: str) -> None:
    cases = [CaseResult(name, "agent", "unix", [name]) for name in checks()]
    made = document.compose(head(("agent",)), cases, Exit.GREEN)
    spoil(made)
    made["footer"] |= {"digest": document.digest(made["cases"]), "cases": len(made["cases"])}
    made["footer"]["outcomes"] = {"PASS": len(made["cases"])} if made["cases"] else {}
    assert says in document.fault(made)
    assert bool(says) == bool(document.fault(made))


def test_a_number_that_is_none(tmp_path: Path) -> None:
    made = report()
    made["cases"][0]["seconds"] = float("nan")
    made["footer"]["digest"] = document.digest(made["cases"])
    with pytest.raises(UsageError, match="damaged"):
        document.load(written(tmp_path, made))


# ---- every command that reads one


def spoiled(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Reports of all kinds that are none, with what is said of each."""
    whole, altered, later = (document.dump(report()) for _ in range(3))
    texts = {
        "cut": (whole[: len(whole) // 2], "was cut short or damaged"),
        "unfinished": (document.unfinished(), "has no footer"),
        "altered": (altered.replace('"seconds": 0.0125', '"seconds": 0.0', 1), "was altered"),
        "later": (later.replace('"format_version": 1', '"format_version": 2'), "has the format version 2; this conform reads 1"),
        "older": (later.replace('"format_version": 1', '"format_version": "\\u001b[31m"'), "this conform reads 1"),
        "empty": ("", "is no guestwire report"),
    }  # fmt: skip
    found = {}
    for name, (text, says) in texts.items():
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        found[name] = (path, says)
    return found


def test_every_command_refuses(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """report, its --history, merge, clauses; run's --history and --last-failed: exit 2, one line, nothing written."""
    good = str(written(tmp_path, report()))
    place = tmp_path / "place"
    judging = ["run", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1"]
    for name, (path, says) in spoiled(tmp_path).items():
        run_too = [[*judging, f"--report-dir={place}", "--history", str(path)]] if name in ("cut", "later") else []
        for words in (
            ["report", str(path)],
            ["report", str(path), "--html", str(place / "page.html"), "--junit", str(place / "junit.xml")],
            ["report", good, "--html", str(place / "page.html"), "--history", str(path)],
            ["merge", str(path), "--report-dir", str(place)],
            ["clauses", "--report", str(path)],
            *run_too,
        ):
            assert cli.main(words) == 2, (name, words)
            told = capfd.readouterr()
            assert (told.out, len(told.err.strip().splitlines())) == ("", 1), (name, words)
            assert says in told.err, (name, words)
            assert told.err.strip().isprintable()
            assert not list(place.glob("*"))
        if not run_too:
            continue
        last = tmp_path / name
        last.mkdir()
        (last / "report.json").write_bytes(path.read_bytes())
        assert cli.main([*judging, f"--report-dir={last}", "--last-failed"]) == 2
        told = capfd.readouterr()
        assert (told.out, len(told.err.strip().splitlines())) == ("", 1)
        assert says in told.err
        assert [each.name for each in last.iterdir()] == ["report.json"]
        assert (last / "report.json").read_bytes() == path.read_bytes()


def test_case_told_twice_is_refused(tmp_path: Path) -> None:
    made = report()
    made["cases"].append(made["cases"][0])
    made["footer"] |= {"cases": 9, "digest": document.digest(made["cases"])}
    made["footer"]["outcomes"]["PASS"] += 1
    with pytest.raises(UsageError, match="more than once"):
        document.load(written(tmp_path, made))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000, "\0", '{"format":"junit"}'])
def test_no_report_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="is no guestwire report"):
        document.load(written(tmp_path, text))


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), (b"\xff\xfe", "no text")])
def test_unreadable(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        document.load(path)


# ---- the folder


def test_folder_of_an_earlier_report_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "a/b"
    os.close(folder.reserve(place))
    folder.claim(place)
    folder.fill(place, report())
    (place / "evidence/case").mkdir(parents=True)
    (place / "notes.txt").touch()
    folder.claim(place)
    assert sorted(path.name for path in place.iterdir()) == ["notes.txt", "report.json"]
    with pytest.raises(UsageError, match="has no footer"):
        document.load(place / "report.json")


@pytest.mark.parametrize(
    ("name", "content"), [("thesis.tex", "much work"), ("report.json", '{"format": "other"}'), ("report.json", "")]
)
def test_folder_of_somebody_else_is_refused(tmp_path: Path, name: str, content: str) -> None:
    """Before any case, in one line, and untouched."""
    place = tmp_path / "report"
    place.mkdir()
    (place / name).write_text(content)
    with temporary() as scratch:
        words = ("run", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1", f"--report-dir={place}")
        done = run(scratch, *CONFORM, *words, judging=False)
    assert (done.status, done.stdout.strip(), len(done.stderr.strip().splitlines())) == (2, "", 1)
    assert "holds no report of conform" in done.stderr
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [(name, content)]


def test_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no report can be written to"):
        folder.reserve(tmp_path / "file/report")


# ---- of a real run


def test_run_writes_its_report(tmp_path: Path) -> None:
    place, also = tmp_path / "report", tmp_path / "also/results.json"
    with temporary() as scratch:
        words = ("run", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1")
        done = run(scratch, *CONFORM, *words, f"--report-dir={place}", f"--results={also}", judging=False)
    made = document.load(place / "report.json")
    assert document.load(also) == made
    assert (made["footer"]["verdict"], made["footer"]["exit"], done.status) == ("partial", 3, 3)
    assert (made["run"]["filtered"], made["run"]["strict"], made["rows"]) == (True, False, [["tiny.py", "unix"]])
    assert made["run"]["command"].startswith(f"conform run exec:{TINY}")
    [agent] = made["agents"]
    assert (agent["label"], agent["agent_version"], len(agent["sha256"])) == ("tiny.py", "0", 64)


def test_history_may_be_the_report_that_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "report"
    words = ("run", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1", f"--report-dir={place}")
    folder.claim(place)
    folder.fill(place, report())
    with temporary() as scratch:
        assert run(scratch, *CONFORM, *words, "--history", str(place / "report.json"), judging=False).status == 3
        assert (place / "report.html").read_text().count('"started"') == 2
        (place / "report.json").write_text(document.unfinished())
        done = run(scratch, *CONFORM, *words, "--history", str(place / "report.json"), judging=False)
    assert (done.status, done.stdout.strip(), len(done.stderr.strip().splitlines())) == (2, "", 1)
    assert "has no footer" in done.stderr


def test_agent_without_a_pong_has_no_version() -> None:
    with temporary() as scratch:
        done = run(scratch, *MINI, "--agent", f"exec:{TINY} --bare", "--transport=unix", "-k=ping")
        made = document.load(scratch.with_suffix(".report") / "report.json")
        assert left_behind(scratch) == []
    assert (done.status, made["footer"]["verdict"]) == (1, "red")
    assert made["agents"][0]["agent_version"] == ""


def test_report_that_cannot_be_written_is_no_verdict() -> None:
    """And no report on the disk says that there was one; a device stays a device."""
    with temporary() as scratch:
        words = ("run", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1")
        done = run(scratch, *CONFORM, *words, "--results=/dev/full")
        made = scratch.with_suffix(".report") / "report.json"
        assert "no footer" in document.fault(json.loads(made.read_text()))
    assert done.status == 4
    assert "HARNESS BUG the report cannot be written" in done.stdout
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--results=FILE/x",), "FILE/x cannot be written: "),
        (("--results=.",), ". cannot be written: Is a directory"),
        (("--case=bogus",), "unknown case 'bogus'"),
        (("--shard=1/100000", "--jobs=2"), "no case falls into the shard 1/100000"),
        (("--max-time=0",), "--max-time 0: a number of seconds over 0"),
    ],
)
def test_wrong_command_line_leaves_an_earlier_report(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    """Told in one line, also by the workers."""
    place, file = tmp_path / "report", tmp_path / "file"
    file.touch()
    os.close(folder.reserve(place))
    folder.fill(place, report())
    before = document.load(place / "report.json")
    words = ("run", f"exec:{TINY}", "--clause=PING-INSTANCE", "--transport=unix", f"--report-dir={place}")
    with temporary() as scratch:
        done = run(scratch, *CONFORM, *words, *(word.replace("FILE", str(file)) for word in options), judging=False)
    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done
    assert done.stderr.startswith("conform: ")
    assert says.replace("FILE", str(file)) in done.stderr
    assert document.load(place / "report.json") == before


def test_folder_of_a_run_under_way(tmp_path: Path) -> None:
    """Two runs would remove each other's evidence: the second one is told so, and the first one's report is whole."""
    place = tmp_path / "report"
    words = ("run", f"exec:{TINY}", "--clause=PING", "--transport=unix", "--jobs=1", f"--report-dir={place}")
    reserved = folder.reserve(place)
    folder.claim(place)
    with temporary() as scratch:
        done = run(scratch, *CONFORM, *words, judging=False)
        assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert "another run writes its report" in done.stderr
        os.close(reserved)
        assert run(scratch, *CONFORM, *words, judging=False).status == 3


def test_files_that_somebody_names(tmp_path: Path) -> None:
    """A pipe or a link stays what it is."""
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    target.touch()
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (link, pipe):
        folder.check(path)
        folder.put(path, "text")
    assert (link.is_symlink(), target.read_text(), os.read(reader, 10)) == (True, "text", b"text")
    os.close(reader)
