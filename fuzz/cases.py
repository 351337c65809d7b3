"""What fuzz_request's committed corpus gives back as cases of the suite.

`python fuzz/cases.py` writes conformance/cases/corpus.json, with --check it tells whether that is what it would write.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path

from bridge import judge

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "fuzz/corpus/fuzz_request"
CASES = ROOT / "conformance/cases/corpus.json"
LONGEST = 512  # bytes; what is longer is rarely better
# Also escaped: an agent that takes what it should refuse must not run what a fuzzer made up.
DANGEROUS = re.compile(rb"(?i)cmd|\\u00[46]")


def collected() -> dict[str, list[str]]:
    """Payloads (base64) by what has to be answered at once: an error's code, or pong. What is served otherwise is left out."""
    found: dict[str, list[str]] = {}
    for path in sorted(CORPUS.iterdir()):
        payload = path.read_bytes()
        code, operation, drained, *_ = judge(payload)
        if (
            len(payload) <= LONGEST
            and DANGEROUS.search(payload) is None
            and not drained
            and (code or operation == "ping")
        ):
            found.setdefault(code or "pong", []).append(base64.b64encode(payload).decode())
    return dict(sorted(found.items()))


def main() -> int:
    text = json.dumps(collected(), indent=0) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not CASES.exists() or CASES.read_text(encoding="ascii") != text:
            print(
                f"{CASES.relative_to(ROOT)} is not what fuzz/corpus/fuzz_request gives: python fuzz/cases.py",
                file=sys.stderr,
            )
            return 1
        return 0
    if sys.argv[1:]:
        print("usage: python fuzz/cases.py [--check]", file=sys.stderr)
        return 2
    CASES.write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
