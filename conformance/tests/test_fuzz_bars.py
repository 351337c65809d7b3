"""fuzz/uncovered.toml: what a corpus has to reach, and the lines that are listed because it cannot."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRY = '[[uncovered]]\nat = "{file}:{line}"\ncode = "{code}"\nwhy = "{why}"\n'
BAR = '[[bar]]\nname = "core"\nfiles = ["*.c"]\nlines = {lines}\nbranches = {branches}\n'


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "fuzz")
    return importlib.import_module("campaign.bars")


def judged(bars: ModuleType, place: Path, text: str, missed: tuple[int, ...] = (), taken: int = 10) -> list[str]:
    """What is wrong where a.c has 100 lines, of which some are missed, and 10 branches, of which some are taken."""
    source = place / "a.c"
    source.write_text("".join(f"line {number};\n" for number in range(1, 101)))
    (place / "list.toml").write_text(text)
    coverage = importlib.import_module("campaign.coverage")
    counted = "".join(f"DA:{number},{number not in missed:d}\n" for number in range(1, 101))
    counted += "".join(f"BRDA:1,0,{number},{number < taken:d}\n" for number in range(10))
    return list(bars.judge(*bars.load(place / "list.toml"), coverage.read(f"SF:{source}\n{counted}end_of_record\n")))


def entry(place: Path, line: int = 7, why: str = "cannot be", code: str = "") -> str:
    return ENTRY.format(file=place / "a.c", line=line, code=code or f"line {line};", why=why)


def test_all_reached(bars: ModuleType, tmp_path: Path) -> None:
    assert judged(bars, tmp_path, BAR.format(lines=100, branches=95)) == []


def test_a_missed_line_has_to_be_listed(bars: ModuleType, tmp_path: Path) -> None:
    bar = BAR.format(lines=100, branches=0)
    wrong = judged(bars, tmp_path, bar, missed=(7,))
    assert wrong == [
        "core: 99.00 % of the lines, wanted are 100 %",
        f"{tmp_path}/a.c:7: not reached, and not listed: line 7;",
    ]
    assert judged(bars, tmp_path, bar + entry(tmp_path), missed=(7,)) == []


def test_bars_below_all(bars: ModuleType, tmp_path: Path) -> None:
    bar = BAR.format(lines=90, branches=80)
    assert judged(bars, tmp_path, bar, missed=tuple(range(1, 11)), taken=8) == []
    assert judged(bars, tmp_path, bar, missed=tuple(range(1, 12)), taken=7) == [
        "core: 89.00 % of the lines, wanted are 90 %",
        "core: 70.00 % of the branches, wanted are 80 %",
    ]


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (8, "", "is reached; take it off the list"),
        (7, "line 8;", "the line is 'line 7;', not 'line 8;'"),
        (107, "", "the line is ''"),
    ],
)
def test_an_entry_that_does_not_hold(bars: ModuleType, tmp_path: Path, line: int, code: str, says: str) -> None:
    text = BAR.format(lines=90, branches=0) + entry(tmp_path, line, code=code)
    (wrong,) = judged(bars, tmp_path, text, missed=(7,))
    assert says in wrong


def test_the_list_is_short(bars: ModuleType, tmp_path: Path) -> None:
    missed = (7, 8, 9)
    text = BAR.format(lines=100, branches=0) + "".join(entry(tmp_path, line) for line in missed)
    assert judged(bars, tmp_path, text, missed) == ["core: 3 lines of 100 are listed, at most 2 % may be"]


def test_a_bar_of_no_file(bars: ModuleType, tmp_path: Path) -> None:
    (wrong,) = judged(bars, tmp_path, BAR.format(lines=50, branches=0).replace("*.c", "*.d"))
    assert wrong == "core: no line of *.d was measured"


@pytest.mark.parametrize(
    "text", ["", "[[bar]]\nname = 1\n", "what", '[[bar]]\nname="x"\nfiles=[]\n[[uncovered]]\nat="a"\n']
)
def test_a_file_that_is_wrong(bars: ModuleType, tmp_path: Path, text: str) -> None:
    with pytest.raises(bars.ListError):
        judged(bars, tmp_path, text)
