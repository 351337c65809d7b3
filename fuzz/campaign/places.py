"""Where everything of a campaign lies."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

TARGET = re.compile(r"fuzz_[a-z0-9_]+")


@dataclass(frozen=True)
class Places:
    """`source` holds targets, committed corpora and regressions (fuzz/), `build` what is built and found (build/fuzz/)."""

    source: Path
    build: Path
    fresh: bool = False  # start from nothing: neither the committed corpora nor those of earlier campaigns
    scratch: Path | None = None  # for corpora that nobody wants to keep: a smoke test's, which draws the same each time

    def targets(self) -> list[str]:
        return sorted(path.stem for path in self.source.glob("fuzz_*.c") if TARGET.fullmatch(path.stem))

    def program(self, target: str) -> Path:
        """The target linked to libFuzzer."""
        return self.build / target

    def measured(self, target: str) -> Path:
        """The target linked to replay.c, built for llvm-cov."""
        return self.build / "coverage" / target

    def seeds(self, target: str) -> list[Path]:
        """Folders that a campaign only reads."""
        return [path for path in [self.committed(target)] if path.is_dir() and not self.fresh]

    def committed(self, target: str) -> Path:
        return self.source / "corpus" / target

    def corpus(self, target: str) -> Path:
        """What campaigns find."""
        return self.corpora / target

    @property
    def corpora(self) -> Path:
        return self.scratch or self.build / ("fresh" if self.fresh else "corpus")

    def findings(self, target: str) -> Path:
        return self.build / "findings" / target

    def artifacts(self, name: str) -> Path:
        """A new folder for what breaks a process, which is to be removed by whoever finds nothing in it."""
        folder = self.build / "artifacts"
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))

    def dictionary(self, target: str) -> Path | None:
        """The target's own, else that of the protocol, if there is one."""
        found = [self.source / f"{name}.dict" for name in (target, "guestwire")]
        return next((path for path in found if path.is_file()), None)


def shown(path: Path) -> str:
    """Relative to the working directory where it lies below it: what a command line needs."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
