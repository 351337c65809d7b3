#!/usr/bin/env -S python3 -I -S
"""The reference guest agent of the guest control protocol, version 1.

Written for reading: whoever doubts a clause of the contract (conformance/spec/protocol-v1.md) reads how it is served here.
Sections stand in the contract's order and cite its ids. One thread, the desk, owns every connection whose request is not yet
complete, waits its turn or merely lingers; one thread for each `run`, `put_file` and `get_file` serves it in plain code.

Standard library only, Python 3.8 or later, Linux only.
"""

# ruff: noqa: SIM105 - contextlib would cost every start a millisecond
from __future__ import annotations

import _thread
import errno
import fcntl
import os
import resource
import select
import stat
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from typing import Dict, List, NoReturn, Union

    Value = Union[None, bool, str, "Number", List["Value"], Dict[str, "Value"]]
    Request = Union["Ping", "Run", "PutFile", "GetFile"]
else:  # the C halves of the two modules: the same names, without 12 ms of enum and selectors at every start
    import _signal as signal
    import _socket as socket

VERSION = "0.1.0"

PROTOCOL_VERSION = 1
PROTOCOL_VSOCK_PORT = 1024
PROTOCOL_HOST_CID = 2

FRAME_JSON = 1
FRAME_STDOUT = 2
FRAME_STDERR = 3
FRAME_DATA = 4
FRAME_EOF = 5

LIMIT_FRAME_HEADER = 5
LIMIT_FRAME_PAYLOAD = 16_777_216
LIMIT_CHUNK = 65_536
LIMIT_CONTROL_PAYLOAD = 1_048_576
LIMIT_JSON_DEPTH = 16
LIMIT_JSON_VALUES = 4_096
LIMIT_JSON_INTEGER = 9_007_199_254_740_991
LIMIT_ERROR_TEXT = 1_024
LIMIT_WORK_SLOTS = 64
LIMIT_CONNECTIONS = 1_024
LIMIT_INCOMPLETE_BYTES = 8_388_608
LIMIT_FILE_MODE = 0o7777
LIMIT_FILE_MODE_DEFAULT = 0o600

SECONDS_REQUEST_TIMEOUT = 10
SECONDS_IO_TIMEOUT = 60
SECONDS_LINGER_TIMEOUT = 5
SECONDS_PING = 1
SECONDS_KILL = 1
SECONDS_STOP = 2

