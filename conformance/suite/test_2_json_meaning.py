"""Section 2: what names and integers mean, what is ignored, and what the agent itself sends."""

from __future__ import annotations

import json
import re

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Answer, frame
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal
from guestwire.suite.files import raw_request

MOST = 9_007_199_254_740_991
NO_INTEGERS = ("1.0", "1e0", "1E0", "10e-1", "true", '"1"', "[1]")
BEYOND = ("9007199254740992", "-9007199254740992", "9007199254740993", "9223372036854775807", "18446744073709551617",
          "-18446744073709551615", "1" + "0" * 400, "-1" + "0" * 400)  # fmt: skip


def send(host: Host, raw: bytes, chunking: str = "whole") -> Answer:
    """One conversation of raw bytes."""
    conversation = host.connect()
    conversation.send_chunked(raw, chunking)
    return conversation.answer()


# ---- JSON-CASE


@case("JSON-CASE", variant="required", wide=True, deadline=60, twin="JSON-CASE:both")
def test_required_name_in_another_case(host: Host, chunking: str) -> None:
    """`OP` and `CMD` are unknown members, so that the ones that are needed are missing. What they ask for is not done."""
    mark = f"{host.scratch}/started"
    host.error(
        send(host, raw_request("run", CMD=f'"touch {mark}"', shell='"raw"'), chunking), "invalid_argument", "cmd"
    )
    for name in ("OP", "Op", "oP", "op ", " op", "op\\u200b", "\\uff4f\\uff50"):
        with about(f"member {name}"):
            raw = frame(protocol.FRAME_JSON, f'{{"{name}":"run","cmd":"touch {mark}","shell":"raw"}}'.encode())
            host.error(send(host, raw, chunking), "unknown_op", "unknown op")
    for name in ("PATH", "Path", "path\\u0001"):
        with about(f"member {name}"):
            raw = raw_request("get_file", x="0")[5:-1] + f',"{name}":"/etc/passwd"}}'.encode()
            host.error(send(host, frame(protocol.FRAME_JSON, raw), chunking), "invalid_argument", "path")
    expect(host.witness.info(mark) is None, "no command run", "it ran")


# ---- JSON-INT


@case("JSON-INT/spelling", needs="witness", wide=True, deadline=60, twin="JSON-INT/sent")
def test_no_integers(host: Host, chunking: str) -> None:
    """In each place where an integer is called for. Their twin, 1, is accepted in all of them."""
    path = f"{host.scratch}/file"
    for spelling in NO_INTEGERS:
        with about(spelling):
            answer = send(host, frame(protocol.FRAME_JSON, f'{{"v":{spelling},"op":"ping"}}'.encode()), chunking)
            host.error(answer, "unsupported_version", "version")
            size = raw_request("put_file", path=json.dumps(path), size=spelling)
            host.error(send(host, size, chunking), "invalid_argument", "size")
            mode = raw_request("put_file", path=json.dumps(path), mode=spelling)
            host.error(send(host, mode, chunking), "invalid_argument", "mode")
            if not spelling.startswith('"'):
                env = raw_request("run", cmd='"true"', env=f'{{"A":{spelling}}}')
                host.error(send(host, env, chunking), "invalid_argument", "env")
    expect_equal(host.witness.names(host.scratch), [], "files made")


@case("JSON-INT/spelling", variant="integers", needs="witness", wide=True, deadline=60, twin="JSON-INT/sent")
def test_integers(host: Host, chunking: str) -> None:
    """1 and -0 in the same places; -0 is 0."""
    path = f"{host.scratch}/file"
    answer = send(host, frame(protocol.FRAME_JSON, b'{"v":1,"op":"ping"}'), chunking)
    expect_equal(answer.terminal.get("op"), "pong", "op of the answer to v = 1")
    answer = send(host, frame(protocol.FRAME_JSON, b'{"v":-0,"op":"ping"}'), chunking)
    host.error(answer, "unsupported_version", "version")
    for size in ("1", "-0"):
        upload = raw_request("put_file", path=json.dumps(path), size=size, mode=size)
        content = b"x" if size == "1" else b""
        answer = send(host, upload + (frame(protocol.FRAME_DATA, content) if content else b""), chunking)
        expect_equal(answer.terminal.get("ok"), True, f"ok of an upload with size and mode {size}")
        info = host.witness.info(path)
        expect_equal((info.size, info.mode), (len(content), len(content)), f"size and mode for {size}")
    env = raw_request("run", cmd='"printf $A,$B,$C"', shell='"raw"', env='{"A":1,"B":-0,"C":-17}')
    expect_equal(send(host, env, chunking).stdout, b"1,0,-17", "integers in env")


