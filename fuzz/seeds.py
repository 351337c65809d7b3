"""Write the conformance cases as inputs of the fuzz targets: `python fuzz/seeds.py FOLDER` fills FOLDER/TARGET/, and
FOLDER/kept/TARGET/ with what belongs to a corpus whatever a merge makes of it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import seeds_rare
import seeds_session

from guestwire.cases.load import all_cases

MOST = 65_536  # bytes of a seed: what is longer only slows a target down
HEADER = 5
PAYLOAD_TARGETS = ("fuzz_json", "fuzz_request", "fuzz_differential")
CUTS = bytes(range(8))  # how fuzz_frame cuts its stream
REQUESTS = [  # every field of every operation: from here a mutation is one step
    b'{"v":1,"op":"ping"}',
    b'{"v":1,"op":"run","cmd":"true","shell":"raw","timeout":1.5,"env":{"A":"b","C":1}}',
    b'{"op":"run","env":{"A":""},"timeout":10,"cmd":"exit 3","shell":"login","v":null}',
    b'{"v":1,"op":"put_file","path":"a/b","name":"c","mode":420,"size":5}',
    b'{"op":"put_file","size":0,"mode":null,"name":null,"path":"/a"}',
    b'{"v":1,"op":"get_file","path":"/a/../b"}',
]
REPLIES = [
    bytes([kind, code]) + (1 << code).to_bytes(8, "big") + b'text \xff\xc3\xa9"\\\n'
    for kind in range(4)
    for code in range(16)
]
REPLIES += [
    b"\x05",
    *(bytes([4]) + bytes(9) + number for number in (b"1", b"0.25", b"1e-3", b"86400.0", b"1E+2", b"0", b"-0", b"x")),
]


def streams() -> Iterator[bytes]:
    """What the host sends in each conversation of the cases that are data."""
    for case in all_cases().values():
        for conversation in case.conversations:
            yield b"".join(step.raw() for step in conversation.steps if step.kind == "send")


def payloads(stream: bytes) -> Iterator[bytes]:
    """The payloads of a stream's whole control frames."""
    while len(stream) >= HEADER:
        end = HEADER + int.from_bytes(stream[1:HEADER], "big")
        if stream[0] == 1 and end <= len(stream):
            yield stream[HEADER:end]
        stream = stream[end:]


def encode_frame(payload: bytes) -> bytes:
    return b"\x01" + len(payload).to_bytes(4, "big") + payload


def write(folder: Path, seed: bytes, most: int = MOST) -> None:
    """Under the name that libFuzzer would give it."""
    if len(seed) <= most:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python fuzz/seeds.py FOLDER")
    folder = Path(sys.argv[1])
    for stream in streams():
        write(folder / "fuzz_frame", stream + CUTS)
        for payload in payloads(stream):
            for target in PAYLOAD_TARGETS:
                write(folder / target, payload)
    for request in (*REQUESTS, *seeds_rare.payloads()):
        write(folder / "fuzz_frame", encode_frame(request) + CUTS)
        for target in PAYLOAD_TARGETS:
            write(folder / target, request)
    for request in seeds_rare.KEPT:
        write(folder / "kept/fuzz_request", request)
    for reply in REPLIES:
        write(folder / "fuzz_reply", reply)
    for target, seeds in seeds_session.seeds().items():
        for seed in seeds:
            write(folder / target, seed, seeds_session.MOST)


if __name__ == "__main__":
    main()