PUT_PREFIX = ".smolvm-put-"
OPERATIONS = ("ping", "run", "put_file", "get_file")
CODES = (
    "malformed", "too_large", "unsupported_version", "unknown_op", "invalid_argument", "spawn_failed", "not_found",
    "permission_denied", "is_directory", "not_regular_file", "no_space", "size_mismatch", "unexpected_frame", "io_error",
    "internal",
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------------
# 1 Frames


def encode_frame(kind: int, payload: bytes = b"") -> bytes:
    """One whole frame. The caller keeps payloads within FRAME-CHUNK and control within JSON-LIMITS."""
    return bytes([kind]) + len(payload).to_bytes(4, "big") + payload


def decode_header(header: bytes | bytearray) -> tuple[int, int]:
    """The type and the declared length of the frame that these 5 bytes begin."""
    return header[0], int.from_bytes(header[1:LIMIT_FRAME_HEADER], "big")


# ---------------------------------------------------------------------------------------------------------------------
# Errors: what a host is told


class Refused(Exception):
    """A request that is answered with an error (ERR-SHAPE). `code` is one of CODES."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


ERRNO_CODES = {  # ERR-ERRNO; any other failed call is an io_error
    errno.ENOENT: "not_found",
    errno.ENOTDIR: "not_found",
    errno.ELOOP: "not_found",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "permission_denied",
    errno.EISDIR: "is_directory",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EFBIG: "no_space",
    errno.ENAMETOOLONG: "invalid_argument",
}


def failed_call(error: OSError, what: str) -> Refused:
    """The refusal for a failed call on a file. The reason comes first, so that a long path cannot push it out."""
    number = error.errno or errno.EIO
    return Refused(ERRNO_CODES.get(number, "io_error"), f"{os.strerror(number)}: {what}")


# ---------------------------------------------------------------------------------------------------------------------
# 2 Control frames

SPACE = b" \t\r\n"
DIGITS = b"0123456789"
HEX_DIGITS = DIGITS + b"abcdefABCDEF"
CONTROLS = bytes(range(0x20))
VALUE_STARTS = b'{["-tfn' + DIGITS
LITERALS: dict[int, tuple[bytes, bool | None]] = {
    ord("t"): (b"true", True),
    ord("f"): (b"false", False),
    ord("n"): (b"null", None),
}
ESCAPES = {b'"': '"', b"\\": "\\", b"/": "/", b"b": "\b", b"f": "\f", b"n": "\n", b"r": "\r", b"t": "\t"}


class Number:
    """A JSON number as it was written: JSON-INT tells 1 from 1.0, and a `timeout` is sent back verbatim."""

    __slots__ = ("literal",)

    def __init__(self, literal: str) -> None:
        self.literal = literal

    def integer(self) -> int | None:
        """The integer it is by JSON-INT, or None."""
        digits = self.literal[1:] if self.literal.startswith("-") else self.literal
        if not digits.isdigit() or len(digits) > len(str(LIMIT_JSON_INTEGER)):
            return None
        value = int(self.literal)
        return value if abs(value) <= LIMIT_JSON_INTEGER else None


class JsonReader:
    """JSON-PROFILE, read strictly from left to right: the first offence decides the code (JSON-ORDER).

    A value beyond JSON-LIMITS is an offence at its first byte, so nesting never gets deeper than LIMIT_JSON_DEPTH here
    either. A duplicate name (JSON-DUP) is only noted in passing, for it counts only in a payload that is otherwise good.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0
        self.values = 0
        self.duplicate = False

    def document(self) -> dict[str, Value]:
        """The one object that the payload is. Raises Refused."""
        self.space()
        if self.peek() != ord("{"):
            raise self.malformed("the payload is not an object")
        members = self.value(1)
        assert isinstance(members, dict)
        self.space()
        if self.at < len(self.text):
            raise self.malformed("something follows the object")
        if self.duplicate:
            raise self.malformed("an object has two members of the same name")
        return members

    def value(self, level: int) -> Value:
        """A value; `level` is the depth at which an object or an array would stand here."""
        first = self.peek()
        if first not in VALUE_STARTS:
            raise self.malformed("a value is missing")
        self.values += 1
        if self.values > LIMIT_JSON_VALUES:
            raise Refused("too_large", f"the request has more than {LIMIT_JSON_VALUES} values")
        if first in b"{[" and level > LIMIT_JSON_DEPTH:
            raise Refused("too_large", f"the request is nested deeper than {LIMIT_JSON_DEPTH} levels")
        if first == ord("{"):
            return self.members(level)
        if first == ord("["):
            return self.elements(level)
        if first == ord('"'):
            return self.string()
        if first in LITERALS:
            word, meaning = LITERALS[first]
            if not self.text.startswith(word, self.at):
                raise self.malformed("a word that is not true, false or null")
            self.at += len(word)
            return meaning
        return self.number()

    def members(self, level: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        self.at += 1
        self.space()
        if self.skip(b"}"):
            return members
        while True:
            if self.peek() != ord('"'):
                raise self.malformed("a member name is missing")
            name = self.string()
            self.space()
            self.expect(b":")
            self.space()
            value = self.value(level + 1)
            self.duplicate = self.duplicate or name in members
            members[name] = value
            self.space()
            if self.skip(b"}"):
                return members
            self.expect(b",")
            self.space()

    def elements(self, level: int) -> list[Value]:
        elements: list[Value] = []
        self.at += 1
        self.space()
        if self.skip(b"]"):
            return elements
        while True:
            elements.append(self.value(level + 1))
            self.space()
            if self.skip(b"]"):
                return elements
            self.expect(b",")
            self.space()

    def number(self) -> Number:
        start = self.at
        self.skip(b"-")
        if not self.skip(b"0"):
            self.digits()
        if self.skip(b"."):
            self.digits()
        if self.skip(b"eE"):
            self.skip(b"+-")
            self.digits()
        return Number(self.text[start : self.at].decode("ascii"))

    def string(self) -> str:
        """From the quote at hand to the one that closes."""
        parts: list[str] = []
        at = self.at + 1
        quote = self.text.find(b'"', at)
        while quote >= 0:
            escape = self.text.find(b"\\", at, quote)
            parts.append(self.plain(at, quote if escape < 0 else escape))
            if escape < 0:
                self.at = quote + 1
                return "".join(parts)
            character, at = self.escape(escape)
            parts.append(character)
            if quote < at:  # that quote was the escaped one
                quote = self.text.find(b'"', at)
        raise self.malformed("a string has no end")

    def plain(self, start: int, end: int) -> str:
        """The characters of a string between two escapes."""
        if start == end:
            return ""
        piece = self.text[start:end]
        if len(piece.translate(None, CONTROLS)) < len(piece):
            raise self.malformed("a raw control character in a string")
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            raise self.malformed("a string is not UTF-8") from None

    def escape(self, at: int) -> tuple[str, int]:
        """The character that the escape at `at` means, and where it ends."""
        kind = self.text[at + 1 : at + 2]
        if kind != b"u":
            if kind not in ESCAPES:
                raise self.malformed("an unknown escape in a string")
            return ESCAPES[kind], at + 2
        unit = self.code_unit(at)
        at += 6
        if 0xD800 <= unit < 0xDC00:
            low = self.code_unit(at)
            if not 0xDC00 <= low < 0xE000:
                raise self.malformed("a lone surrogate")
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
            at += 6
        elif 0xDC00 <= unit < 0xE000:
            raise self.malformed("a lone surrogate")
        if unit == 0:
            raise self.malformed("U+0000 in a string")  # JSON-NUL
        return chr(unit), at

    def code_unit(self, at: int) -> int:
        escape = self.text[at : at + 6]
        if len(escape) < 6 or not escape.startswith(b"\\u") or escape[2:].strip(HEX_DIGITS):
            raise self.malformed("a broken \\u escape")
        return int(escape[2:], 16)

    def peek(self) -> int:
        """The byte at hand; 0, which stands for nothing outside a string, at the end."""
        return self.text[self.at] if self.at < len(self.text) else 0

    def skip(self, accepted: bytes) -> bool:
        if self.peek() not in accepted:
            return False
        self.at += 1
        return True

    def expect(self, wanted: bytes) -> None:
        if not self.skip(wanted):
            raise self.malformed(f"'{wanted.decode()}' is missing")

    def space(self) -> None:
        text, at, end = self.text, self.at, len(self.text)
        while at < end and text[at] in SPACE:
            at += 1
        self.at = at

    def digits(self) -> None:
        text, at, end = self.text, self.at, len(self.text)
        while at < end and text[at] in DIGITS:
            at += 1
        if at == self.at:
            raise self.malformed("a digit is missing")
        self.at = at

    def malformed(self, reason: str) -> Refused:
        return Refused("malformed", f"malformed request, at byte {self.at} or later: {reason}")


def json_string(text: str) -> str:
    """A string literal that obeys JSON-PROFILE and JSON-NUL whatever the text holds (JSON-OUT)."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'


def control(json: str) -> bytes:
    """The frame of a control reply."""
    return encode_frame(FRAME_JSON, json.encode("utf-8"))


def error_reply(refused: Refused) -> bytes:
    """ERR-SHAPE, ERR-CODE. A text cut at its limit is cut between characters."""
    text = refused.text.encode("utf-8", "replace")[:LIMIT_ERROR_TEXT].decode("utf-8", "ignore")
    return control(f'{{"ok":false,"op":"error","error":{json_string(text)},"code":"{refused.code}"}}')


# ---------------------------------------------------------------------------------------------------------------------
# 3 A conversation, 4 Operations: from the first frame to a request


class Ping:
    op = "ping"


class Run:
    op = "run"

    def __init__(self, members: dict[str, Value]) -> None:
        self.cmd = needed_text(members, "cmd")  # RUN-CMD
        shell = members.get("shell")
        if shell not in (None, "login", "raw"):
            raise invalid("shell", 'must be "login", "raw" or null')
        self.raw = shell == "raw"  # RUN-SHELL
        self.timeout, self.timeout_literal = self.deadline(members.get("timeout"))
        self.env = self.variables(members.get("env"))

    @staticmethod
    def deadline(timeout: Value) -> tuple[float, str]:
        """RUN-TIMEOUT: seconds (0: no deadline) and the number as the host wrote it."""
        if timeout is None:
            return 0.0, "0"
        if not isinstance(timeout, Number):
            raise invalid("timeout", "must be a number or null")
        seconds = float(timeout.literal)
        if not 0 <= seconds < float("inf"):
            raise invalid("timeout", "must be finite and not negative")
        return seconds, timeout.literal

    @staticmethod
    def variables(env: Value) -> dict[bytes, bytes]:
        """RUN-ENV."""
        if env is None:
            return {}
        if not isinstance(env, dict):
            raise invalid("env", "must be an object or null")
        variables = {}
        for name, value in env.items():
            number = value.integer() if isinstance(value, Number) else None
            text = str(number) if number is not None else value
            if not name or "=" in name:
                raise invalid("env", "has a name that is empty or holds '='")
            if not isinstance(text, str):
                raise invalid("env", "has a value that is neither a string nor an integer")
            variables[name.encode()] = text.encode()
        return variables


class PutFile:
    """An upload. With `refused` set it cannot succeed any more, but its size is known, so it is still read (PUT-DRAIN)."""

    op = "put_file"

    def __init__(self, members: dict[str, Value]) -> None:
        self.path = b""
        self.name: bytes | None = None
        self.mode = LIMIT_FILE_MODE_DEFAULT
        self.refused: Refused | None = None
        try:
            self.path = needed_text(members, "path").encode()
            name = members.get("name")
            if name is not None:
                self.name = text_field(members, "name").encode()
            mode = members.get("mode")
            if mode is not None:
                self.mode = integer_field(mode, "mode", LIMIT_FILE_MODE)
        except Refused as refused:
            self.refused = refused
        try:
            self.size = integer_field(members["size"], "size", LIMIT_JSON_INTEGER) if "size" in members else 0
        except Refused as refused:  # how much would follow is unknown: answered at once
            raise (self.refused or refused) from None


class GetFile:
    op = "get_file"

    def __init__(self, members: dict[str, Value]) -> None:
        self.path = needed_text(members, "path").encode()


def invalid(field: str, demand: str) -> Refused:
    return Refused("invalid_argument", f"`{field}` {demand}")


def text_field(members: dict[str, Value], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise invalid(name, "must be a string")
    return value


def needed_text(members: dict[str, Value], name: str) -> str:
    text = text_field(members, name)
    if not text:
        raise invalid(name, "must not be empty")
    return text


def integer_field(value: Value, name: str, most: int) -> int:
    number = value.integer() if isinstance(value, Number) else None
    if number is None or not 0 <= number <= most:
        raise invalid(name, f"must be an integer from 0 to {most}")
    return number


def read_request(kind: int, length: int, payload: bytes) -> Request:
    """CONV-FIRST: judge a whole first frame; `payload` is empty where it was discarded. Raises Refused."""
    if kind != FRAME_JSON:
        raise Refused("malformed", f"the first frame must be a control frame (type {FRAME_JSON}), not type {kind}")
    if length > LIMIT_CONTROL_PAYLOAD:
        raise Refused("too_large", f"a request may have {LIMIT_CONTROL_PAYLOAD} bytes, this one has {length}")
    members = JsonReader(payload).document()
    version = members.get("v")
    if version is not None and not (isinstance(version, Number) and version.integer() == PROTOCOL_VERSION):
        raise Refused("unsupported_version", f"unsupported version: this agent speaks version {PROTOCOL_VERSION}")
    op = members.get("op")
    if op == "ping":
        return Ping()
    if op == "run":
        return Run(members)
    if op == "put_file":
        return PutFile(members)
    if op == "get_file":
        return GetFile(members)
    raise Refused("unknown_op", f"unknown op: this agent knows {', '.join(OPERATIONS)}")  # CONV-OP


# ---------------------------------------------------------------------------------------------------------------------
# 3 A conversation: the host as a worker sees it

ASK = 0.2  # seconds; how often a host that has half-closed is asked for (see hung_up)


class GiveUp(Exception):
    """The conversation ends without another word, for the reason given."""


class Stalled(GiveUp):
    """CONV-STALL."""


def hung_up(sock: socket.socket) -> bool:
    """Whether the host has closed its connection, which poll() cannot tell from a half-close on every transport.

    After a mere half-close POLLRDHUP stays set: whoever polls for it stops doing so then, and asks again by a timer.
    """
    try:
        sock.send(b"", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except BlockingIOError:
        pass
    except OSError:
        return True
    return False


class Host:
    """The host's end of a conversation that is being served: sends, receives and waits, each of them bounded."""

    def __init__(self, sock: socket.socket, stop_fd: int, io_timeout: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.stop_fd = stop_fd
        self.io_timeout = io_timeout
        self.progress = time.monotonic()  # when a byte last passed; CONV-STALL counts from the work slot
        self.answered = False
        self.half_closed = False
        self.ask_at = 0.0

    def wait(self, events: int, others: Mapping[int, int], until: float | None) -> dict[int, int]:
        """Wait for `events` of the socket and those of other descriptors: what came, perhaps nothing (then call again).

        Raises GiveUp when the agent stops, and when the host hangs up; who reads from the socket finds that out by reading.
        """
        watch = not events & select.POLLIN
        poll = select.poll()
        poll.register(self.stop_fd, select.POLLIN)
        poll.register(self.fd, events | (select.POLLRDHUP if watch and not self.half_closed else 0))
        for fd, wanted in others.items():
            poll.register(fd, wanted)
        if watch and self.half_closed:
            until = self.ask_at if until is None else min(until, self.ask_at)
        ready = dict(poll.poll(milliseconds_until(until)))
        if self.stop_fd in ready:
            raise GiveUp("the agent stops")
        if watch:
            now = time.monotonic()
            ended = ready.get(self.fd, 0) & (select.POLLRDHUP | select.POLLHUP | select.POLLERR)
            if ended or (self.half_closed and now >= self.ask_at):
                if hung_up(self.sock):
                    raise GiveUp("the host hung up")
                self.half_closed = True
                self.ask_at = now + ASK
        return ready

    def patience(self) -> float:
        """CONV-STALL: until when a byte must pass. Raises Stalled when it has not."""
        until = self.progress + self.io_timeout
        if time.monotonic() >= until:
            raise Stalled("stalled")
        return until

    def send_some(self, data: memoryview) -> int:
        """How many bytes the socket takes at once, 0 if it is full."""
        try:
            sent = self.sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            raise GiveUp("the host hung up") from None
        self.progress = time.monotonic()
        self.answered = True
        return sent

    def send_all(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.send_some(rest) :]
            if rest:
                self.wait(select.POLLOUT, {}, self.patience())

    def receive(self, buffer: memoryview) -> int:
        """Fill the buffer's beginning with what there is: at least a byte."""
        while True:
            try:
                received = self.sock.recv_into(buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self.wait(select.POLLIN, {}, self.patience())
                continue
            except OSError as error:
                raise GiveUp(str(error)) from None
            if not received:
                raise GiveUp("the upload broke off")
            self.progress = time.monotonic()
            return received


def milliseconds_until(until: float | None) -> int | None:
    """For poll(): rounded up, and no longer than its integers allow."""
    if until is None:
        return None
    return int(min(max(0.0, until - time.monotonic()), 86_400.0) * 1000) + 1


# ---------------------------------------------------------------------------------------------------------------------
# 4 Operations: run

POLL_EXIT = 0.02  # seconds; how often a shell is looked after where there is no pidfd (Python 3.8, Linux before 5.3)
DEATH = SECONDS_KILL / 2  # how long a reply waits for a killed shell to be gone


class Stream:
    """One of a command's two output streams."""

    def __init__(self, fd: int, kind: int) -> None:
        self.fd = fd
        self.kind = kind
        self.writers_gone = False

    def held(self) -> int:
        """How many bytes are in the pipe."""
        return int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def read(self, most: int) -> bytes | None:
        """A piece as a frame; b"" when there is nothing now; None at the end."""
        try:
            data = os.read(self.fd, min(most, LIMIT_CHUNK))
        except BlockingIOError:
            return b""
        return encode_frame(self.kind, data) if data else None


class Command:
    """A shell, which leads a process group of its own, and the pipes from it.

    The shell stays unreaped, so that its group's id cannot be used again, until nothing is left to kill (RUN-REAP).
    """

    def __init__(self, request: Run, birth: Birth) -> None:
        self.pid, out, err = spawn(command_line(request, birth), {**birth.environment, **request.env}, birth)
        self.streams = [Stream(out, FRAME_STDOUT), Stream(err, FRAME_STDERR)]
        self.exited = False
        self.status: int | None = None  # once reaped
        self.pidfd: int | None = None
        if sys.version_info >= (3, 9):
            try:
                self.pidfd = os.pidfd_open(self.pid)
            except OSError:
                pass

    def interest(self, read: bool) -> dict[int, int]:
        """What to poll for: output if it is to be read, else just whether writers are left; and the shell's exit."""
        fds = {s.fd: select.POLLIN if read else 0 for s in self.streams if read or not s.writers_gone}
        if self.pidfd is not None and not self.exited:
            fds[self.pidfd] = select.POLLIN
        return fds

    def patience(self, until: float | None) -> float | None:
        if self.pidfd is not None or self.exited:
            return until
        soon = time.monotonic() + POLL_EXIT
        return soon if until is None else min(until, soon)

    def note(self, ready: Mapping[int, int]) -> None:
        """Take down what poll() found."""
        for stream in self.streams:
            stream.writers_gone = stream.writers_gone or bool(ready.get(stream.fd, 0) & select.POLLHUP)
        if not self.exited and (self.pidfd is None or self.pidfd in ready):
            self.exited = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def ended(self) -> bool:
        """Whether nothing of it is left that could say or hold up anything; output may be left to read."""
        return self.exited and all(stream.writers_gone for stream in self.streams)

    def drop(self, stream: Stream) -> None:
        self.streams.remove(stream)
        os.close(stream.fd)

    def kill(self) -> None:
        """The whole group. It exists: the shell, alive or a zombie, is in it."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass  # nothing in it that we may signal

    def reap_soon(self, until: float) -> None:
        """Reap the killed shell, unless it takes too long to die; then that is left to end()."""
        while not self.exited and time.monotonic() < until:
            poll = select.poll()
            if self.pidfd is not None:
                poll.register(self.pidfd, select.POLLIN)
            self.note(dict(poll.poll(milliseconds_until(self.patience(until)))))
        if self.exited:
            self.reap()

    def reap(self) -> int:
        """RUN-EXIT: the exit status, or minus the signal."""
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            self.status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.status

    def end(self) -> None:
        """Whatever state it is in: nothing of it stays."""
        if self.status is None:
            self.kill()
            self.reap()
        for fd in [stream.fd for stream in self.streams] + ([self.pidfd] if self.pidfd is not None else []):
            os.close(fd)


def command_line(request: Run, birth: Birth) -> list[bytes]:
    """RUN-SHELL."""
    cmd = request.cmd.encode()
    if request.raw:
        return [b"/bin/sh", b"-c", cmd]
    return [birth.environment.get(b"SHELL") or b"/bin/sh", b"-lc", cmd]


def spawn(argv: list[bytes], environment: dict[bytes, bytes], birth: Birth) -> tuple[int, int, int]:
    """RUN-SPAWN: the shell's process id and the read ends of its two streams, once its exec has succeeded."""
    birth.set_hidden_signals(signal.SIG_IGN)  # a command may send them to the agent
    fds: list[int] = []
    try:
        for _ in range(3):
            fds += os.pipe()  # close-on-exec, as every descriptor of ours
        out, out_write, err, err_write, report, report_write = fds
        pid = os.fork()
        if pid == 0:
            become(argv, environment, birth, out_write, err_write, report_write)
    except BaseException as error:
        for fd in fds:
            os.close(fd)
        if not isinstance(error, OSError):
            raise
        raise Refused("spawn_failed", f"no process for the command: {os.strerror(error.errno or 0)}") from None
    for fd in (out_write, err_write, report_write):
        os.close(fd)
    failure = os.read(report, 16)  # to its end, which exec brings
    os.close(report)
    if failure:
        os.waitpid(pid, 0)
        os.close(out)
        os.close(err)
        shell = argv[0].decode("utf-8", "replace")
        raise Refused("spawn_failed", f"the shell cannot be started: {os.strerror(int(failure))}: {shell}")
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    return pid, out, err


def become(argv: list[bytes], env: dict[bytes, bytes], birth: Birth, out: int, err: int, report: int) -> NoReturn:
    """RUN-CHILD, in the new process. Every signal is blocked until the last moment, as in the worker that forked."""
    number = errno.EIO
    try:
        os.setsid()
        for fd, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(fd, standard)
        resource.setrlimit(resource.RLIMIT_NOFILE, birth.files)
        if birth.oom_score_adj is not None:
            with open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
                score.write(birth.oom_score_adj)
        birth.set_hidden_signals(signal.SIG_DFL)
        for signum in ALL_SIGNALS:
            if signum not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(argv[0], argv, env)
    except OSError as error:
        number = error.errno or number
    finally:
        try:
            os.write(report, str(number).encode())
        finally:
            os._exit(127)


def run(host: Host, request: Run, birth: Birth) -> str:
    command = Command(request, birth)
    deadline = time.monotonic() + request.timeout if request.timeout else None
    try:
        if stream_output(host, command, deadline):
            exit_code = command.reap()
            host.send_all(control(f'{{"ok":true,"op":"exit","exit_code":{exit_code}}}'))
            return f"exit code {exit_code}"
        host.send_all(control(f'{{"ok":true,"op":"timeout","timeout":{request.timeout_literal}}}'))
        return "timeout"
    finally:
        command.end()


def stream_output(host: Host, command: Command, deadline: float | None) -> bool:
    """RUN-STREAM: until both streams have ended and the shell has exited (True), or the deadline has passed (False).

    At most one piece of each stream is in hand, and none is read before the last ones are sent (RUN-BACKPRESSURE).
    """
    outgoing = memoryview(b"")
    while outgoing or command.streams or not command.exited:
        until = deadline
        ended = command.ended()
        if not ended:
            if deadline is not None and time.monotonic() >= deadline:
                send_held(host, command, outgoing)
                return False
        elif outgoing:
            try:
                until = host.patience()
            except Stalled:
                command.reap()  # it ended by itself: nothing is killed
                raise
        ready = host.wait(select.POLLOUT if outgoing else 0, command.interest(not outgoing), command.patience(until))
        command.note(ready)
        if not ended:
            host.progress = time.monotonic()  # a stall counts from the command's end
        if outgoing:
            outgoing = outgoing[host.send_some(outgoing) :]
            continue
        pieces = b""
        for stream in [stream for stream in command.streams if stream.fd in ready]:
            piece = stream.read(LIMIT_CHUNK)
            if piece is None:
                command.drop(stream)
            else:
                pieces += piece
        outgoing = memoryview(pieces)
    return True


def send_held(host: Host, command: Command, outgoing: memoryview) -> None:
    """RUN-TIMEOUT: kill the group, then send what is in hand and what the pipes held at the kill. No waiting for their ends:
    a process outside the group may hold them open, and go on writing."""
    command.kill()
    held = [(stream, stream.held()) for stream in command.streams]
    command.reap_soon(time.monotonic() + DEATH)
    host.progress = time.monotonic()
    host.send_all(outgoing)
    for stream, left in held:
        while left > 0:
            piece = stream.read(left)
            if not piece:
                break  # someone else has read from this pipe
            host.send_all(piece)
            left -= len(piece) - LIMIT_FRAME_HEADER


# ---------------------------------------------------------------------------------------------------------------------
# 4 Operations: put_file


def put_file(host: Host, request: PutFile) -> str:
    """The first error found is the one answered, once the upload has ended (PUT-DRAIN)."""
    refused = request.refused
    target: Target | None = None
    try:
        if not refused:
            try:
                target = Target(request)
            except Refused as error:
                refused = error
        left = request.size
        buffer = memoryview(bytearray(LIMIT_CHUNK))
        while left:
            kind, length = receive_header(host, buffer)
            fits = kind == FRAME_DATA and length <= left
            for piece in receive_payload(host, length, buffer):
                if fits and target and not refused:
                    try:
                        target.write(piece)
                    except Refused as error:
                        refused = error
                        target.discard()
            if not fits:
                refused = refused or misfit(kind)
                break
            left -= length
        if target and not refused:
            target.commit(request.mode)
        if refused:
            raise refused
    finally:
        if target:
            target.discard()
    host.send_all(control('{"ok":true}'))
    return "ok"


def misfit(kind: int) -> Refused:
    """PUT-SHORT, PUT-FRAME."""
    if kind == FRAME_DATA:
        return Refused("size_mismatch", "the upload is longer than `size`")
    if kind == FRAME_EOF:
        return Refused("size_mismatch", "the upload is shorter than `size`")
    return Refused("unexpected_frame", f"a frame of type {kind} came within the upload")


def receive_header(host: Host, buffer: memoryview) -> tuple[int, int]:
    have = 0
    while have < LIMIT_FRAME_HEADER:
        have += host.receive(buffer[have:LIMIT_FRAME_HEADER])
    kind, length = decode_header(bytes(buffer[:LIMIT_FRAME_HEADER]))
    if length > LIMIT_FRAME_PAYLOAD:  # FRAME-CAP
        raise GiveUp("a frame over the cap")
    return kind, length


def receive_payload(host: Host, length: int, buffer: memoryview) -> Iterator[memoryview]:
    while length:
        received = host.receive(buffer[: min(length, len(buffer))])
        yield buffer[:received]
        length -= received


class Target:
    """The file that an upload becomes: a new one beside its place, until commit() (PUT-ATOMIC).

    The directory is opened once, and everything goes through that descriptor (PUT-DIRFD).
    """

    def __init__(self, request: PutFile) -> None:
        self.what = request.path.decode("utf-8", "replace")
        self.file: int | None = None
        self.temporary = b""  # its name, while there is one
        self.directory, self.leaf = self.locate(request)
        try:
            self.create()
        except OSError as error:
            self.discard()
            raise failed_call(error, self.what) from None

    def locate(self, request: PutFile) -> tuple[int, bytes]:
        """PUT-PATH, PUT-DIR: an open directory and the name in it."""
        try:
            path = os.path.normpath(os.path.join(os.getcwdb(), request.path))
            parent, leaf = os.path.split(path)
            directory = os.open(parent, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise failed_call(error, self.what) from None
        try:
            inner = os.open(leaf or b".", os.O_PATH | os.O_DIRECTORY, dir_fd=directory)  # follows a link
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                os.close(directory)
                raise failed_call(error, self.what) from None
            return directory, leaf  # no directory that we can see, and rename() replaces none
        os.close(directory)
        name = (request.name or b"").rpartition(b"/")[2]
        if name in (b"", b".", b".."):
            os.close(inner)
            raise Refused("is_directory", f"a directory, and `name` names no file in it: {self.what}")
        return inner, name

    def create(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        name = PUT_PREFIX.encode() + os.urandom(8).hex().encode()
        self.file = os.open(name, flags, 0o600, dir_fd=self.directory)
        self.temporary = name

    def write(self, data: memoryview) -> None:
        assert self.file is not None
        try:
            while data:
                data = data[os.write(self.file, data) :]
        except OSError as error:
            raise failed_call(error, self.what) from None

    def commit(self, mode: int) -> None:
        """The mode comes after the last write, which would clear setuid; a failing close counts."""
        assert self.file is not None
        try:
            os.fchmod(self.file, mode)
            file, self.file = self.file, None
            os.close(file)
            os.rename(self.temporary, self.leaf, src_dir_fd=self.directory, dst_dir_fd=self.directory)
            self.temporary = b""
        except OSError as error:
            raise failed_call(error, self.what) from None

    def discard(self) -> None:
        """PUT-CLEAN: close what is open, remove what is not in its place. May be called again."""
        try:
            if self.temporary:
                os.unlink(self.temporary, dir_fd=self.directory)
        except OSError:
            pass  # someone else has removed it, or the directory with it
        self.temporary = b""
        for fd in (self.file, self.directory):
            if fd is not None and fd >= 0:
                try:
                    os.close(fd)
                except OSError:
                    pass  # it is to be thrown away
        self.file, self.directory = None, -1


# ---------------------------------------------------------------------------------------------------------------------
# 4 Operations: get_file

READ_AGAIN = 0.05  # seconds; how often a file is tried that has nothing to say yet (GET-WAIT)


def get_file(host: Host, request: GetFile) -> str:
    file = open_regular(request.path)
    try:
        status = os.fstat(file)
        host.send_all(control(f'{{"ok":true,"mode":{stat.S_IMODE(status.st_mode)},"size":{status.st_size}}}'))
        frame = memoryview(bytearray(LIMIT_FRAME_HEADER + LIMIT_CHUNK))
        while True:
            try:
                length = os.readv(file, [frame[LIMIT_FRAME_HEADER:]])  # GET-EXACT: read first, then announce
            except BlockingIOError:
                host.wait(0, {}, min(host.patience(), time.monotonic() + READ_AGAIN))
                continue
            except OSError as error:
                raise GiveUp(f"the file cannot be read: {error.strerror}") from None  # GET-BROKEN
            if not length:
                break
            frame[:LIMIT_FRAME_HEADER] = bytes([FRAME_DATA]) + length.to_bytes(4, "big")
            host.send_all(frame[: LIMIT_FRAME_HEADER + length])
    finally:
        os.close(file)
    host.send_all(encode_frame(FRAME_EOF))
    return "ok"


def open_regular(path: bytes) -> int:
    """GET-ERRORS: judge what the path leads to before opening it, and open what was judged, not the path a second time."""
    what = path.decode("utf-8", "replace")
    place = -1
    try:
        place = os.open(path, os.O_PATH)
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise Refused("not_regular_file", f"not a regular file: {what}")
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if place >= 0 and error.errno == errno.ENOENT:
            raise Refused("io_error", "get_file needs /proc, which is not mounted") from None
        raise failed_call(error, what) from None
    finally:
        if place >= 0:
            os.close(place)


# ---------------------------------------------------------------------------------------------------------------------
# 5 The server: what the agent was started with

ALL_SIGNALS = signal.valid_signals()
HIDDEN_SIGNALS = set(range(1, signal.NSIG)) - ALL_SIGNALS
WNOTHREAD = 0x20000000  # wait(2), __WNOTHREAD
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Birth:
    """What commands start with, whatever the agent changes for itself (RUN-CHILD, RUN-ENV)."""

    def __init__(self) -> None:
        self.environment = read_environment()
        self.files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.oom_score_adj: bytes | None = None  # None: as the agent's own
        self.syscall: Callable[..., int] | None = None

    def prepare_process(self) -> None:
        """SRV-START but for the signals, and SRV-OOM."""
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.files[1], self.files[1]))
        except (OSError, ValueError):
            pass  # as many as there are, then
        for lower in (-1000, 0):  # below what it once was, which is mostly 0, only the privileged may lower it
            try:
                with open("/proc/self/oom_score_adj", "r+b", buffering=0) as score:
                    original = score.read()
                    if int(original) > lower:
                        score.write(b"%d" % lower)
                        self.oom_score_adj = original
                return
            except OSError:
                pass

    def set_hidden_signals(self, disposition: int) -> None:
        """The C library keeps a few signals to itself, so they stay as they came, and end whoever came with the default.

        Only a bare rt_sigaction(2) reaches them. Called before the first command starts, for the sake of the start's time.
        """
        number = {"x86_64": 13, "aarch64": 134}.get(os.uname().machine)
        if number is None:
            return
        if self.syscall is None:
            try:
                import ctypes
            except ImportError:  # Python may be built without
                return
            self.syscall = ctypes.CDLL(None).syscall
        action = disposition.to_bytes(8, sys.byteorder) + bytes(24)  # no flags, no restorer, an empty mask
        for hidden in HIDDEN_SIGNALS:
            self.syscall(number, hidden, action, None, 8)


def read_environment() -> dict[bytes, bytes]:
    """The environment of the agent's own exec: Python may have added LC_CTYPE to what os.environb shows (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb", buffering=0) as file:
            entries = file.read().split(b"\0")
    except OSError:
        return dict(os.environb)
    environment: dict[bytes, bytes] = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if name and equals:
            environment.setdefault(name, value)
    return environment


def open_standard_descriptors() -> None:
    for fd in range(3):
        try:
            fcntl.fcntl(fd, fcntl.F_GETFD)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # as fd itself, the lowest that is free


def close_inherited_on_exec() -> None:
    try:
        fds = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        fds = list(range(3, 1024))
    for fd in fds:
        try:
            if fd > 2:
                os.set_inheritable(fd, False)
        except OSError:
            pass  # the listing's own


def set_signals(on_stop: Callable[[], None], on_child: Callable[[], None], wakeup_fd: int) -> None:
    """SRV-START, SRV-SURVIVE: three signals mean something; no other one, from a command say, ends or stops the agent."""
    signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)
    for number in ALL_SIGNALS:
        if number in STOP_SIGNALS:
            signal.signal(number, lambda *_: on_stop())
        elif number == signal.SIGCHLD:
            signal.signal(number, lambda *_: on_child())
        elif number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class Log:
    """SRV-LOG: lines that cannot be written at once are lost."""

    def __init__(self) -> None:
        self.quiet = False
        self.fd = 2

    def reopen(self) -> None:
        """A description of our own may be non-blocking without becoming so for whoever shares stderr with us."""
        try:
            mode = os.fstat(2).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                self.fd = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            pass

    def line(self, text: str) -> None:
        if not self.quiet:
            self.fatal(text)

    def fatal(self, text: str) -> None:
        line = " ".join(f"smolvm-guest-agent: {text}".split())[:1000] + "\n"
        try:
            writable = select.poll()
            writable.register(self.fd, select.POLLOUT)
            if writable.poll(0):
                os.write(self.fd, line.encode("utf-8", "replace"))
        except OSError:
            pass


# ---------------------------------------------------------------------------------------------------------------------
# 5 The server: the desk

SMALL_REQUEST = 4_096  # bytes; a request up to this size counts as small
RESERVE = 262_144  # bytes of LIMIT_INCOMPLETE_BYTES that large requests leave to small ones
RETRY = 0.1  # seconds until accepting, or starting a thread, is tried again


class Connection:
    """A conversation as the desk sees it."""

    def __init__(self, sock: socket.socket, number: int, deadline: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.number = number
        self.deadline = deadline  # of the state it is in
        self.header = bytearray()
        self.payload = bytearray()
        self.kind = 0
        self.length = 0
        self.left = 0  # of the payload
        self.reply = memoryview(b"")
        self.request: Request | None = None

    @property
    def kept(self) -> bool:
        """Whether the payload is worth keeping (CONV-FIRST)."""
        return self.kind == FRAME_JSON and self.length <= LIMIT_CONTROL_PAYLOAD


class Desk:
    """Reads requests, answers pings and errors, hands work on, lingers. Everything here runs in the main thread, but work().

    A connection is in exactly one of the tables `reading`, `replying`, `queued`, `working` and `lingering`. Each of them is
    in order of arrival, so the first entry has the earliest deadline.
    """

    def __init__(self, options: Options, birth: Birth, log: Log) -> None:
        self.options = options
        self.birth = birth
        self.log = log
        self.instance = os.urandom(16).hex()  # PING-INSTANCE
        self.listener: socket.socket | None = None
        self.listener_fd = -1
        self.listener_on = False
        self.accept_at = 0.0
        self.start_at = 0.0
        self.ask_at = 0.0
        self.connections: dict[int, Connection] = {}
        self.reading: dict[int, Connection] = {}
        self.paused: dict[int, Connection] = {}  # those of `reading` that wait for LIMIT_INCOMPLETE_BYTES
        self.replying: dict[int, Connection] = {}
        self.queued: dict[int, Connection] = {}
        self.half_closed: dict[int, Connection] = {}  # those of `queued` whose host must be asked for by a timer
        self.working: dict[int, Connection] = {}
        self.lingering: dict[int, Connection] = {}
        self.returned: list[tuple[Connection, bool]] = []  # from the workers: the connection, and whether it lingers
        self.incomplete_bytes = 0
        self.count = 0
        self.stopping = False
        self.children_ended = True  # some may have been inherited
        self.scratch = bytearray(LIMIT_CHUNK)
        self.wake_read, self.wake_write = os.pipe()
        self.stop_read, self.stop_write = os.pipe()  # every wait of every worker sees its end
        os.set_blocking(self.wake_read, False)
        os.set_blocking(self.wake_write, False)
        self.epoll = select.epoll()
        self.epoll.register(self.wake_read, select.EPOLLIN)
        set_signals(self.on_stop, self.on_child, self.wake_write)

    def on_stop(self) -> None:
        self.stopping = True

    def on_child(self) -> None:
        self.children_ended = True

    def serve(self) -> None:
        """Until SIGTERM or SIGINT, or, without a listener, until the one conversation is over."""
        while not self.stopping and (self.listener or self.connections):
            try:
                self.turn()
            except MemoryError:  # SRV-SURVIVE: others may free some
                time.sleep(RETRY)

    def turn(self) -> None:
        for fd, _ in self.epoll.poll(self.patience()):
            if fd == self.wake_read:
                self.drain_wakeups()
            elif fd == self.listener_fd:
                self.accept()
            elif fd in self.connections:
                self.attend(self.connections[fd])
        self.take_back()
        self.expire()
        self.resume_reading()
        self.start_work()
        self.listen_again()
        self.reap_orphans()

    def patience(self) -> float | None:
        """Seconds until the next deadline."""
        tables = (self.reading, self.replying, self.lingering)
        times = [connection.deadline for connection in map(first, tables) if connection]
        if self.listener and not self.listener_on:
            times.append(self.accept_at)
        if self.queued and len(self.working) < self.options.max_requests:
            times.append(self.start_at)
        if self.half_closed:
            times.append(self.ask_at)
        return max(0.0, min(times) - time.monotonic()) + 0.001 if times else None

    def drain_wakeups(self) -> None:
        try:
            while os.read(self.wake_read, 4096):
                pass
        except BlockingIOError:
            pass

    # -- accepting ----------------------------------------------------------------------------------------------------

    def attach(self, listener: socket.socket) -> None:
        self.listener = listener
        self.listener_fd = listener.fileno()
        listener.setblocking(False)
        self.listen_again()

    def listen_again(self) -> None:
        if self.listener and not self.listener_on and time.monotonic() >= self.accept_at:
            self.epoll.register(self.listener_fd, select.EPOLLIN)
            self.listener_on = True

    def pause_accepting(self) -> None:
        self.epoll.unregister(self.listener_fd)
        self.listener_on = False
        self.accept_at = time.monotonic() + RETRY

    def accept(self) -> None:
        """One connection: so few at a time keep those at hand in front (SRV-CONNS)."""
        assert self.listener
        while len(self.connections) >= LIMIT_CONNECTIONS:
            oldest = first(self.reading)
            if not oldest:
                self.pause_accepting()
                return
            self.attend(oldest)  # its request may be whole by now
            if oldest.fd in self.reading:
                self.close(oldest, "closed: too many connections")
        try:
            fd, address = self.listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionAbortedError):
            return
        except (OSError, MemoryError) as error:
            self.pause_accepting()
            self.log.line(f"accepting pauses: {error}")
            return
        self.admit(socket.socket(self.listener.family, self.listener.type, self.listener.proto, fd), address)

    def admit(self, sock: socket.socket, address: object) -> None:
        self.count += 1
        connection = Connection(sock, self.count, time.monotonic() + self.options.request_timeout)
        try:
            stranger = self.stranger(sock, address)
            if stranger:
                self.log.line(f"conversation {self.count}: {stranger} is not served")
                sock.close()
                return
            self.epoll.register(connection.fd, select.EPOLLIN)
        except OSError as error:
            self.log.line(f"conversation {self.count}: {error}")
            sock.close()
            return
        self.connections[connection.fd] = self.reading[connection.fd] = connection

    def stranger(self, sock: socket.socket, address: object) -> str | None:
        """SRV-PEER: who it is that may not connect."""
        if sock.family == socket.AF_VSOCK:
            assert isinstance(address, tuple)
            served = self.options.any_cid or address[0] in self.options.cids
            return None if served else f"CID {address[0]}"
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)  # struct ucred: pid, uid, gid
        uid = int.from_bytes(credentials[4:8], sys.byteorder)
        return None if uid in (0, os.geteuid()) else f"user {uid}"

    # -- events -------------------------------------------------------------------------------------------------------

    def attend(self, connection: Connection) -> None:
        try:
            if connection.fd in self.paused:
                self.close(connection, "the host left")  # reading nothing, only an end can have been reported
            elif connection.fd in self.reading:
                self.read(connection)
            elif connection.fd in self.replying:
                self.flush(connection)
            elif connection.fd in self.queued:
                self.ask(connection)
            elif not connection.sock.recv_into(self.scratch, 0, socket.MSG_DONTWAIT):  # lingering
                self.close(connection)
        except BlockingIOError:
            pass
        except (OSError, MemoryError) as error:
            self.close(connection, str(error))

    def read(self, connection: Connection) -> None:
        """CONV-FIRST. Never beyond the frame: what follows is the upload, read by a worker, or nobody's."""
        while len(connection.header) < LIMIT_FRAME_HEADER:
            piece = connection.sock.recv(LIMIT_FRAME_HEADER - len(connection.header), socket.MSG_DONTWAIT)
            if not piece:
                self.close(connection, "ended before its request")
                return
            connection.header += piece
            if len(connection.header) == LIMIT_FRAME_HEADER:
                connection.kind, connection.length = decode_header(connection.header)
                connection.left = connection.length
                if connection.length > LIMIT_FRAME_PAYLOAD:  # FRAME-CAP
                    self.close(connection, "closed: a frame over the cap")
                    return
        if connection.left:
            wanted = min(connection.left, LIMIT_CHUNK)
            if connection.kept:
                wanted = min(wanted, self.room(connection))
                if not wanted:
                    self.epoll.modify(connection.fd, 0)
                    self.paused[connection.fd] = connection
                    return
            received = connection.sock.recv_into(self.scratch, wanted, socket.MSG_DONTWAIT)
            if not received:
                self.close(connection, "ended inside its request")  # FRAME-TRUNC
                return
            connection.left -= received
            if connection.kept:
                connection.payload += memoryview(self.scratch)[:received]
                self.incomplete_bytes += received
        if not connection.left:
            self.judge(connection)

    def room(self, connection: Connection) -> int:
        """SRV-CONNS: how many bytes more the incomplete requests together allow this one to hold.

        Small requests always get through: large ones leave them a reserve. The oldest large one always gets on: the others
        leave it the room for a whole request.
        """
        free = LIMIT_INCOMPLETE_BYTES - self.incomplete_bytes
        if connection.length > SMALL_REQUEST:
            free -= RESERVE
            if free < LIMIT_CONTROL_PAYLOAD + LIMIT_CHUNK and connection is not self.oldest_large():
                free -= LIMIT_CONTROL_PAYLOAD
        return max(0, free)

    def oldest_large(self) -> Connection | None:
        for connection in self.reading.values():
            if connection.kept and connection.length > SMALL_REQUEST:
                return connection
        return None

    def resume_reading(self) -> None:
        for connection in list(self.paused.values()):
            if self.room(connection):
                del self.paused[connection.fd]
                self.epoll.modify(connection.fd, select.EPOLLIN)

    def judge(self, connection: Connection) -> None:
        """The first frame is whole."""
        payload = bytes(connection.payload)
        del self.reading[connection.fd]
        self.incomplete_bytes -= len(payload)
        connection.payload = bytearray()
        try:
            connection.request = read_request(connection.kind, connection.length, payload)
        except Refused as refused:
            self.log.line(f"conversation {connection.number}: {refused.code}")
            self.reply(connection, error_reply(refused))
            return
        if isinstance(connection.request, Ping):  # PING, PING-ALWAYS
            self.log.line(f"conversation {connection.number}: ping")
            pong = f'"agent_version":"{VERSION}","proto":{PROTOCOL_VERSION},"instance":"{self.instance}"'
            self.reply(connection, control(f'{{"ok":true,"op":"pong",{pong}}}'))
        else:
            self.queued[connection.fd] = connection
            self.epoll.modify(connection.fd, select.EPOLLRDHUP)

    def reply(self, connection: Connection, frame: bytes) -> None:
        connection.reply = memoryview(frame)
        connection.deadline = time.monotonic() + self.options.io_timeout
        self.replying[connection.fd] = connection
        self.epoll.modify(connection.fd, select.EPOLLOUT)
        self.flush(connection)

    def flush(self, connection: Connection) -> None:
        while connection.reply:
            sent = connection.sock.send(connection.reply, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            connection.reply = connection.reply[sent:]
        del self.replying[connection.fd]
        self.linger(connection)

    def linger(self, connection: Connection) -> None:
        """CONV-LINGER. The end of what the host sends is the end, whether it hung up or not."""
        connection.sock.shutdown(socket.SHUT_WR)
        connection.deadline = time.monotonic() + self.options.linger_timeout
        self.lingering[connection.fd] = connection
        self.epoll.modify(connection.fd, select.EPOLLIN)

    def expire(self) -> None:
        now = time.monotonic()
        for table, event in ((self.reading, "no request in time"), (self.replying, "stalled"), (self.lingering, "")):
            connection = first(table)
            while connection and connection.deadline <= now:
                self.close(connection, event)
                connection = first(table)

    def close(self, connection: Connection, event: str = "") -> None:
        if event:
            self.log.line(f"conversation {connection.number}: {event}")
        if self.reading.pop(connection.fd, None):
            self.incomplete_bytes -= len(connection.payload)
        for table in (self.paused, self.replying, self.queued, self.half_closed, self.working, self.lingering):
            table.pop(connection.fd, None)
        del self.connections[connection.fd]
        try:  # a child between fork and exec holds a copy, which would go on reporting events under this number
            self.epoll.unregister(connection.fd)
        except OSError:
            pass  # it comes from a worker
        connection.sock.close()
        self.accept_at = 0.0

    # -- work ---------------------------------------------------------------------------------------------------------

    def ask(self, connection: Connection) -> None:
        """SRV-SLOTS: one that waits its turn has been reported as closed or half-closed."""
        if hung_up(connection.sock):
            self.close(connection, "the host left before its turn")
        elif connection.fd not in self.half_closed:
            self.epoll.modify(connection.fd, 0)
            self.half_closed[connection.fd] = connection

    def start_work(self) -> None:
        """SRV-SLOTS: in order of arrival, as slots are free."""
        now = time.monotonic()
        if self.half_closed and now >= self.ask_at:
            self.ask_at = now + ASK
            for connection in list(self.half_closed.values()):
                self.ask(connection)
        while self.queued and len(self.working) < self.options.max_requests and now >= self.start_at:
            connection = next(iter(self.queued.values()))
            if hung_up(connection.sock):
                self.close(connection, "the host left before its turn")
                continue
            try:
                _thread.start_new_thread(self.work, (connection,))
            except (RuntimeError, MemoryError):  # no thread to be had: it waits on
                self.start_at = now + RETRY
                return
            self.epoll.unregister(connection.fd)
            del self.queued[connection.fd]
            self.half_closed.pop(connection.fd, None)
            self.working[connection.fd] = connection

    def work(self, connection: Connection) -> None:
        """A worker thread: one request, then the connection goes back to the desk."""
        signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)  # they are the main thread's
        request = connection.request
        lingers = False
        try:
            host = Host(connection.sock, self.stop_read, self.options.io_timeout)
            try:
                outcome = self.operate(host, request)
            except Refused as refused:
                outcome = refused.code
                host.send_all(error_reply(refused))
            lingers = True
        except GiveUp as reason:
            outcome = f"given up: {reason}"
        except BaseException as error:  # no memory, say: the agent outlives it (SRV-SURVIVE)
            outcome = f"given up: {type(error).__name__}"
        self.log.line(f"conversation {connection.number}: {request.op if request else ''}: {outcome}")
        self.returned.append((connection, lingers))
        try:
            os.write(self.wake_write, b"\0")
        except BlockingIOError:
            pass  # so many wake-ups are pending that one is certain

    def operate(self, host: Host, request: Request | None) -> str:
        try:
            if isinstance(request, Run):
                return run(host, request, self.birth)
            if isinstance(request, PutFile):
                return put_file(host, request)
            assert isinstance(request, GetFile)
            return get_file(host, request)
        except (MemoryError, RuntimeError) as error:
            if host.answered:
                raise  # it is too late for an error
            raise Refused("internal", f"the agent failed: {type(error).__name__}") from None

    def take_back(self) -> None:
        while self.returned:
            connection, lingers = self.returned.pop(0)
            del self.working[connection.fd]
            try:
                if not lingers:
                    self.close(connection)
                    continue
                self.epoll.register(connection.fd, 0)
                self.linger(connection)
            except OSError:
                self.close(connection)

    def reap_orphans(self) -> None:
        """SRV-INIT. The kernel gives orphans to the main thread, while a run's shell is its own worker's child: without the
        other threads' children (__WNOTHREAD) no run's status can be taken."""
        while self.children_ended:
            try:
                self.children_ended = os.waitpid(-1, os.WNOHANG | WNOTHREAD)[0] != 0
            except ChildProcessError:
                self.children_ended = False

    def stop(self) -> None:
        """SRV-STOP: the workers end by themselves, each cleaning up its own."""
        if self.listener:
            self.listener.close()
        os.close(self.stop_write)
        deadline = time.monotonic() + 0.75 * SECONDS_STOP
        while self.working and time.monotonic() < deadline:
            self.epoll.poll(deadline - time.monotonic())
            self.drain_wakeups()
            self.take_back()


def first(table: dict[int, Connection]) -> Connection | None:
    return next(iter(table.values()), None)


# ---------------------------------------------------------------------------------------------------------------------
# 5 The server: listening, readiness


class Fatal(Exception):
    """The agent cannot start: one line, and the exit status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class UnixPlace:
    """A listening Unix socket's place in the file system."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.inode: tuple[int, int] | None = None

    def listen(self) -> socket.socket:
        """SRV-LISTEN: a stale socket is replaced; a live one, or what is no socket, is left alone."""
        try:
            if not stat.S_ISSOCK(os.lstat(self.path).st_mode):
                raise Fatal(1, f"cannot listen: {self.name()} is in the way and no socket")
            self.remove_stale()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Fatal(1, f"cannot listen: {self.name()}: {error.strerror or error}") from None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o177)
        try:
            sock.bind(self.path)
            status = os.lstat(self.path)
            self.inode = (status.st_dev, status.st_ino)
            sock.listen(LIMIT_CONNECTIONS)
        except OSError as error:
            raise Fatal(1, f"cannot listen: {self.name()}: {error.strerror or error}") from None
        finally:
            os.umask(umask)
        return sock

    def remove_stale(self) -> None:
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        probe.setblocking(False)
        try:
            probe.connect(self.path)
        except ConnectionRefusedError:
            os.unlink(self.path)
            return
        except BlockingIOError:
            pass  # its queue is full: it lives
        finally:
            probe.close()
        raise Fatal(1, f"cannot listen: another process serves {self.name()}")

    def remove(self) -> None:
        """SRV-STOP: only if it is still what listen() made."""
        try:
            status = os.lstat(self.path)
            if self.inode == (status.st_dev, status.st_ino):
                os.unlink(self.path)
        except OSError:
            pass

    def name(self) -> str:
        return self.path.decode("utf-8", "replace")


def listen_vsock(cid: int, port: int) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        sock.bind((cid, port))
        sock.listen(LIMIT_CONNECTIONS)
    except OSError as error:
        raise Fatal(1, f"cannot listen: vsock port {port}: {error.strerror or error}") from None
    return sock


def inherited_socket(fd: int) -> tuple[socket.socket, object]:
    """SRV-LISTEN, `fd:N`: the socket, and its peer's address if it is connected, None if it listens."""
    wanted = f"--listen fd:{fd}: a listening or connected stream socket of AF_UNIX or AF_VSOCK is accepted"
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise Fatal(2, f"{wanted}, this is none: {error.strerror}") from None
    if sock.family not in (socket.AF_UNIX, socket.AF_VSOCK) or sock.type != socket.SOCK_STREAM:
        raise Fatal(2, f"{wanted}, this is another kind of socket")
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return sock, None
    try:
        return sock, sock.getpeername()
    except OSError:
        raise Fatal(2, f"{wanted}, this one does neither") from None


def tell_ready(options: Options, birth: Birth, log: Log) -> None:
    """SRV-READY."""
    if options.ready_fd is not None:
        try:
            writable = select.poll()
            writable.register(options.ready_fd, select.POLLOUT)
            if not writable.poll(0):
                raise BlockingIOError(errno.EAGAIN, "it is full")
            os.write(options.ready_fd, b"READY=1\n")
        except OSError as error:
            log.line(f"--ready-fd: {error.strerror}")
        if options.ready_fd > 2:
            os.close(options.ready_fd)
    address = birth.environment.get(b"NOTIFY_SOCKET")
    if address:
        try:
            _thread.start_new_thread(notify, (address, log))  # a vsock connect may take its time
        except RuntimeError as error:
            log.line(f"NOTIFY_SOCKET: {error}")


def notify(address: bytes, log: Log) -> None:
    """systemd's notification protocol (sd_notify(3))."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)
    try:
        scheme, _, rest = address.partition(b":")
        if address[:1] in (b"/", b"@"):
            name = b"\0" + address[1:] if address[:1] == b"@" else address
            send_ready(socket.AF_UNIX, socket.SOCK_DGRAM, name)
        elif scheme == b"vsock-stream":
            send_ready(socket.AF_VSOCK, socket.SOCK_STREAM, vsock_address(rest))
        elif scheme == b"vsock-seqpacket":
            send_ready(socket.AF_VSOCK, socket.SOCK_SEQPACKET, vsock_address(rest))
        elif scheme == b"vsock":
            try:
                send_ready(socket.AF_VSOCK, socket.SOCK_SEQPACKET, vsock_address(rest))
            except OSError:
                send_ready(socket.AF_VSOCK, socket.SOCK_STREAM, vsock_address(rest))
        else:
            raise ValueError("an address of an unknown kind")
    except (OSError, ValueError, OverflowError) as error:
        log.line(f"NOTIFY_SOCKET: {error}")


def vsock_address(text: bytes) -> tuple[int, int]:
    cid, _, port = text.partition(b":")
    return int(cid), int(port)


def send_ready(family: int, kind: int, address: bytes | tuple[int, int]) -> None:
    sock = socket.socket(family, kind)
    try:
        sock.settimeout(5.0)
        sock.connect(address)
        sock.send(b"READY=1", socket.MSG_NOSIGNAL)
    finally:
        sock.close()


# ---------------------------------------------------------------------------------------------------------------------
# The command line (SRV-LISTEN)

USAGE = f"""\
smolvm-guest-agent {VERSION}: serves the guest control protocol, version {PROTOCOL_VERSION}

  --listen WHERE          vsock:[CID:]PORT, vsock://PORT, unix:PATH or fd:N (default: vsock:{PROTOCOL_VSOCK_PORT})
  --port N                vsock port; so does SMOLVM_AGENT_PORT in the environment; --listen beats both
  --request-timeout S     a request must be complete within S seconds (default: {SECONDS_REQUEST_TIMEOUT})
  --io-timeout S          a transfer that stands still for S seconds is given up (default: {SECONDS_IO_TIMEOUT})
  --linger-timeout S      wait S seconds at most for a host to close (default: {SECONDS_LINGER_TIMEOUT})
  --max-requests N        serve so many requests at once, 1 to 1024 (default: {LIMIT_WORK_SLOTS})
  --allow-cid N|any       serve this vsock peer instead of the host (CID {PROTOCOL_HOST_CID}) only; may be repeated
  --ready-fd N            write READY=1 to this descriptor once connections are accepted
  --quiet                 no log but fatal errors
  --version, --help
"""

PORT_MOST = 4_294_967_294  # the next one is VMADDR_PORT_ANY
CID_ANY = 4_294_967_295
SECONDS_MOST = 1_000_000
REQUESTS_MOST = 1_024
REPEATABLE = ("--allow-cid",)


class Options:
    """The command line, judged: whatever an option says is checked before anything is bound."""

    def __init__(self) -> None:
        self.listen = ""
        self.port: int | None = None
        self.request_timeout: float = SECONDS_REQUEST_TIMEOUT
        self.io_timeout: float = SECONDS_IO_TIMEOUT
        self.linger_timeout: float = SECONDS_LINGER_TIMEOUT
        self.max_requests = LIMIT_WORK_SLOTS
        self.cids = {PROTOCOL_HOST_CID}
        self.any_cid = False
        self.ready_fd: int | None = None
        self.quiet = False
        self.unix: bytes | None = None
        self.fd: int | None = None
        self.vsock = (CID_ANY, PROTOCOL_VSOCK_PORT)

    def set(self, name: str, value: str) -> None:
        if name == "--listen":
            self.place(value)
        elif name == "--port":
            self.port = whole(name, value, 1, PORT_MOST)
        elif name == "--request-timeout":
            self.request_timeout = seconds(name, value)
        elif name == "--io-timeout":
            self.io_timeout = seconds(name, value)
        elif name == "--linger-timeout":
            self.linger_timeout = seconds(name, value)
        elif name == "--max-requests":
            self.max_requests = whole(name, value, 1, REQUESTS_MOST)
        elif name == "--allow-cid":
            self.any_cid = self.any_cid or value == "any"
            if value != "any":
                self.cids.add(whole(name, value, 0, CID_ANY, " or any"))
        elif name == "--ready-fd":
            self.ready_fd = whole(name, value, 0, 2**31 - 1)
            try:
                fcntl.fcntl(self.ready_fd, fcntl.F_GETFD)
            except OSError:
                raise Fatal(2, f"{name} {value}: an open descriptor is accepted, this is none") from None

    def place(self, value: str) -> None:
        """Judge a --listen."""
        self.listen = value
        scheme, _, rest = value.partition(":")
        if scheme == "unix" and rest:
            self.unix = os.fsencode(rest)
        elif scheme == "fd":
            self.fd = whole("--listen fd:N", rest, 0, 2**31 - 1)
        elif scheme == "vsock":
            cid, colon, port = rest.rpartition(":")
            if rest.startswith("//"):
                cid, colon, port = "", "", rest[2:]
            self.vsock = (
                whole("--listen vsock:CID:PORT", cid, 0, CID_ANY) if colon else CID_ANY,
                whole("--listen vsock:PORT", port, 1, PORT_MOST),
            )
        else:
            raise Fatal(2, f"--listen {value}: vsock:[CID:]PORT, vsock://PORT, unix:PATH or fd:N is accepted")

    def choose_port(self, environment: dict[bytes, bytes]) -> None:
        """--listen beats --port beats SMOLVM_AGENT_PORT, which is judged only when it decides."""
        variable = environment.get(b"SMOLVM_AGENT_PORT", b"").decode("utf-8", "replace")
        if self.listen:
            return
        if self.port is None and variable:
            self.port = whole("SMOLVM_AGENT_PORT", variable, 1, PORT_MOST)
        if self.port is not None:
            self.vsock = (CID_ANY, self.port)


VALUED = (
    "--listen", "--port", "--request-timeout", "--io-timeout", "--linger-timeout", "--max-requests", "--allow-cid",
    "--ready-fd",
)  # fmt: skip
FLAGS = ("--quiet", "--version", "--help")


def whole(name: str, value: str, least: int, most: int, more: str = "") -> int:
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else -1
    if not least <= number <= most:
        raise Fatal(2, f"{name} {value}: an integer from {least} to {most}{more} is accepted")
    return number


def seconds(name: str, value: str) -> float:
    before, point, after = value.partition(".")
    good = value.isascii() and before.isdigit() and (after.isdigit() if point else True)
    number = float(value) if good else 0.0
    if not 0 < number <= SECONDS_MOST:
        raise Fatal(2, f"{name} {value}: seconds over 0 and up to {SECONDS_MOST} are accepted, such as 5 or 0.3")
    return number


def parse_command_line(arguments: list[str], environment: dict[bytes, bytes]) -> Options:
    """Raises Fatal; ends the process for --version and --help."""
    options = Options()
    seen = set()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in VALUED and (name not in FLAGS or equals):
            raise Fatal(2, f"{argument}: not an option; accepted are {' '.join(VALUED + FLAGS)}")
        if name in seen and name not in REPEATABLE:
            raise Fatal(2, f"{name}: accepted only once")
        seen.add(name)
        if name in VALUED:
            if not equals:
                value = next(rest, "")
            if not value:
                raise Fatal(2, f"{name}: a value is missing, {name} VALUE is accepted")
            options.set(name, value)
        elif name == "--quiet":
            options.quiet = True
        else:
            say(USAGE if name == "--help" else f"smolvm-guest-agent {VERSION}\n")
            os._exit(0)
    options.choose_port(environment)
    return options


def say(text: str) -> None:
    try:
        os.write(1, text.encode())
    except OSError:
        pass


def main() -> NoReturn:
    open_standard_descriptors()
    sys.stderr = None  # what Python itself would say there could stall: the log alone writes
    close_inherited_on_exec()
    birth = Birth()
    log = Log()
    try:
        options = parse_command_line(sys.argv[1:], birth.environment)
        log.quiet = options.quiet
        serve(options, birth, log)
    except Fatal as fatal:
        log.fatal(fatal.text)
        os._exit(fatal.status)
    except Exception as error:  # no descriptor for the desk itself, say
        log.fatal(f"cannot serve: {type(error).__name__}: {error}")
        os._exit(1)
    os._exit(0)  # without Python's farewell, which would wait for a worker in a blocking call


def serve(options: Options, birth: Birth, log: Log) -> None:
    inherited = inherited_socket(options.fd) if options.fd is not None else None
    birth.prepare_process()
    log.reopen()
    desk = Desk(options, birth, log)  # from here on signals are as the agent needs them
    place = UnixPlace(options.unix) if options.unix else None
    if place:
        desk.attach(place.listen())
    elif inherited is None:
        desk.attach(listen_vsock(*options.vsock))
    elif inherited[1] is None:
        desk.attach(inherited[0])
    else:
        desk.admit(*inherited)
    try:
        log.line("serving")
        tell_ready(options, birth, log)
        desk.serve()
        log.line("stopping")
        desk.stop()
    finally:
        if place:
            place.remove()


if __name__ == "__main__":
    main()