@case("JSON-INT/range", needs="witness", deadline=60, twin="JSON-INT/sent")
def test_integers_beyond(host: Host) -> None:
    """Those that read as something else once cut to 53, 64 or 32 bits among them."""
    path = json.dumps(f"{host.scratch}/file")
    for spelling in BEYOND:
        with about(spelling[:40]):
            host.error(send(host, raw_request("put_file", path=path, size=spelling)), "invalid_argument", "size")
            host.error(send(host, raw_request("put_file", path=path, mode=spelling)), "invalid_argument", "mode")
            env = raw_request("run", cmd='"true"', env=f'{{"A":{spelling}}}')
            host.error(send(host, env), "invalid_argument", "env")
    for spelling in ("4294967297", "18446744073709551617", "-1", "0", "2"):
        with about(f"v = {spelling}"):
            raw = frame(protocol.FRAME_JSON, f'{{"v":{spelling},"op":"ping"}}'.encode())
            host.error(send(host, raw), "unsupported_version", "version")
    expect_equal(host.witness.names(host.scratch), [], "files made")


@case("JSON-INT/range", variant="ends", needs="witness", twin="JSON-INT/sent")
def test_integers_at_the_ends(host: Host) -> None:
    """2^53 - 1 is an integer, and an upload of that size is waited for."""
    env = raw_request("run", cmd='"printf $A,$B"', shell='"raw"', env=f'{{"A":{MOST},"B":-{MOST}}}')
    expect_equal(send(host, env).stdout.decode(), f"{MOST},-{MOST}", "the largest integers in env")
    raw = raw_request("put_file", path=json.dumps(f"{host.scratch}/file"), size=str(MOST))
    answer = send(host, raw + frame(protocol.FRAME_DATA, b"begun") + frame(protocol.FRAME_EOF, b""))
    host.error(answer, "size_mismatch")


def integer(answer: Answer, name: str) -> str:
    """How the first control frame of an answer spells a member."""
    payload = next(payload for kind, payload in answer.frames if kind == protocol.FRAME_JSON).decode()
    found = re.search(rf'"{name}"\s*:\s*([^\s,}}]+)', payload)
    expect(found, f"a member {name}", payload)
    assert found is not None
    return found[1]


@case("JSON-INT/sent", needs="witness")
def test_integers_sent(host: Host) -> None:
    path = f"{host.scratch}/file"
    for mode in (0o644, 0o7777, 0):
        host.witness.write(path, b"1234567890", mode)
        answer = host.ask({"op": "get_file", "path": path})
        expect_equal((integer(answer, "mode"), integer(answer, "size")), (str(mode), "10"), "mode and size")
    for command, code in (("exit 0", "0"), ("exit 1", "1"), ("exit 255", "255"), ("kill -9 $$", "-9")):
        expect_equal(integer(host.run(command), "exit_code"), code, f"exit code of {command!r}")
    expect_equal(integer(host.ask({"op": "ping"}), "proto"), "1", "proto")


@case("JSON-INT/sent", variant="large", needs="witness root")
@pytest.mark.parametrize("size", [2**31, 2**32 + 1, 123_456_789_012_345, 2**52, 2**52 + 1, MOST - 1, MOST])
def test_large_size_sent(host: Host, size: int) -> None:
    """Exactly, also where a double is printed with an exponent or rounded. A tmpfs holds sparse files of that size."""
    folder = f"{host.scratch}/tmpfs"
    host.witness.mkdir(folder)
    host.witness.mount_tmpfs(folder, 1 << 20)
    host.witness.truncate(f"{folder}/file", size)
    conversation = host.connect()
    conversation.send_json({"op": "get_file", "path": f"{folder}/file"})
    kind, payload = conversation.recv_frame(what="the header of the response")
    conversation.close()
    expect_equal(integer(Answer([(kind, payload)]), "size"), str(size), "size")
    wait_for(lambda: not host.row.settled(), 5, "the file closed by the agent")


# ---- JSON-UNKNOWN


