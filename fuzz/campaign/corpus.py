"""Corpora after a campaign: one folder a target, merged and minimised."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from campaign import libfuzzer, stack
from campaign.child import Children
from campaign.libfuzzer import Telling
from campaign.places import Places
from campaign.worker import Found

MERGE = 600  # seconds a target
ATTEMPT = "MERGE-OUTER: attempt"  # what is said where a process ended early, and another goes on behind the input that ended it


def merge(places: Places, target: str, children: Children) -> tuple[str, list[Found]]:
    """Leave in the target's folder only what adds something to the committed corpus (to nothing, where the campaign began
    fresh). Return: what went wrong, in which case the folder is as it was; and what broke the target on the way, which is in
    no corpus any more. Raises Stopped."""
    corpus = places.corpus(target)
    artifacts = places.artifacts(f"{target}-merge")
    log = places.build / "merge" / f"{target}.log"
    log.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target}-", dir=corpus.parent) as folder:
        merged, base = Path(folder, "merged"), Path(folder, "base")
        merged.mkdir()
        first = next(iter(places.seeds(target)), None)
        shutil.copytree(first, base) if first else base.mkdir()
        known = {path.name for path in base.iterdir()}
        words = [str(places.program(target)), "-merge=1", f"-timeout={libfuzzer.TIMEOUT}"]
        words += [f"-rss_limit_mb={libfuzzer.MEMORY}", f"-artifact_prefix={artifacts}/", str(base), str(corpus)]
        try:
            status, lines = children.run(words, MERGE)
        except OSError as error:
            return f"merging cannot be started: {error}", []
        finally:
            with suppress(OSError):  # unless something is in it
                artifacts.rmdir()
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
        found = list(_broken(target, lines))
        if status is None:
            return f"merging took over {MERGE} s", found
        if status != 0:
            return f"merging failed with status {status}, see {log}", found
        for path in base.iterdir():
            if path.name not in known:
                path.replace(merged / path.name)
        corpus.replace(Path(folder, "old"))
        merged.replace(corpus)
    return "", found


def _broken(target: str, lines: Iterable[str]) -> Iterable[Found]:
    """The inputs that ended a process, each with what that one said."""
    telling = Telling()
    for line in [*lines, ATTEMPT]:
        if line.startswith(ATTEMPT):
            for path in telling.artifacts:
                if path.exists():
                    yield Found(target, path, stack.read(telling.log), list(telling.log))
            telling = Telling()
        telling.hear(line)
