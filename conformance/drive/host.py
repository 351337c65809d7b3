"""What a case is given: the host's view of one agent on one transport."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from guestwire import protocol
from guestwire.drive import footprint, server, through
from guestwire.drive.connectable import Connectable, Timers
from guestwire.drive.conversation import Answer, Conversation
from guestwire.drive.row import Row
from guestwire.drive.server import Agent
from guestwire.drive.transcript import UNKNOWN, Transcript
from guestwire.judge.outcome import Crash, Violation, bounded, expect, expect_equal, short
from guestwire.spec import generate

ERROR_CODES: tuple[str, ...] = tuple(generate.load()["text"]["codes"])
SETTLED = {
    "SRV-SURVIVE/leaks": "no more descriptors, threads and children than before the case",
    "SRV-SURVIVE/settings": "working directory, umask and signals as before the case",
    "SRV-SURVIVE/memory": f"at most {footprint.MEMORY_GROWTH} bytes more than after warm-up",
    "SRV-SURVIVE/files": "files that no request named as before the case",
}


class Host:
    """Given to a case as `host`. Requests go through conformance/protocol.py, unchanged."""

    def __init__(self, row: Row, deadline: float, private: Agent | None = None) -> None:
        self.row = row
        self.witness = row.witness
        self.transport = row.transport
        self.end = time.monotonic() + deadline
        self.clause = ""  # of the case's first check
        self.refused = False  # whether the case is one that has to be refused
        self.full_sweep = False  # every cut on every transport, not just on `unix`
        self.time_scale = 1.0  # a slow guest may stretch the contract's times
        self.soft: dict[str, tuple[str, str]] = {}  # checks other than the case's own, found broken on the way
        self.transcript = Transcript()
        self._private = private
        self._number = 0  # of its agent in the transcript
        self._started: list[Host] = []
        self._conversations: list[Conversation] = []
        self._scratch: str | None = None
        self.scratch_path = ""  # of the scratch directory, also once it is gone

    # ---- reaching the agent

    def left(self) -> float:
        """Seconds until the case's deadline."""
        return self.end - time.monotonic()

    @property
    def agent(self) -> Agent:
        """The process behind this host's connections."""
        return self._private or self.row.agent(self.transcript)

    @property
    def connectable(self) -> Connectable:
        """The agent's, as it was named."""
        return self.row.connectable

    @property
    def environment(self) -> Mapping[str, str | bytes]:
        """What the row's agent is started with."""
        return self.row.spec().env or {}

    @property
    def in_transit(self) -> int:
        """Bytes of one direction that bridges between agent and host may hold, with the sockets that they add."""
        return through.in_transit(self.transport)

    @property
    def passing_on(self) -> float:
        """Seconds that bridges between agent and host may take to pass on a close where bytes are stuck on the way."""
        return through.passing_on(self.transport)

    @property
    def pace(self) -> int:
        """What a case multiplies the time by that its commands get to begin in: a guest may be emulated. It is no deadline of the
        agent's: those are the same everywhere."""
        return 5 if self.connectable.in_guest else 1

    @property
    def pid(self) -> int:
        """The agent's pid in the witness's world."""
        assert self.agent.pid is not None
        return self.agent.pid

    def connect(self) -> Conversation:
        """A new conversation. It must be read to its end or closed on purpose before the case ends."""
        sock = self.transcript.record(self.agent.connect(), agent=self._number)
        here = self.row.connectable.kind == "exec" and self.transport != "unix-ns"
        pids = self.agent.readers() if here else []
        conversation = Conversation(sock, self.left, self.row.connectable.lacked_operations, pids)
        self._conversations.append(conversation)
        return conversation

    def converse(self, sock: socket.socket) -> Conversation:
        """A conversation over a connection that the case has made by itself."""
        conversation = Conversation(
            self.transcript.record(sock, agent=UNKNOWN), self.left, self.row.connectable.lacked_operations
        )
        self._conversations.append(conversation)
        return conversation

    def dial(self, path: str, within: float = 5.0) -> Conversation:
        """A conversation with whatever listens on a Unix socket at `path`, which may take `within` seconds to be there. Only
        where agent and harness share a file system (transport `unix`)."""
        end = time.monotonic() + within
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(path)
            except OSError as error:
                sock.close()
                if time.monotonic() > end:
                    raise Violation(f"something listens on {path} within {within:g} s", str(error)) from None
                time.sleep(0.005)
                continue
            return self.converse(sock)

    def start(self, *options: str, transport: str | None = None, **conditions: Any) -> Host:
        """A private agent with these options, started under these conditions (see StartSpec), on this case's transport or
        another one; gone when the case ends. Only for cases that need `start`."""
        row = self.row
        kind = transport or row.transport
        agent = through.start(row.witness, row.connectable, kind, row.spec(*options, **conditions), row.folder)
        host = Host(row, self.left(), agent)
        host.soft, host.transcript = self.soft, self.transcript
        host._number = self.transcript.start(options, conditions)
        host.transport = kind
        self._started.append(host)
        return host

    def launch(self, *options: str, **conditions: Any) -> int:
        """Start an agent with exactly these options and do not wait for it: its pid, for witness.wait() and witness.stderr().
        Killed when the case ends."""
        spec = self.row.spec(*options, **conditions)
        pid: int = self.witness.start(replace(spec, argv=server.with_listen(spec.argv, None)))
        self._started.append(Host(self.row, self.left(), _Launched(self.witness, pid)))
        return pid

    @property
    def scratch(self) -> str:
        """A directory of this case in the agent's world, empty at first; nothing of put_file's may be left in it."""
        if self._scratch is None:
            self._scratch = self.scratch_path = self.witness.scratch()
        return self._scratch

    @property
    def times(self) -> Timers:
        """What the agent's descriptor says of its times, else the contract's defaults."""
        return self.row.connectable.times

    def agents(self) -> list[Agent]:
        """Every agent of this case that was started and is not put away."""
        mine = self._private or self.row.started
        return [*([mine] if mine is not None else []), *(agent for host in self._started for agent in host.agents())]

    # ---- whole conversations

    def ask(self, request: dict[str, Any], within: float | None = None) -> Answer:
        """Send one request and read the response to the end of stream."""
        conversation = self.connect()
        conversation.send_json(request)
        return conversation.answer(within)

    def ping(self, within: float | None = None) -> dict[str, Any]:
        """A pong, checked for its shape (PING)."""
        pong = self.ask({"op": "ping"}, within).terminal
        shape = pong.get("ok") is True and pong.get("op") == "pong" and pong.get("proto") == protocol.PROTOCOL_VERSION
        version = pong.get("agent_version")
        expect(shape and isinstance(version, str) and version, "a pong", pong)
        return pong

    def arrived(self) -> None:
        """Wait until every connection made so far has reached the agent: behind a bridge it may be on its way."""
        if isinstance(self.agent, through.Via):
            self.ping()  # it comes after them

    def run(self, cmd: str, within: float | None = None, **fields: Any) -> Answer:
        """A run of `cmd`. Its answer's terminal frame is whatever came; see exit_code()."""
        return self.ask({"op": "run", "cmd": cmd, "shell": "raw", **fields}, within)

    def output(self, cmd: str, **fields: Any) -> bytes:
        """The STDOUT of a command that has to exit with 0."""
        answer = self.run(cmd, **fields)
        expect_equal(exit_code(answer), 0, f"exit code of {short(cmd, 80)} (stderr {short(answer.stderr, 120)})")
        return answer.stdout

    def put(self, path: str, data: bytes, eof: bool = True, **fields: Any) -> Answer:
        """Upload `data` in chunks of 65,536 bytes, then EOF."""
        conversation = self.connect()
        conversation.send_json({"op": "put_file", "path": path, "size": len(data), **fields})
        for start in range(0, len(data), protocol.CHUNK_SIZE):
            conversation.send_frame(protocol.FRAME_DATA, data[start : start + protocol.CHUNK_SIZE])
        if eof:
            conversation.send_frame(protocol.FRAME_EOF)
        return conversation.answer()

    def get(self, path: str) -> tuple[dict[str, Any], bytes]:
        """Download: the header and the content, the whole response checked for its shape (GET-OK)."""
        answer = self.ask({"op": "get_file", "path": path})
        return file_of(answer)

    # ---- checks on the way

    def should(self, check: str, condition: object, expected: str, actual: object) -> None:
        """Record a check that is not the case's own as broken, without ending the case."""
        if not condition:
            self.soft.setdefault(
                check, (bounded(expected), bounded(actual) if isinstance(actual, str) else short(actual))
            )

    def error(self, answer: Answer, code: str, contains: str = "", ended: tuple[str, ...] = ("eof",)) -> dict[str, Any]:
        """The answer is one error frame of the right shape (ERR-SHAPE) with the substring; its code is ERR-CODE's matter."""
        terminal = answer.terminal
        text = terminal.get("error")
        shape = terminal.get("ok") is False and terminal.get("op") == "error" and isinstance(text, str)
        expect(shape, f"an error ({code})", terminal)
        assert isinstance(text, str)
        expect(1 <= len(text.encode()) <= 1024, "an error text of 1 to 1,024 bytes", f"{len(text.encode())} bytes")
        expect(contains in text, f"an error text containing {contains!r}", text)
        expect(len(answer.frames) == 1, "nothing before the error", f"{len(answer.frames)} frames")
        expect(answer.ended in ended, f"{' or '.join(ended)} after the error", answer.ended)
        self.should(f"ERR-CODE/{code}", terminal.get("code") == code, f"code {code}", terminal)
        known = terminal.get("code") is None or terminal["code"] in ERROR_CODES
        self.should("ERR-CODE/known", known, f"no code but {', '.join(ERROR_CODES)}", terminal)
        return terminal

    # ---- the end

    def settle(self) -> None:
        """Wait until the shared agent has done with every conversation that has ended. Raises Crash, or Violation for an agent
        that still holds something of them."""
        self.row.check_alive()
        told = self.row.settled()
        for check, what in told.items():
            self.should(check, False, SETTLED[check], what)
        for check, what in told.items():
            expect(False, SETTLED[check], what)
        self.row.check_alive()

    def finish(self) -> None:
        """What must hold after every case: read to the end, the agent alive, nothing left behind."""
        for conversation in self._conversations:
            if not conversation.settled:
                conversation.sock.close()
                raise RuntimeError("harness bug: a conversation was neither read to its end nor closed on purpose")
        if self._private is None:
            self.settle()
            self.row.bracket(self.clause, self.transcript)
        for host in self._started if self.refused else ():
            self.row.bracket_private(host.agent, self.transcript)
        if self._scratch is not None:
            left = self._temporaries_left(self._scratch)
            self.should("SRV-SURVIVE/leaks", not left, "no temporary file left", left)
            expect(not left, "no temporary file left", left)
        strays = self.witness.strays() if self._private is None else []
        expect(not strays, "no process left behind", strays)

    def _temporaries_left(self, folder: str, grace: float = 2.0) -> list[str]:
        """put_file's temporary files that stay: an agent may notice only after the case's end that its host has left."""
        end = time.monotonic() + grace
        while (left := self.witness.temporaries(folder)) and time.monotonic() < end:
            time.sleep(0.01)
        return list(left)

    def blame(self, error: Exception) -> None:
        """After a failure: raise Crash if an agent of this case has died, which explains it better."""
        for host in [self, *self._started]:
            agent = host._private or host.row.started
            if isinstance(agent, through.Via):
                if crash := agent.blame():
                    raise Crash(crash.expected, f"{crash.actual} ({error})") from error
                agent = agent.inner
            if not isinstance(agent, server.Server):
                continue
            status = self.witness.wait(agent.pid, 0.5)  # the connection ends before the process does
            if status is not None and (status < 0 or host is self):
                message = f"it {server.describe_exit(status)} ({error}); stderr: {agent.stderr()!r}"
                raise Crash("the agent lives", message) from error

    def release(self) -> None:
        """Close and kill what the case used, whatever happened."""
        for conversation in self._conversations:
            with contextlib.suppress(OSError):
                conversation.sock.close()
        for host in self._started:
            host.release()
        if self._private is not None:
            self._private.stop()
        if self._scratch is not None:
            self.witness.drop(self._scratch)
            self._scratch = None


