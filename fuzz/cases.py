"""What committed corpora give back as cases of the suite: all that fits of fuzz_request's; of fuzz_json's and fuzz_frame's
what the oracle refuses for a reason that nothing before it was refused for.

`python fuzz/cases.py` writes conformance/cases/corpus.json, with --check it tells whether that is what it would write.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bridge import judge, oracle

ROOT = Path(__file__).resolve().parents[1]
CORPORA = ROOT / "fuzz/corpus"
CASES = ROOT / "conformance/cases/corpus.json"
LONGEST = 512  # bytes; what is longer is rarely better
# Also escaped: an agent that takes what it should refuse must not run what a fuzzer made up.
DANGEROUS = re.compile(rb"(?i)cmd|\\u00[46]")


def reason(payload: bytes) -> str:
    """In the oracle's words, without numbers; "" where it is served."""
    try:
        oracle.read_request(oracle.FRAME_JSON, len(payload), payload)
    except oracle.Refused as refused:
        return re.sub(r"\d+", "", str(refused.text))
    return ""


def payloads(target: str) -> Iterator[bytes]:
    """Control payloads: a file's bytes, or of a stream of frames the first one's."""
    for path in sorted((CORPORA / target).iterdir()):
        content = path.read_bytes()
        if target != "fuzz_frame":
            yield content
        elif content[:1] == b"\x01" and len(content) - 8 >= (end := 5 + int.from_bytes(content[1:5], "big")):
            yield content[5:end]


def collected() -> dict[str, list[str]]:
    """Payloads (base64) by what has to be answered at once: an error's code, or pong. What is served otherwise is left out."""
    found: dict[str, list[str]] = {}
    reasons: set[str] = {""}
    for target in ("fuzz_request", "fuzz_json", "fuzz_frame"):
        for payload in payloads(target):
            code, operation, drained, *_ = judge(payload)
            if len(payload) > LONGEST or DANGEROUS.search(payload) or drained or not (code or operation == "ping"):
                continue
            if target == "fuzz_request" or reason(payload) not in reasons:
                found.setdefault(code or "pong", []).append(base64.b64encode(payload).decode())
                reasons.add(reason(payload))
    return dict(sorted(found.items()))


def main() -> int:
    text = json.dumps(collected(), indent=0) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not CASES.exists() or CASES.read_text(encoding="ascii") != text:
            print(
                f"{CASES.relative_to(ROOT)} is not what fuzz/corpus gives: python fuzz/cases.py",
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
