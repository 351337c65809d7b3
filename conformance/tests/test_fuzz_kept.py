"""What `conform fuzz` keeps of a finding, and how it is played: in a folder that nobody else has."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guestwire import cli
from guestwire.blackbox import keep, shrink
from guestwire.blackbox.campaign import Found
from guestwire.blackbox.duel import Finding
from guestwire.blackbox.inputs import Frame, Input
from guestwire.blackbox.told import Told
from guestwire.cases import DataCase, private
from guestwire.cases.load import parse
from guestwire.drive import script
from guestwire.drive.conversation import Answer
from guestwire.mutants import build
from guestwire.report import safe
from guestwire.tests.harness import CONFORM, ORACLE, run, temporary

HOME = "/tmp/guestwire-12345678/witness-12345678/tmp12345678/deep/home"
NAME = re.compile(rb"/tmp/guestwire-fuzz-[a-z0-9]{8}/d+/home")


def kept(cuts: tuple[int, ...] = ()) -> str:
    """A case that asks for a file in the private folder."""
    drawn = Input((Frame(1, b'{"op":"get_file","path":"@HOME@/missing"}'),), cuts=cuts)
    answer = Answer([(1, b'{"ok":false,"op":"error","error":"x","code":"not_found"}')], "eof")
    finding = Finding("wrong answer", "", "not_found", "{}", told=Told(("x",), "error not_found", answer))
    return keep.case(Found(1, drawn, finding), HOME)[1]


def sent(text: str, name: str) -> bytes:
    (case,) = parse(text, "x.toml").values()
    case, _ = private.of_its_own(case)
    (conversation,) = [each for each in case.conversations if each.name == name]
    return b"".join(step.raw() for step in conversation.steps if step.kind == "send")


@pytest.mark.parametrize("cuts", [(), (40,), (52, 53, 55, 58)])
def test_the_folder_has_another_name_each_time(cuts: tuple[int, ...]) -> None:
    """As long as the one that it was found with, and also where the stream is cut inside the name."""
    text = kept(cuts)
    names = set()
    for _ in range(5):
        stream = sent(text, "found")
        found = NAME.search(stream)
        assert found, stream
        assert len(found[0]) == len(HOME)
        assert stream[1:5] == (len(stream) - 5).to_bytes(4, "big")
        names.add(found[0])
    assert len(names) == 5


def test_one_name_for_all_of_a_case() -> None:
    (case,) = parse(kept(), "x.toml").values()
    case, folder = private.of_its_own(case)
    raw = [step.raw() for each in case.conversations for step in each.steps if step.kind == "send"]
    assert {found for one in raw for found in re.findall(rb"/tmp/guestwire-fuzz-\w+", one)} == {folder.encode()}


@pytest.mark.parametrize("there", ["a folder", "a link", "a link to nothing"])
def test_nobody_elses_folder_is_taken(there: str, tmp_path: Path) -> None:
    """Were the name foreseen: what stands there is neither followed nor taken, and the case fails."""
    aim = tmp_path / "aim"
    text = kept().replace("/tmp/guestwire-fuzz-XXXXXXXX", str(tmp_path / "private"))
    if there == "a folder":
        (tmp_path / "private").mkdir()
    else:
        (tmp_path / "private").symlink_to(aim)
    if there == "a link":
        aim.mkdir()
    (tmp_path / "case.toml").write_text(text)
    with temporary() as folder:
        done = run(folder, *CONFORM, "fuzz", f"exec:{ORACLE}", "--replay", str(tmp_path / "case.toml"))
    assert done.status == 1, done.stdout
    assert "exit_code" in done.stdout
    assert not list(aim.glob("*"))


@pytest.mark.parametrize("part", ["", "conversations.remove", "conversations.prepare"])
def test_plays_leave_nothing(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also if the case breaks off before it removes its folder."""
    names: list[str] = []

    def draw(case: DataCase) -> tuple[DataCase, str]:
        made = private.of_its_own(case)
        names.append(made[1])
        return made

    monkeypatch.setattr(script, "of_its_own", draw)
    text = re.sub(rf"(?s)\n{part or 'none such'} = \[.*?\n\]", "", kept())
    (tmp_path / "case.toml").write_text(text)
    assert cli.main(["fuzz", f"exec:{ORACLE}", "--replay", str(tmp_path / "case.toml")]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed, 0 skipped\n"
    assert [re.fullmatch(r"/tmp/guestwire-fuzz-[a-z0-9]{8}", name) is not None for name in names] == [True]
    assert not Path(names[0]).exists()


@pytest.mark.parametrize("text", ["exec:/a b/agent", "exec:'/a \udcff/\\agent'", "it's", "\udce9", "plain"])
def test_a_word_of_the_command_that_repeats(text: str) -> None:
    """Whatever bytes a path has, bash reads them again; what the terminal shows has none that it could not show."""
    word = safe.word(text)
    word.encode()
    told = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, timeout=30)
    assert told.stdout == os.fsencode(text)


def test_what_cannot_be_kept_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full by then must not lose a finding."""
    old = 'raise self.malformed("a raw control character in a string")'
    text = ORACLE.read_text()
    assert text.count(old) == 1
    agent = build.oracle_connectable(tmp_path, "wrong", text.replace(old, 'raise Refused("unknown_op", "wrong")'))
    save, write = tmp_path / "kept", Path.write_text

    def full(path: Path, *arguments: Any, **options: Any) -> int:
        if save in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(shrink, "TRIES", 5)
    assert cli.main(["fuzz", agent, "--seed=4", "--examples=25", f"--save={save}"]) == 1
    told = capsys.readouterr().out
    assert f"it cannot be kept in {save}: No space left on device; it is:\n# Found by `conform fuzz`" in told
    (case,) = parse(told.partition("; it is:\n")[2].partition("\n]\n")[0] + "\n]\n", "x.toml").values()
    assert case.id.startswith("CONV-FIRST/malformed:fuzz-")
    assert "repeat:" not in told
