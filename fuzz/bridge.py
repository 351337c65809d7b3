"""What the oracle makes of one control payload, as a tuple that oracle.c takes apart: fuzz_differential's other half. And where
it puts an upload: fuzz_path's."""

from __future__ import annotations

import gc
import importlib.util
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

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


class Files:
    """Of `os`, what an upload calls: on the guest in memory, by `calls` (oracle_place.c), which raise OSError."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self.close, self.fchmod = calls.close, calls.fchmod

    def open(self, path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int = -100) -> int:  # AT_FDCWD
        return int(self._calls.open(dir_fd, path, flags, mode))

    def rename(self, old: bytes, new: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        assert src_dir_fd == dst_dir_fd
        self._calls.rename(src_dir_fd, old, new)

    def unlink(self, name: bytes, *, dir_fd: int) -> None:
        self._calls.unlink(dir_fd, name)

    def getcwdb(self) -> bytes:
        return b"/w"

    def __getattr__(self, name: str) -> Any:
        """What makes no call."""
        if name not in ("path", "strerror", "urandom") and not name.startswith("O_"):
            raise AssertionError(f"os.{name}: fuzz/bridge.py does not know what that is in the guest in memory")
        return getattr(os, name)


def put(calls: Any, path: bytes, name: bytes, mode: int) -> str:
    """Upload an empty file. Return: the code of the refusal, "" for none."""
    oracle.os = Files(calls)  # type: ignore[attr-defined]
    try:
        target = oracle.Target(SimpleNamespace(path=path, name=name))
        try:
            target.commit(mode)
        finally:
            target.discard()
    except oracle.Refused as refused:
        return str(refused.code)
    finally:
        oracle.os = os  # type: ignore[attr-defined]
    return ""
