"""Section 4: a command's output on its way, and what happens when the host does not read it (RUN-STREAM, RUN-BACKPRESSURE)."""

from __future__ import annotations

import random
import time

import pytest

from guestwire import protocol
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite.run_support import LINE, PROMPT, SLACK, begin, blocked, counted, counted_lines, gate, numbered

CHUNK = 65_536  # bytes of a frame at most, and of a pipe
RUN_MEMORY = 1 << 20  # bytes, RUN-BACKPRESSURE
SOCKET_ROOM = 512 << 10  # bytes that the two sockets between agent and host may hold, generously


# ---- RUN-STREAM


@case("RUN-STREAM/prompt", needs="witness")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_sent_as_it_comes(host: Host, stream: str) -> None:
    """A byte arrives while the command still waits: for no line, no full buffer and no end."""
    go = f"{host.scratch}/go"
    kind, redirection = (protocol.FRAME_STDOUT, "") if stream == "stdout" else (protocol.FRAME_STDERR, "exec >&2; ")
    conversation = begin(host, f"{redirection}printf 1; {gate(go)}; printf 2; sleep 0.05; exit 3")
    expect_equal(conversation.recv_frame(PROMPT + SLACK, "the first byte"), (kind, b"1"), "frame")
    conversation.silence(0.05)
    host.witness.write(go, b"")
    expect_equal(conversation.recv_frame(PROMPT + SLACK, "the second byte"), (kind, b"2"), "frame")
    expect_equal(exit_code(conversation.answer()), 3, "exit code")


@case("RUN-STREAM/exact", needs="witness")
def test_bytes_are_exact(host: Host) -> None:
    """Every byte, what looks like frames too, and nothing of a multibyte character or a line mended."""
    noise = random.Random(4).randbytes(200_000)
    out = bytes(range(256)) * 3 + b"\r\n\n\r\xff\xfe\xc3\x28\0\0" + b"\x01\0\0\0\x02{}" + noise
    err = b"\x05\0\0\0\0" + noise[::-1] + b"\xe2\x82"
    host.witness.write(f"{host.scratch}/out", out)
    host.witness.write(f"{host.scratch}/err", err)
    answer = host.run(f"cd '{host.scratch}'; cat out & cat err >&2; wait")
    expect_equal(exit_code(answer), 0, "exit code")
    expect(answer.stdout == out, f"{len(out)} bytes of STDOUT, exactly", f"{len(answer.stdout)} bytes, not the same")
    expect(answer.stderr == err, f"{len(err)} bytes of STDERR, exactly", f"{len(answer.stderr)} bytes, not the same")


@case("RUN-STREAM/exact", variant="sizes")
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_sizes_around_a_chunk(host: Host, size: int) -> None:
    """Frames of 1 to 65,536 bytes whatever the amount (FRAME-CHUNK is checked with every frame)."""
    answer = host.run(f"head -c {size} /dev/zero | tr '\\0' x; exit 6")
    expect_equal((len(answer.stdout), answer.stdout.count(b"x")), (size, size), "bytes of STDOUT")
    expect_equal(exit_code(answer), 6, "exit code")


@case("RUN-STREAM/order", deadline=60)
def test_order_within_each_stream(host: Host) -> None:
    count = 2000
    loop = f"i=0; while [ $i -lt {count} ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    answer = host.run(loop)
    expect_equal(exit_code(answer), 0, "exit code")
    for name, got in (("out", answer.stdout), ("err", answer.stderr)):
        lines = got.decode().splitlines()
        wrong = next((i for i in range(count) if i >= len(lines) or lines[i] != f"{name} {i}"), None)
        expect(
            wrong is None and len(lines) == count,
            f"{count} lines of {name} in order",
            f"{len(lines)}, wrong at {wrong}",
        )


@case("RUN-STREAM/split")
def test_each_stream_in_its_own_frames(host: Host) -> None:
    answer = host.run("printf out; printf err >&2; printf out; printf err >&2")
    expect_equal((answer.stdout, answer.stderr), (b"outout", b"errerr"), "STDOUT and STDERR")
    expect_equal(exit_code(answer), 0, "exit code")


