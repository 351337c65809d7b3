"""One agent that steps are played on: its connections, its files, and what it still holds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from guestwire import protocol
from guestwire.drive.conversation import Answer, Conversation, frame
from guestwire.drive.server import Agent
from guestwire.judge.outcome import DeadlineExceeded, expect
from guestwire.stateful import asks
from guestwire.stateful.steps import SLOTS

PATIENCE = (
    10.0  # seconds; for whatever is due at once: how soon exactly is no subject here, and the machine may be busy
)
SHOWN = 60  # bytes of a stream that an outcome quotes; of a longer one it gives length and SHA-256
STARTED, GATE, LIVED = "started", "gate", "lived"
_NAMES = {protocol.FRAME_JSON: "json", protocol.FRAME_STDOUT: "stream", protocol.FRAME_STDERR: "stream",
          protocol.FRAME_DATA: "data", protocol.FRAME_EOF: "eof"}  # fmt: skip


def _quote(data: bytes) -> str:
    if len(data) <= SHOWN and all(32 <= byte < 127 or byte == 10 for byte in data):
        return data.decode()
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def normalise(answer: Answer) -> dict[str, Any]:
    """What a host got, less what the contract leaves open: agent_version, instance, error texts, where streams were cut into
    frames, how the two interleaved, and whether the end was an end of stream or a reset."""
    order: list[str] = []
    for kind, _ in answer.frames:
        if order[-1:] != [_NAMES[kind]]:
            order.append(_NAMES[kind])
    controls = []
    for control in answer.controls:
        kept = {name: value for name, value in control.items() if name not in ("agent_version", "instance", "error")}
        controls.append(json.dumps(kept, sort_keys=True))
    streams = {"stdout": answer.stdout, "stderr": answer.stderr, "data": answer.data}
    told = {name: _quote(data) for name, data in streams.items() if data}
    return {"order": " ".join(order), "controls": controls, **told}


class Side:
    """An agent in the world of `witness`, started with steps.options(seconds). `name` is what findings call it."""

    def __init__(self, name: str, agent: Agent, witness: Any, seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self.agent = agent
        self.witness = witness
        self.patience = PATIENCE
        self.folder = ""
        self._socks: dict[int, socket.socket] = {}
        self.instance = self.ping()
        self._baseline = self._warm_up()

    def _warm_up(self) -> tuple[int, int, int]:
        for request in ({"op": "run", "shell": "raw", "cmd": "true"}, {"op": "get_file", "path": "/etc/passwd"}):
            self._ask(request)
        time.sleep(0.05)
        counts: tuple[int, int, int] = self.witness.counts(self.agent.pid)
        return counts[0], counts[1] + SLOTS, 0  # a worker may wait a moment for its next request

    def _ask(self, request: dict[str, Any]) -> Answer:
        conversation = Conversation(self.agent.connect(), lambda: self.patience)
        conversation.send_json(request)
        return conversation.answer()

    def ping(self) -> object:
        """The agent's instance. When the answer is there, the agent has seen whatever was sent before."""
        pong = self._ask({"op": "ping"}).terminal
        expect(pong.get("op") == "pong", "a pong", pong)
        return pong.get("instance")

    # ---- an example

    def begin(self) -> None:
        """A fresh folder of files for the hosts to ask for."""
        self.folder = self.witness.scratch()
        for name in ("old", "shared"):
            self.witness.write(f"{self.folder}/{name}", asks.OLD)
        self.witness.truncate(f"{self.folder}/large", asks.LARGE)
        self.witness.mkdir(f"{self.folder}/folder")

    def files(self) -> dict[str, list[str]]:
        """What stands in the folder but for `large`: mode and content. Pipes say nothing."""
        found = {}
        for name in self.witness.names(self.folder):
            info = self.witness.info(f"{self.folder}/{name}")
            if info is not None and info.kind == "file" and name != "large":
                found[name] = [f"{info.mode:04o}", _quote(self.witness.read(f"{self.folder}/{name}"))]
            elif info is not None and info.kind == "directory":
                found |= {f"{name}/{inner}": ["", ""] for inner in self.witness.names(f"{self.folder}/{name}")}
        return found

    def settle(self) -> None:
        """Wait until nothing of the example is left. Raises Violation."""
        self._until(lambda: not self.witness.temporaries(self.folder))
        left = self.witness.temporaries(self.folder)
        expect(not left, "no temporary file left", left)
        self._until(self._back)
        now = self.witness.counts(self.agent.pid)
        names = ("descriptors", "threads", "children")
        held = [f"{n} {name}" for name, n, most in zip(names, now or (), self._baseline, strict=False) if n > most]
        expect(not held, "no more descriptors, threads and children than at first", ", ".join(held))

    def _back(self) -> bool:
        now = self.witness.counts(self.agent.pid)
        return now is None or all(n <= most for n, most in zip(now, self._baseline, strict=True))

    def _until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + self.patience
        pause = 0.0005
        while not (value := condition()) and time.monotonic() < end:
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        return value

    def _wait(self, condition: Callable[[], Any], expected: str) -> None:
        if not self._until(condition):
            raise DeadlineExceeded(expected, f"not in {self.patience:g} s")

    def clear(self) -> None:
        """Hang up on everything and drop the files."""
        for sock in self._socks.values():
            sock.close()
        self._socks.clear()
        if self.folder:
            self.witness.drop(self.folder)
            self.folder = ""

    # ---- what hosts do

    def connect(self, host: int, piped: bool) -> None:
        """A connection of that host's, and with `piped` the pipe that its command will wait at."""
        self._socks[host] = self.agent.connect()
        if piped:
            self.witness.mkfifo(f"{self.folder}/{GATE}-{host}")

    def send(self, host: int, data: bytes) -> None:
        """An agent that has closed already is no failure: what it answered tells."""
        Conversation(self._socks[host], lambda: self.patience).send_raw(data, tolerate=True)

    def half_close(self, host: int) -> None:
        with contextlib.suppress(OSError):
            self._socks[host].shutdown(socket.SHUT_WR)

    def close(self, host: int) -> None:
        self._socks.pop(host).close()

    def release(self, host: int) -> None:
        """Let the host's command go on."""
        path = f"{self.folder}/{GATE}-{host}"
        self._wait(lambda: self.witness.feed(path, b"\n"), f"host {host}'s command waits for its release")

    # ---- what is due

    def answer(self, host: int, within: float) -> Answer:
        """Everything up to the end of stream; the connection stays open on this side."""
        return Conversation(self._socks[host].dup(), lambda: within).answer()

    def partial_answer(self, host: int, within: float) -> Answer:
        """The whole frames of a response that the agent gives up, which may end inside one. Nothing is read before it has."""
        poll = select.poll()
        poll.register(self._socks[host], select.POLLRDHUP)
        poll.poll(within * 1000)
        data = bytearray()
        self._socks[host].settimeout(within)
        try:
            while piece := self._socks[host].recv(1 << 20):
                data += piece
        except TimeoutError:
            raise DeadlineExceeded(f"host {host}'s connection closed within {within:g} s", "it is open") from None
        except ConnectionResetError:
            pass
        answer = Answer(ended="eof")
        while len(data) >= 5 and len(data) >= 5 + (length := int.from_bytes(data[1:5], "big")):
            answer.frames.append((data[0], bytes(data[5 : 5 + length])))
            del data[: 5 + length]
        return answer

    def spoke(self, host: int) -> str:
        """What a host that has been sent nothing could not have seen: "", or what it saw."""
        self._socks[host].settimeout(0)
        try:
            got = self._socks[host].recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return ""
        except OSError as error:
            return str(error)
        return "a byte came" if got else "end of stream"

    def wait_bytes(self, host: int) -> None:
        """Until a first byte of the response is there."""
        self._wait(lambda: self.spoke(host), f"host {host}'s response begins")

    def wait_file(self, kind: str, host: int) -> None:
        """Until the command has made its file of that kind: it has started, or outlived its run."""
        path = f"{self.folder}/{kind}-{host}"
        self._wait(
            lambda: self.witness.info(path) is not None, f"host {host}'s command has made the file {kind}-{host}"
        )

    def wait_gone(self, host: int) -> None:
        """Until nothing of the host's command is left to wait at its pipe (RUN-HANGUP)."""
        path = f"{self.folder}/{GATE}-{host}"
        self._wait(lambda: not self.witness.feed(path, b""), f"host {host}'s command killed at its hang-up")


def data_frame(kind: int, host: int, offset: int, size: int) -> bytes:
    """A frame of host's upload."""
    return frame(kind, asks.content(host, offset, size))
