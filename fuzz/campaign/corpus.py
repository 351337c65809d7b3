"""Corpora after a campaign: one folder a target, merged and minimised."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from campaign import libfuzzer
from campaign.places import Places

MERGE = 600  # seconds a target


def merge(places: Places, target: str) -> str:
    """Leave in the target's folder only what adds something to the committed corpus (to nothing, where the campaign began
    fresh). Return: what went wrong, in which case the folder is as it was."""
    corpus = places.corpus(target)
    with tempfile.TemporaryDirectory(prefix=f"{target}-", dir=corpus.parent) as folder:
        merged = Path(folder, "merged")
        seeds = places.seeds(target)
        first = seeds[0] if seeds else None
        merged.mkdir()
        base = Path(folder, "base")
        shutil.copytree(first, base) if first else base.mkdir()
        log = corpus.parent.parent / "merge" / f"{target}.log"
        log.parent.mkdir(exist_ok=True)
        words = [str(places.program(target)), "-merge=1", f"-timeout={libfuzzer.TIMEOUT}"]
        words += [f"-rss_limit_mb={libfuzzer.MEMORY}", f"-artifact_prefix={folder}/", str(base), str(corpus)]
        known = {path.name for path in base.iterdir()}
        try:
            with log.open("wb") as output:
                subprocess.run(
                    words, env=libfuzzer.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    start_new_session=True, timeout=MERGE, check=True,
                )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"merging took over {MERGE} s"
        except subprocess.CalledProcessError as error:
            return f"merging failed with status {error.returncode}, see {log}"
        for path in base.iterdir():
            if path.name not in known:
                path.replace(merged / path.name)
        old = Path(folder, "old")
        corpus.replace(old)
        merged.replace(corpus)
    return ""
