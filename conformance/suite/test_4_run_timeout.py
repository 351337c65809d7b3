"""Section 4: the deadline of a run (RUN-TIMEOUT, RUN-TIMEOUT-ALWAYS). Which values `timeout` takes: test_4_run_fields.py."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Answer, Conversation
from guestwire.drive.host import Host, exit_code
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite.run_support import (
    FAMILY,
    KILL_TIME,
    REPLY_TIME,
    ROUNDING,
    SLACK,
    begin,
    counted,
    counted_lines,
    expect_dead,
    expect_timeout,
    numbered,
    pid_in,
    put_away,
    raw_run,
    read_pids,
)

T = 0.2  # seconds, the timeout of most cases; times the host's pace where a command has to print something within it
ANSWERED = KILL_TIME + REPLY_TIME + SLACK  # seconds from the deadline to the end of the response at most
HELD = 1 << 20  # bytes that sockets, frames in hand and pipes may hold at the kill, generously

NUMBERS = (
    "0.2",
    "0.20",
    "2e-1",
    "20E-2",
    "0.1",
    "0.123456789012345678901234567890",
    "1e-3",
    "5e-324",
    "0." + "3" * 400,
)
ROUNDED = (
    "0.25000000000000002775557561562891351059079170227050781250",  # halfway between two doubles: the even one
    "0.25000000000000002775557561562891351059079170227050781251",  # just above
    "0.2" + "0" * 2000 + "1",
    "0.1999999999999999999999999999999999999999999999",
)
ZEROS = ("", "null", "0", "-0", "0.0", "-0.0", "0e5", "-0E-7")
FAR = (
    "1000", "1e300", "1.7976931348623157e308", "1.7976931348623158e308",  # the last is nearest to the largest double
    "9007199254740993", "1e18", "9223372036854775807", "9223372036854775808", "18446744073709551616",  # seconds in 63, 64 bits
    "4294967296", "2147483648", "2147483.748", "4294967.396", "9223372036.954775807", "18446744073.809551616",  # ms, ns
)  # fmt: skip


def literal(host: Host, cmd: str, number: str) -> Conversation:
    """A run whose timeout is written just so; "" for none."""
    conversation = host.connect()
    conversation.send_raw(raw_run(cmd, '"shell":"raw"' + (number and f',"timeout":{number}')))
    return conversation


def expect_timeouts(host: Host, commands: Sequence[str], pids: int = 1) -> None:
    """Commands that run at the same time, print `pids` process ids first and never end: each is killed, each answer comes."""
    timeout = T * host.pace
    conversations = [begin(host, command, timeout=timeout) for command in commands]
    printed = [read_pids(conversation, pids) for conversation in conversations]
    deadline = time.monotonic() + timeout
    for found in printed:
        expect_dead(host, found, deadline, KILL_TIME)
    killed = time.monotonic()
    for conversation in conversations:
        expect_timeout(conversation.answer(killed + REPLY_TIME + SLACK - time.monotonic()), timeout)


# ---- what happens at the deadline


@case("RUN-TIMEOUT/prompt", "RUN-TIMEOUT/killed", "RUN-TIMEOUT/answer", needs="witness")
def test_killed_and_told_in_time(host: Host) -> None:
    """SIGKILL `within 1 s of the deadline`, the answer within 1 s of it, and neither before the deadline."""
    timeout = T * host.pace
    sent = time.monotonic()
    conversation = begin(host, "echo $$; exec sleep 60", timeout=timeout)
    pids = read_pids(conversation)
    started = time.monotonic()
    expect_dead(host, pids, started + timeout, KILL_TIME)
    killed = time.monotonic()
    expect(killed - sent >= timeout - ROUNDING, f"nothing killed before {timeout} s", f"{killed - sent:.3f} s")
    expect_timeout(conversation.answer(REPLY_TIME + SLACK), timeout)


@case("RUN-TIMEOUT/killed", variant="not-early")
def test_nothing_is_killed_before_the_deadline(host: Host) -> None:
    """Measured from before the request to after the answer: a loaded machine only makes it longer, so the shortest counts."""
    took = []
    for _ in range(2):
        runs = [(time.monotonic(), begin(host, "exec sleep 60", timeout=T)) for _ in range(4)]
        for sent, conversation in runs:
            expect_timeout(conversation.answer(T + ANSWERED), T)
            took.append(time.monotonic() - sent)
    expect(min(took) >= T - ROUNDING, f"no answer before {T} s", f"{min(took):.3f} s")


@case("RUN-TIMEOUT/killed", variant="group", needs="witness")
def test_the_whole_group_is_killed(host: Host) -> None:
    """Whoever of it ignores signals, and whoever does not."""
    deaf_child = "sh -c 'trap \"\" HUP INT QUIT TERM; echo $$; exec sleep 60' & echo $$; exec sleep 60"
    expect_timeouts(host, [FAMILY, f"trap '' HUP INT QUIT TERM; {FAMILY}"], pids=4)
    expect_timeouts(host, [deaf_child], pids=2)


@case("RUN-TIMEOUT/drained", "RUN-TIMEOUT/slow-host", needs="witness destructive")
@pytest.mark.parametrize("streams", ["stdout", "both"])
def test_what_the_pipes_held_is_sent(host: Host, streams: str) -> None:
    """The host reads nothing before the kill and everything after it: all that was written, frames whole, then the answer."""
    out, err = f"{host.scratch}/out", f"{host.scratch}/err"
    command = f"echo $$ >'{host.scratch}/pid'; {{ {counted_lines(800, out)}; }} &"
    if streams == "both":
        command += f" {{ {counted_lines(800, err)}; }} >&2 &"
    timeout = 0.5 * host.pace
    conversation = begin(host, f"{command} wait; exec sleep 60", timeout=timeout)
    expect_dead(host, [pid_in(host, f"{host.scratch}/pid")], time.monotonic() + timeout, KILL_TIME)
    answer = conversation.answer(REPLY_TIME + SLACK)
    expect_timeout(answer, timeout)
    for name, got, counter in (("stdout", answer.stdout, out), ("stderr", answer.stderr, err)):
        written = expect_all_written(host, name, got, counter)
        expect((written > 0) == (name == "stdout" or streams == "both"), "a command that writes", f"{written} lines")


def expect_all_written(host: Host, name: str, got: bytes, counter: str) -> int:
    """What came is what counted_lines() has written when it was killed. Return: lines."""
    written = counted(host, counter)
    complete = got in (numbered(written), numbered(written + 1))  # it may have been killed between line and count
    expect(complete, f"the {written} lines of {name} written", f"{len(got)} bytes, not the same")
    return written


@case("RUN-TIMEOUT/drained", variant="frames-in-hand", needs="witness destructive")
def test_every_frame_in_hand_is_sent(host: Host) -> None:
    """A frame of each stream may be in hand at the kill. Which of them is begun when the host's buffer is full depends on how
    much came before: so many different amounts that some runs stop in the first one."""
    runs = []
    for index in range(8):
        base, before = f"{host.scratch}/{index}", 16_384 * index
        lines = f"{{ {counted_lines(400, f'{base}-out')}; }} & {{ {counted_lines(400, f'{base}-err')}; }} >&2 &"
        command = f"echo $$ >'{base}-pid'; head -c {before} /dev/zero; {lines} wait; exec sleep 60"
        runs.append((base, before, begin(host, command, timeout=host.pace)))
    started = time.monotonic()
    expect_dead(host, [pid_in(host, f"{base}-pid") for base, _, _ in runs], started + host.pace, KILL_TIME)
    for base, before, conversation in runs:
        answer = conversation.answer(REPLY_TIME + SLACK)
        expect_timeout(answer, host.pace)
        expect_equal(answer.stdout.count(b"\0"), before, "bytes before the lines")
        for name, got in (("out", answer.stdout.lstrip(b"\0")), ("err", answer.stderr)):
            expect_all_written(host, f"std{name}", got, f"{base}-{name}")


@case("RUN-TIMEOUT/held", needs="witness")
def test_no_waiting_for_the_end_of_a_pipe(host: Host) -> None:
    """A process in a session of its own is not killed with the group and holds both streams."""
    commands = ["setsid sleep 60 & echo $!; wait", "setsid sleep 60 & echo $!; exit 3"]
    escaped: list[int] = []
    with put_away(host, escaped):
        timeout = T * host.pace
        conversations = [begin(host, command, timeout=timeout) for command in commands]
        for conversation in conversations:
            escaped += read_pids(conversation)
        for conversation in conversations:
            expect_timeout(conversation.answer(timeout + ANSWERED), timeout)


@case("RUN-TIMEOUT/held", variant="flooding", needs="witness destructive")
def test_no_waiting_for_the_end_of_a_flood(host: Host) -> None:
    """The same, and it never stops writing: only what the pipes held at the kill is sent. The host reads so slowly that the
    pipes are full whenever the agent looks."""
    timeout = max(5, 2 * host.pace) * T  # two shells have to start within it
    escaped: list[int] = []
    with put_away(host, escaped):
        conversation = begin(host, "echo $$; setsid sh -c 'echo $$; yes >&2 & exec yes' & wait", timeout=timeout)
        shell, flood = read_pids(conversation, 2)
        escaped.append(flood)
        expect_dead(host, [shell], time.monotonic() + timeout, KILL_TIME)
        received, kind = 0, 0
        held = HELD + host.in_transit
        while kind != protocol.FRAME_JSON and received <= held:
            time.sleep(0.005)
            kind, payload = conversation.recv_frame(REPLY_TIME + SLACK, "the rest of the response")
            received += len(payload)
        expect(
            kind == protocol.FRAME_JSON, f"a timeout frame after at most {held} bytes", f"output after {received} bytes"
        )
        expect_timeout(Answer([(kind, payload)]), timeout)
        expect(not conversation.answer(REPLY_TIME + SLACK).frames, "end of stream", "more frames")


# ---- the number


def expect_numbers(host: Host, numbers: Sequence[str]) -> None:
    conversations = [literal(host, "exec sleep 60", number) for number in numbers]
    for number, conversation in zip(numbers, conversations, strict=True):
        expect_timeout(conversation.answer(float(number) + ANSWERED), float(number))


@case("RUN-TIMEOUT/answer", variant="numbers")
def test_the_number_of_the_request(host: Host) -> None:
    """`N the number of the request`, however it was written."""
    expect_numbers(host, NUMBERS)


@case("RUN-TIMEOUT/answer", variant="integer", transports=("unix", "fd-conn"))
def test_an_integer(host: Host) -> None:
    expect_numbers(host, ["1"])


@case("RUN-TIMEOUT/nearest")
def test_the_nearest_double(host: Host) -> None:
    expect_numbers(host, ROUNDED)


@case("RUN-TIMEOUT/none")
def test_no_deadline(host: Host) -> None:
    """`Absent, null, 0 or -0: no deadline`."""
    conversations = [literal(host, "sleep 0.2; exit 3", zero) for zero in ZEROS]
    for zero, conversation in zip(ZEROS, conversations, strict=True):
        expect_equal(
            conversation.answer().terminal.get("exit_code"), 3, f"exit code with the timeout {zero or 'absent'}"
        )


@case("RUN-TIMEOUT/far", "RUN-TIMEOUT/nearest")
def test_a_far_deadline(host: Host) -> None:
    """No clock wraps around."""
    conversations = [literal(host, "sleep 0.3; exit 3", number) for number in FAR]
    for number, conversation in zip(FAR, conversations, strict=True):
        expect_equal(conversation.answer().terminal.get("exit_code"), 3, f"exit code with the timeout {number}")


@case("RUN-TIMEOUT/clock", needs="server start")
def test_the_clock_starts_with_the_command(host: Host) -> None:
    """Waiting for a work slot does not count."""
    agent = host.start("--max-requests", "1")
    first = begin(agent, f"echo; exec sleep {0.4 * host.pace:g}")
    first.recv_frame()
    second = begin(agent, "sleep 0.1; exit 3", timeout=0.3 * host.pace)
    expect_equal(exit_code(first.answer()), 0, "exit code of the run that goes first")
    expect_equal(exit_code(second.answer()), 3, "exit code of the one that had to wait longer than its timeout")


# ---- RUN-TIMEOUT-ALWAYS


@case("RUN-TIMEOUT-ALWAYS/silent", needs="witness")
def test_a_silent_command(host: Host) -> None:
    """One that sleeps, one that ignores what can be ignored, one that is stopped."""
    deaf = "trap '' HUP INT QUIT TERM PIPE; echo $$; while :; do sleep 60; done"
    expect_timeouts(host, ["echo $$; exec sleep 60", deaf, "echo $$; kill -STOP $$"])


@case("RUN-TIMEOUT-ALWAYS/streams-closed", needs="witness")
def test_streams_closed_early(host: Host) -> None:
    endings = [">&- 2>&-", ">/dev/null 2>&1", ">&-", "2>&-"]
    expect_timeouts(host, [f"echo $$; exec {ending} sleep 60" for ending in endings])


@case("RUN-TIMEOUT-ALWAYS/flood", needs="witness destructive")
@pytest.mark.parametrize(
    "command", ["exec yes", "exec yes >&2", "yes >&2 & exec yes"], ids=["stdout", "stderr", "both"]
)
def test_a_flood(host: Host, command: str) -> None:
    """The host reads as fast as it can."""
    timeout = T * host.pace
    conversation = begin(host, f"echo $$; {command}", timeout=timeout)
    shells = read_pids(conversation)
    deadline = time.monotonic() + timeout
    expect_timeout(conversation.answer(timeout + ANSWERED, keep=False), timeout)
    expect_dead(host, shells, deadline, KILL_TIME)


@case("RUN-TIMEOUT-ALWAYS/unread", needs="witness destructive")
def test_a_host_that_does_not_read(host: Host) -> None:
    """Killed on time all the same; the answer is there once the host reads."""
    wait = 1.5 * max(host.pace / 2, 1)  # seconds: on a busy machine, too, connections are full by then
    conversations = [begin(host, f"echo $$; {flood}", timeout=wait) for flood in ("exec yes", "yes >&2 & exec yes")]
    shells = [read_pids(conversation)[0] for conversation in conversations]
    expect_dead(host, shells, time.monotonic() + wait, KILL_TIME)
    for conversation in conversations:
        expect_timeout(conversation.answer(2 * (REPLY_TIME + SLACK), keep=False), wait)


@case("RUN-TIMEOUT-ALWAYS/held", needs="witness")
def test_a_background_process_holds_the_streams(host: Host) -> None:
    """The shell has long exited."""
    holders = ["sleep 60", "sleep 60 2>/dev/null", "sleep 60 >/dev/null"]
    expect_timeouts(host, [f"{holder} & echo $!; exit 3" for holder in holders])
