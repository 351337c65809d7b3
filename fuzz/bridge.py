"""What the oracle makes of one control payload, as a tuple that oracle.c takes apart: fuzz_differential's other half."""

from __future__ import annotations

import gc
import importlib.util
from pathlib import Path
from types import ModuleType

# code ("" where it is served), op, drain, mode or raw, size, timeout, texts that each end with a NUL (JSON-NUL: none holds one)
Answer = tuple[str, str, bool, int, int, float, bytes]


def load_oracle() -> ModuleType:
    """oracle/agent.py as it stands; imported, it starts nothing."""
    spec = importlib.util.spec_from_file_location("oracle", Path(__file__).parents[1] / "oracle/agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


oracle = load_oracle()
gc.freeze()  # nothing of the above is garbage: a collection need not look


def texts(*parts: bytes) -> bytes:
    return b"".join(part + b"\0" for part in parts)


def judge(payload: bytes) -> Answer:
    """The verdict and, of a request that is served, every field. An upload to be drained has its code, op and size."""
    try:
        request = oracle.read_request(oracle.FRAME_JSON, len(payload), payload)
    except oracle.Refused as refused:
        return refused.code, "", False, 0, 0, 0.0, b""
    if request.op == "run":
        deadline = [request.timeout_literal.encode()] if request.timeout else []
        env = [name + b"=" + value for name, value in request.env.items()]
        return "", "run", False, request.raw, 0, request.timeout, texts(request.cmd.encode(), *deadline, *env)
    if request.op == "put_file" and request.refused:
        return request.refused.code, "put_file", True, 0, request.size, 0.0, b""
    if request.op == "put_file":
        name = [request.name] if request.name is not None else []
        return "", "put_file", False, request.mode, request.size, 0.0, texts(request.path, *name)
    if request.op == "get_file":
        return "", "get_file", False, 0, 0, 0.0, texts(request.path)
    return "", request.op, False, 0, 0, 0.0, b""