class _Launched(Agent):
    """An agent that launch() started: only there to be killed."""

    def __init__(self, witness: Any, pid: int) -> None:
        self._witness, self.pid = witness, pid

    def connect(self) -> Any:
        raise RuntimeError("harness bug: launch() says nothing about connecting")

    def check_alive(self) -> None:
        pass

    def stop(self) -> None:
        self._witness.stop(self.pid)


def exit_code(answer: Answer) -> int:
    """N of a run's exit frame; another terminal frame is a violation."""
    terminal = answer.terminal
    code = terminal.get("exit_code")
    shape = terminal.get("ok") is True and terminal.get("op") == "exit" and type(code) is int
    expect(shape, "an exit frame with an integer exit_code", terminal)
    assert isinstance(code, int)
    return code


def file_of(answer: Answer) -> tuple[dict[str, Any], bytes]:
    """Header and content of a get_file response: JSON, DATA*, EOF, end of stream."""
    kinds = [kind for kind, _ in answer.frames]
    good = kinds[:1] == [protocol.FRAME_JSON] and kinds[-1:] == [protocol.FRAME_EOF] and len(kinds) >= 2
    expect(good and set(kinds[1:-1]) <= {protocol.FRAME_DATA}, "a header, DATA frames and EOF", answer.frames[:3])
    header = answer.controls[0]
    shape = header.get("ok") is True and type(header.get("mode")) is int and type(header.get("size")) is int
    expect(shape, "a header with ok, mode and size", header)
    return header, answer.data


def wait_for(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """Poll until the condition is true, at most `timeout` seconds: its value. Otherwise a violation."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise Violation(f"{what} within {timeout:g} s", "not so")
        time.sleep(0.01)
    return value
