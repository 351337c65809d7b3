"""The table of constants against everyone who states them: C header, host functions, oracle, contract."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from guestwire import protocol
from guestwire.drive import witness
from guestwire.spec import generate

ROOT = Path(__file__).resolve().parents[2]
TABLE = generate.load()
CONTRACT = (ROOT / "conformance/spec/protocol-v1.md").read_text()
NUMBERS = [(section, name) for section in ("protocol", "frame", "limit", "seconds") for name in TABLE[section]]


def load_oracle() -> ModuleType:
    """oracle/agent.py as a module; it starts nothing when imported."""
    spec = importlib.util.spec_from_file_location("oracle_agent", ROOT / "oracle/agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ORACLE = load_oracle()


def row(clause: str) -> str:
    """The contract's row of a clause."""
    found = re.search(rf"^\| {clause} \|.*$", CONTRACT, re.MULTILINE)
    assert found is not None, clause
    return found[0]


def test_c_header() -> None:
    assert (ROOT / "agent/wire/constants.h").read_text() == generate.c_header(TABLE), "run `make constants`"


def test_fuzz_dictionary() -> None:
    assert (ROOT / "fuzz/guestwire.dict").read_text() == generate.dictionary(TABLE), "run `make constants`"


def test_a_dictionary_entry_is_plain() -> None:
    assert generate.quoted(b'\x01a"\\\xff') == r'"\x01a\x22\x5c\xff"'


@pytest.mark.parametrize(("section", "name"), NUMBERS, ids=[f"{section}-{name}" for section, name in NUMBERS])
def test_oracle_numbers(section: str, name: str) -> None:
    assert getattr(ORACLE, f"{section}_{name}".upper()) == TABLE[section][name]


def test_oracle_texts() -> None:
    text = TABLE["text"]
    assert text["put_prefix"] == ORACLE.PUT_PREFIX
    assert text["operations"] == list(ORACLE.OPERATIONS)
    assert text["codes"] == list(ORACLE.CODES)


def test_oracle_version() -> None:
    assert (ROOT / "VERSION").read_text().strip() == ORACLE.VERSION


def test_host_functions() -> None:
    """What existing hosts import by name, and the limits behind HOST-CAP and HOST-JSON."""
    frames = {name: getattr(protocol, f"FRAME_{name.upper()}") for name in TABLE["frame"]}
    assert frames == TABLE["frame"]
    assert TABLE["protocol"]["version"] == protocol.PROTOCOL_VERSION
    assert TABLE["protocol"]["vsock_port"] == protocol.SMOLVM_AGENT_PORT
    limits = {
        "frame_header": protocol._HEADER.size,
        "frame_payload": protocol._PAYLOAD_CAP,
        "chunk": protocol.CHUNK_SIZE,
        "control_payload": protocol._CONTROL_CAP,
        "json_depth": protocol._DEPTH_CAP,
        "json_values": protocol._VALUES_CAP,
    }
    assert limits == {name: TABLE["limit"][name] for name in limits}


def test_witness() -> None:
    assert TABLE["text"]["put_prefix"] == witness.PUT_PREFIX


SAID = [  # clause, how it says what the table holds
    (
        "FRAME-TYPES",
        "1 JSON (control), 2 STDOUT, 3 STDERR, 4 DATA, 5 EOF",
        list(TABLE["frame"].values()),
        [1, 2, 3, 4, 5],
    ),
    ("FRAME-CAP", "0 to 16,777,216 bytes", TABLE["limit"]["frame_payload"], 16_777_216),
    ("FRAME-CHUNK", "1 to 65,536 bytes", TABLE["limit"]["chunk"], 65_536),
    ("JSON-LIMITS", "payloads up to 1,048,576 bytes", TABLE["limit"]["control_payload"], 1_048_576),
    ("JSON-LIMITS", "16 levels deep", TABLE["limit"]["json_depth"], 16),
    ("JSON-LIMITS", "up to 4,096 values", TABLE["limit"]["json_values"], 4_096),
    ("JSON-INT", "±(2^53-1)", TABLE["limit"]["json_integer"], 2**53 - 1),
    ("CONV-LINGER", "or 5 s (`--linger-timeout`)", TABLE["seconds"]["linger_timeout"], 5),
    ("CONV-IDLE", "complete 10 s after it was accepted (`--request-timeout`)", TABLE["seconds"]["request_timeout"], 10),
    ("CONV-STALL", "no byte can be sent for 60 s (`--io-timeout`)", TABLE["seconds"]["io_timeout"], 60),
    ("ERR-SHAPE", "at most 1,024 bytes", TABLE["limit"]["error_text"], 1_024),
    ("PING", '"proto":1', TABLE["protocol"]["version"], 1),
    ("PING-ALWAYS", "within 1 s", TABLE["seconds"]["ping"], 1),
    ("RUN-TIMEOUT", "SIGKILL within 1 s", TABLE["seconds"]["kill"], 1),
    ("RUN-HANGUP", "SIGKILL within 1 s", TABLE["seconds"]["kill"], 1),
    ("PUT-OK", "or 0600 where it is absent", TABLE["limit"]["file_mode_default"], 0o600),
    ("PUT-ATOMIC", "prefix `.smolvm-put-`", TABLE["text"]["put_prefix"], ".smolvm-put-"),
    ("GET-OK", "permission bits 07777", TABLE["limit"]["file_mode"], 0o7777),
    ("SRV-SLOTS", "Up to 64 `run`", TABLE["limit"]["work_slots"], 64),
    ("SRV-CONNS", "1,024 connections are held", TABLE["limit"]["connections"], 1_024),
    ("SRV-CONNS", "at most 8 MiB together", TABLE["limit"]["incomplete_bytes"], 8 << 20),
    ("SRV-PEER", "only the host (CID 2)", TABLE["protocol"]["host_cid"], 2),
    ("SRV-STOP", "exit 0 within 2 s", TABLE["seconds"]["stop"], 2),
    ("SRV-LISTEN", "default `vsock:1024`", TABLE["protocol"]["vsock_port"], 1_024),
]


@pytest.mark.parametrize(
    ("clause", "words", "held", "meant"), SAID, ids=[f"{said[0]}-{at}" for at, said in enumerate(SAID)]
)
def test_contract(clause: str, words: str, held: object, meant: object) -> None:
    assert words in row(clause)
    assert held == meant


def test_contract_names_the_codes_and_operations() -> None:
    codes = re.search(r"one of: ((?:`\w+` ?)+)", row("ERR-CODE"))
    assert codes is not None
    assert re.findall(r"`(\w+)`", codes[1]) == TABLE["text"]["codes"]
    operations = re.search(r"^## 4 Operations$(.*?)^## ", CONTRACT, re.MULTILINE | re.DOTALL)
    assert operations is not None
    assert re.findall(r"^### (\w+)", operations[1], re.MULTILINE) == TABLE["text"]["operations"]
    headings = re.findall(r"^### \w+ — (.*)$", operations[1], re.MULTILINE)
    fields = [name for heading in headings for name in re.findall(r"`(\w+)`: ", heading)]
    assert set(TABLE["text"]["fields"]) == {"v", "op", *fields}
    assert [word for heading in headings for word in re.findall(r'"(\w+)"', heading)] == TABLE["text"]["shells"]