@case("JSON-UNKNOWN", variant="files", needs="witness")
def test_unknown_members_of_files(host: Host, chunking: str) -> None:
    path = f"{host.scratch}/file"
    unknown = {"cmd": "7", "shell": '"fish"', "timeout": "-1", "env": "[]", "offset": "3", "mtime": "{}", "uid": "99"}
    put = raw_request("put_file", path=json.dumps(path), size="3", **unknown) + frame(protocol.FRAME_DATA, b"abc")
    expect_equal(send(host, put, chunking).terminal.get("ok"), True, "ok of the answer to put_file")
    expect_equal(host.witness.read(path), b"abc", "the file")
    get = raw_request("get_file", path=json.dumps(path), size='"big"', mode="[]", name="{}", **unknown)
    expect_equal(send(host, get, chunking).data, b"abc", "DATA of get_file")


# ---- JSON-OUT


AWKWARD = {
    "quotes": '"\\","code":"x","y":"\\u0000%s%n</script>',
    "controls": "\x01\x1f\x7f\n\r\t\b\f",
    "unicode": "\u2028\u2029\ufeff\ue000\uffff😀",
    "long-controls": "\x01" * 1_100,
    "long-quotes": '"' * 600,
    "long-unicode": "😀" * 300,
}


@case("JSON-OUT/shape", twin="CONV-ONE/single:run")
@pytest.mark.parametrize("text", AWKWARD)
def test_answers_to_awkward_texts(host: Host, text: str) -> None:
    """conversation.answer() holds every control frame against the profile; here the agent is given much to quote."""
    given = AWKWARD[text]
    long = "/".join(given[start : start + 50] for start in range(0, len(given), 50))
    host.error(host.ask({"op": given}), "unknown_op", "unknown op")
    host.error(host.ask({"op": "run", "cmd": "true", "shell": given}), "invalid_argument")
    host.error(host.ask({"op": "run", "cmd": "true", "env": {given + "=": "a"}}), "invalid_argument")
    host.error(host.ask({"op": "get_file", "path": f"/nowhere/{long}"}), "not_found")
    host.error(host.put(f"/nowhere/{long}/file", b"content"), "not_found")


@case("JSON-OUT/shape", variant="success", needs="witness")
def test_answers_of_success(host: Host) -> None:
    path = f'{host.scratch}/a "quoted" \\ name\n'
    expect_equal(host.put(path, b"content").terminal.get("ok"), True, "ok of the answer to put_file")
    expect_equal(host.get(path)[1], b"content", "the file")
    expect_equal(exit_code(host.run("exit 3")), 3, "exit code")
    expect_equal(host.run("sleep 5", timeout=0.05).terminal.get("op"), "timeout", "op of the answer")


@case("JSON-OUT/bytes", needs="start", twin="RUN-SHELL/own:set")
def test_shell_that_is_no_utf8(host: Host) -> None:
    agent = host.start(env={"SHELL": b'/nonexistent/\xff\xfe\xc3"\\\x01\xf0\x9f'})
    answer = agent.ask({"op": "run", "cmd": "true"})
    agent.error(answer, "spawn_failed")
    agent.ping()


@case("JSON-OUT/bytes", variant="long", needs="start", twin="RUN-SHELL/own:set")
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_long_shell_that_is_no_utf8(host: Host, shift: int) -> None:
    """Where the text is cut, at 1,024 bytes, bytes that are no UTF-8 have grown to three each."""
    agent = host.start(env={"SHELL": b"/" + b"x" * shift + (b"\xff" * 60 + "€".encode() + b"/") * 16})
    agent.error(agent.ask({"op": "run", "cmd": "true"}), "spawn_failed")


@case("JSON-OUT/bytes", variant="directory", needs="start witness", twin="RUN-SHELL/own:set")
def test_directory_that_is_no_utf8(host: Host) -> None:
    """Relative paths count from a working directory whose name is no UTF-8."""
    folder = f"{host.scratch}/".encode() + b'\xff\xfe"\\\xed\xa0\x80'
    host.witness.mkdir(folder)
    agent = host.start(cwd=folder)
    agent.error(agent.ask({"op": "get_file", "path": "missing"}), "not_found")
    agent.error(agent.ask({"op": "get_file", "path": "."}), "not_regular_file")
    agent.error(agent.put("missing/file", b"content"), "not_found")
    agent.error(agent.put(".", b"content"), "is_directory", "directory")
    expect_equal(agent.put("file", b"content").terminal.get("ok"), True, "ok of the answer to put_file")
    expect_equal(host.witness.read(folder + b"/file"), b"content", "the file")
