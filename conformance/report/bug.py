"""How an exception of the harness itself is told."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

TRACEBACK = "GUESTWIRE_TRACEBACK"  # environment: non-empty for tracebacks of the harness


def line(error: BaseException) -> str:
    """In one line, with the place and what shows more."""
    calls = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(calls[-1].filename).name}:{calls[-1].lineno})" if calls else ""
    hint = "" if os.environ.get(TRACEBACK) else f"; {TRACEBACK}=1 shows the traceback"
    return f"{' '.join(f'{type(error).__name__}: {error}'.split())[:500]}{place}{hint}"
