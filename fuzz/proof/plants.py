"""The bugs planted for `make fuzz-selftest`: fuzz/proof/plants.toml, read and checked."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FALLS = ("replay", "fuzzing")  # what has to find it: the replay of the committed corpus, or only fuzzing from there


@dataclass(frozen=True)
class Plant:
    """One bug: `new` in the place of `old`, which stands once in `file`."""

    number: int
    breaks: str
    target: str
    falls: str
    file: str
    old: str
    new: str

    def planted(self) -> str:
        """The file's text with the bug in it. Raises ValueError where the catalogue is out of date."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        times = text.count(self.old)
        if times != 1:
            raise ValueError(f"plant {self.number}: stands {times} times, not once, in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)


def load(path: Path = ROOT / "fuzz/proof/plants.toml") -> list[Plant]:
    """The catalogue. Raises ValueError."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["plant"]
    plants = [Plant(number, **entry) for number, entry in enumerate(entries, 1)]
    for plant in plants:
        if plant.falls not in FALLS or not (ROOT / f"fuzz/{plant.target}.c").is_file():
            raise ValueError(f"plant {plant.number}: falls = {plant.falls!r}, target = {plant.target!r}")
        plant.planted()
    return plants
