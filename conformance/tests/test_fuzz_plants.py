"""The catalogue of `make fuzz-selftest` fits the sources that it breaks, so that it cannot rot between two self-tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load_plants() -> ModuleType:
    """fuzz/proof/plants.py as a module."""
    spec = importlib.util.spec_from_file_location("fuzz_plants", ROOT / "fuzz/proof/plants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


plants = load_plants()


def test_enough_of_each_kind() -> None:
    catalogue = plants.load()  # raises where a text does not stand once in its file
    assert len(catalogue) >= 15
    assert sum(plant.falls == "fuzzing" for plant in catalogue) >= 8
    assert len({plant.breaks for plant in catalogue}) == len(catalogue)
    assert all(plant.planted() != (ROOT / plant.file).read_text() for plant in catalogue)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [('old = "not there"', "stands 0 times"), ('old = "uint8_t"', "not once"), ('falls = "never"', "falls = 'never'")],
)
def test_a_plant_that_does_not_fit(tmp_path: Path, wrong: str, said: str) -> None:
    good = {
        "breaks": '"x"',
        "target": '"fuzz_frame"',
        "falls": '"replay"',
        "file": '"agent/wire/frame.c"',
        "old": '"decoder->failed = true;"',
        "new": '""',
    }
    name, _, value = wrong.partition(" = ")
    lines = [f"{key} = {text}" for key, text in (good | {name: value}).items()]
    (tmp_path / "plants.toml").write_text("\n".join(["[[plant]]", *lines]))
    with pytest.raises(ValueError, match=said):
        plants.load(tmp_path / "plants.toml")