@case("RUN-STREAM/split", variant="one-only")
@pytest.mark.parametrize("stream", ["stdout", "stderr", "neither"])
def test_one_stream_only(host: Host, stream: str) -> None:
    answer = host.run({"stdout": "echo x", "stderr": "echo x >&2", "neither": ":"}[stream])
    expected = (b"x\n" if stream == "stdout" else b"", b"x\n" if stream == "stderr" else b"")
    expect_equal((answer.stdout, answer.stderr), expected, "STDOUT and STDERR")


# ---- RUN-BACKPRESSURE


@case("RUN-BACKPRESSURE/stops", needs="start witness destructive")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_host_that_does_not_read_stops_the_command(host: Host, stream: str) -> None:
    """The command stops, however long (CONV-STALL's clock stands still while it lives), and goes on when the host reads."""
    counter, lines = f"{host.scratch}/counter", 800 + host.in_transit // LINE
    agent = host.start("--io-timeout", "0.2")
    redirection = "" if stream == "stdout" else "exec >&2; "
    conversation = begin(agent, f"{redirection}{counted_lines(lines, counter)}; exit 5")
    written = blocked(host, counter)
    limit = (RUN_MEMORY + SOCKET_ROOM + CHUNK + host.in_transit) // LINE
    expect(written <= limit, f"at most {limit} of {lines} lines written", written)
    expect_equal(exit_code(agent.run("exit 4")), 4, "exit code of another run meanwhile")
    expect_equal(counted(host, counter), written, "lines written, a while later")
    answer = conversation.answer()
    got = answer.stdout if stream == "stdout" else answer.stderr
    expect(got == numbered(lines), f"{lines} lines in order", f"{len(got)} bytes, not the same")
    expect_equal(exit_code(answer), 5, "exit code")


@case("RUN-BACKPRESSURE/stops", variant="slow-host", needs="witness destructive")
def test_a_slow_host_slows_the_command(host: Host) -> None:
    """Read a little and stop again: the command writes about as much more, and stops again."""
    counter, lines = f"{host.scratch}/counter", 800 + 2 * host.in_transit // LINE
    conversation = begin(host, counted_lines(lines, counter))
    first = blocked(host, counter)
    got = b""
    while len(got) < (256 << 10) + host.in_transit // 2:
        kind, payload = conversation.recv_frame(5)
        expect_equal(kind, protocol.FRAME_STDOUT, "frame type")
        got += payload
    second = blocked(host, counter)
    ahead = second * LINE - len(got)
    limit = RUN_MEMORY + SOCKET_ROOM + CHUNK + host.in_transit
    expect(
        first < second < lines and ahead <= limit,
        f"at most {limit} bytes ahead of the host",
        f"{first}, {second} lines, {ahead} ahead",
    )
    rest = conversation.answer()
    expect(
        got + rest.stdout == numbered(lines),
        f"{lines} lines in order",
        f"{len(got) + len(rest.stdout)} bytes, not the same",
    )
    expect_equal(exit_code(rest), 0, "exit code")


@case("RUN-BACKPRESSURE/memory", needs="server start witness destructive")
def test_memory_of_runs_that_nobody_reads(host: Host) -> None:
    """`under 1 MiB for each run`: eight floods on both streams, and what the agent holds more than with eight silent runs."""
    agent, runs = host.start(), 8
    agent.run("true")
    before = host.witness.stats(agent.pid)
    floods = [begin(agent, "yes >&2 & exec yes") for _ in range(runs)]
    for flood in floods:
        flood.recv_frame(5)
    end = time.monotonic() + 0.4
    peak = 0
    while time.monotonic() < end:
        peak = max(peak, host.witness.stats(agent.pid).pss)
        time.sleep(0.05)
    grown = peak - before.pss
    expect(grown < runs * RUN_MEMORY, f"less than {runs} MiB more for {runs} runs", f"{grown / RUN_MEMORY:.1f} MiB")
    for flood in floods:
        flood.close()
    wait_for(lambda: not host.witness.children(agent.pid), 3, "no child left")
