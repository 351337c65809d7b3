"""Section 4: how a run ends (RUN-EXIT) and what is left of it (RUN-REAP)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from guestwire import protocol
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite.run_support import (
    LINE,
    PROMPT,
    SLACK,
    begin,
    blocked,
    counted,
    counted_lines,
    expect_dead,
    expect_timeout,
    gate,
    numbered,
    pid_in,
    put_away,
    read_lines,
    read_pid_and_rest,
    read_pids,
)

STATUSES = (0, 1, 2, 3, 42, 64, 100, 126, 127, 128, 129, 137, 143, 200, 254, 255)
HARMLESS = (17, 18, 19, 20, 21, 22, 23, 28)  # CHLD, CONT, the stops, URG and WINCH end nothing
DEADLY = tuple(number for number in range(1, 65) if number not in HARMLESS)
FOUR_MIB = 4 << 20


def exits(host: Host, commands: Sequence[str]) -> list[int]:
    """The exit codes of commands that run at the same time."""
    conversations = [begin(host, command) for command in commands]
    return [exit_code(conversation.answer()) for conversation in conversations]


# ---- RUN-EXIT: the code


@case("RUN-EXIT/status")
def test_status(host: Host) -> None:
    expect_equal(exits(host, [f"exit {status}" for status in STATUSES]), list(STATUSES), "exit codes")


@case("RUN-EXIT/status", variant="no-such-command")
def test_status_of_a_command_that_does_not_exist(host: Host) -> None:
    """The shell ran: its word, not an error of the agent's."""
    answer = host.run("/nonexistent/command")
    expect_equal(exit_code(answer), 127, "exit code")
    expect(b"/nonexistent/command" in answer.stderr, "the shell's complaint in STDERR", answer.stderr)


@case("RUN-EXIT/status", variant="stopped", needs="witness")
def test_a_stopped_command_has_not_ended(host: Host) -> None:
    conversation = begin(host, "echo $$; kill -STOP $$; exit 12")
    (shell,) = read_pids(conversation)
    wait_for(lambda: host.witness.process(shell).state == "T", 2, "the shell stopped")
    conversation.silence(0.1)
    host.witness.signal(shell, 18)
    expect_equal(exit_code(conversation.answer(PROMPT + SLACK)), 12, "exit code")


@case("RUN-EXIT/signal", needs="server witness")
def test_every_signal(host: Host) -> None:
    """`minus the signal number`: every signal a child can die of."""
    conversations = [begin(host, "echo $$; exec sleep 60") for _ in DEADLY]
    for number, conversation in zip(DEADLY, conversations, strict=True):
        host.witness.signal(read_pids(conversation)[0], number)
    codes = [exit_code(conversation.answer()) for conversation in conversations]
    expect_equal(codes, [-number for number in DEADLY], "exit codes")


@case("RUN-EXIT/signal", variant="some")
def test_some_signals(host: Host) -> None:
    some = (1, 2, 9, 13, 15, 34, 64)
    expect_equal(exits(host, [f"kill -{number} $$" for number in some]), [-number for number in some], "exit codes")


@case("RUN-EXIT/signal", variant="of-a-child")
def test_signal_of_the_shells_child(host: Host) -> None:
    """The shell's own exit is what counts."""
    expect_equal(exit_code(host.run("sh -c 'kill -9 $$'; exit $?")), 137, "exit code")


# ---- RUN-EXIT: nothing is lost


@case("RUN-EXIT/drained")
def test_4_mib_then_exit(host: Host) -> None:
    answer = host.run(f"yes 0123456789abcde | head -c {FOUR_MIB}; exit 9")
    expect_equal(exit_code(answer), 9, "exit code")
    expect_equal(len(answer.stdout), FOUR_MIB, "bytes of STDOUT")
    expect(answer.stdout == b"0123456789abcde\n" * (FOUR_MIB // 16), "the output as it was written", "something else")


@case("RUN-EXIT/drained", variant="both-streams", deadline=60)
def test_4_mib_in_both_streams(host: Host) -> None:
    answer = host.run(f"yes out | head -c {FOUR_MIB} & yes err | head -c {FOUR_MIB} >&2; wait; exit 10")
    expect_equal(exit_code(answer), 10, "exit code")
    for name, got in ((b"out", answer.stdout), (b"err", answer.stderr)):
        expect_equal(len(got), FOUR_MIB, f"bytes of std{name.decode()}")
        expect(
            got == name + (b"\n" + name) * (FOUR_MIB // 4 - 1) + b"\n", "the output as it was written", "something else"
        )


@case("RUN-EXIT/drained", variant="killed")
def test_output_of_a_command_that_dies(host: Host) -> None:
    """What a pipe still held when its writer died."""
    answer = host.run("head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2; kill -9 $$")
    expect_equal((len(answer.stdout), len(answer.stderr)), (60_000, 60_000), "bytes of STDOUT and STDERR")
    expect_equal(exit_code(answer), -9, "exit code")


@case("RUN-EXIT/drained", variant="late-host", needs="witness")
def test_output_that_the_host_reads_late(host: Host) -> None:
    """The shell has long exited while its output still stands in every buffer on the way."""
    conversation = begin(host, "echo $$; yes 1234567 | head -c 1000000 & exit 11")
    shell, output = read_pid_and_rest(conversation)
    expect_dead(host, [shell], time.monotonic(), 2)
    time.sleep(0.1)  # the host does not read
    answer = conversation.answer()
    expect(output + answer.stdout == b"1234567\n" * 125_000, "the output as it was written", "something else")
    expect_equal(exit_code(answer), 11, "exit code")


@case("RUN-EXIT/drained", variant="blocked", needs="witness destructive")
def test_output_that_stood_in_every_buffer_when_its_writer_died(host: Host) -> None:
    """The host reads nothing until the command is dead: a pipe that is full by then comes whole."""
    counter, pid = f"{host.scratch}/counter", f"{host.scratch}/pid"
    conversation = begin(host, f"echo $$ >'{pid}'; {counted_lines(800 + host.in_transit // LINE, counter)}")
    blocked(host, counter, quiet=0.5)
    shell = pid_in(host, pid)
    host.witness.signal(shell, 9)
    expect_dead(host, [shell], time.monotonic(), PROMPT)
    written = counted(host, counter)
    answer = conversation.answer()
    complete = answer.stdout in (numbered(written), numbered(written + 1))  # it may have died between line and count
    expect(complete, f"the {written} lines written", f"{len(answer.stdout)} bytes, not the same")
    expect_equal(exit_code(answer), -9, "exit code")


# ---- RUN-EXIT: streams and background processes


@case("RUN-EXIT/held", needs="witness")
@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_a_background_process_holds_a_stream(host: Host, stream: str) -> None:
    """It `keeps the run going, as with ssh`: until it ends, and its output is the run's."""
    go = f"{host.scratch}/go"
    redirection = {"stdout": "2>/dev/null", "stderr": ">/dev/null", "both": ""}[stream]
    say = "echo late >&2" if stream == "stderr" else "echo late"
    conversation = begin(host, f"echo $$; {{ {gate(go)}; {say}; }} {redirection} & exit 3")
    expect_dead(host, read_pids(conversation), time.monotonic(), 2)
    conversation.silence(0.15)
    host.witness.write(go, b"")
    kind, payload = conversation.recv_frame(PROMPT + SLACK, "what the background process says")
    expect_equal(
        (kind, payload), (protocol.FRAME_STDERR if stream == "stderr" else protocol.FRAME_STDOUT, b"late\n"), "frame"
    )
    expect_equal(exit_code(conversation.answer(PROMPT + SLACK)), 3, "exit code")


@case("RUN-EXIT/released", needs="witness")
@pytest.mark.parametrize("session", ["", "setsid "], ids=["group", "session"])
def test_a_background_process_that_holds_none(host: Host, session: str) -> None:
    """It `lives on`, also after the connection is gone, and the run does not wait for it."""
    pids: list[int] = []
    with put_away(host, pids):
        answer = host.run(f"{session}sleep 60 >/dev/null 2>&1 & echo $!; exit 4", within=3)
        pids.append(int(answer.stdout))
        expect_equal(exit_code(answer), 4, "exit code")
        host.agent.check_alive()  # on fd-conn: it has exited by itself
        expect(host.witness.wait_dead(pids[0], 0.1) is None, "the background process lives on", "it is dead")


@case("RUN-EXIT/closed", needs="witness")
@pytest.mark.parametrize("closing", ["exec >&- 2>&-", "exec >/dev/null 2>&1"], ids=["closed", "replaced"])
def test_streams_that_end_early(host: Host, closing: str) -> None:
    """`When both streams have ended and the shell has exited`."""
    go = f"{host.scratch}/go"
    conversation = begin(host, f"echo x; {closing}; {gate(go)}; exit 6")
    expect_equal(read_lines(conversation, 1), ["x"], "output")
    conversation.silence(0.15)
    host.witness.write(go, b"")
    expect_equal(exit_code(conversation.answer(PROMPT + SLACK)), 6, "exit code")


@case("RUN-EXIT/closed", variant="one")
@pytest.mark.parametrize(
    "closing", ["exec >&-; sleep 0.1; echo x >&2", "exec 2>&-; sleep 0.1; echo x"], ids=["stdout", "stderr"]
)
def test_one_stream_ends_early(host: Host, closing: str) -> None:
    answer = host.run(f"{closing}; exit 7")
    expect_equal(answer.stdout + answer.stderr, b"x\n", "output on the other stream")
    expect_equal(exit_code(answer), 7, "exit code")


@case("RUN-EXIT/closed", variant="exec")
def test_exec_without_streams(host: Host) -> None:
    expect_equal(exit_code(host.run("exec sh -c 'sleep 0.1; exit 8' >&- 2>&-")), 8, "exit code")


# ---- RUN-REAP


@case("RUN-REAP/exit-codes", needs="server destructive")
def test_64_parallel_exits(host: Host) -> None:
    """64 different codes, 16 of them signals, at the same moment. Not SIGQUIT: some shells ignore it."""
    codes = [5 * index + 1 for index in range(48)] + [-number for number in (1, 2, *range(4, 17), 24)]
    commands = [f"exit {code}" if code >= 0 else f"kill -{-code} $$" for code in codes]
    expect_equal(exits(host, [f"sleep 0.1; {command}" for command in commands]), codes, "exit codes")


@case("RUN-REAP/exit-codes", variant="output")
def test_outputs_are_not_mixed_up(host: Host) -> None:
    conversations = [begin(host, f"echo {index}; exit {index}") for index in range(12)]
    for index, conversation in enumerate(conversations):
        answer = conversation.answer()
        expect_equal((answer.stdout, exit_code(answer)), (b"%d\n" % index, index), "output and exit code")


def expect_reaped(host: Host, pid: int) -> None:
    """The shell is no zombie either, shortly after."""
    wait_for(lambda: host.witness.process(pid) is None, PROMPT + SLACK, f"shell {pid} reaped")


@case("RUN-REAP/no-zombie", needs="server witness")
def test_no_zombie_after_any_run(host: Host) -> None:
    runs = ["exit 1", "kill -9 $$", "(exit 2) & exit 3", "exec >&- 2>&-; exit 4", "sh -c 'sleep 0.1 & exit' & exit 5"]
    shells = []
    for _ in range(3):
        for command in runs:
            answer = host.run(f"echo $$; {command}")
            shells.append(int(answer.stdout.split()[0]))
    for shell in shells:
        expect_reaped(host, shell)
    expect_equal(host.witness.children(host.pid), [], "children of the agent")


@case("RUN-REAP/after-timeout", needs="witness")
@pytest.mark.parametrize("rest", ["exec sleep 60", "sleep 60 & exit 3"], ids=["alive", "exited"])
def test_reaped_after_a_timeout(host: Host, rest: str) -> None:
    timeout = 0.2 * host.pace
    conversation = begin(host, f"echo $$; {rest}", timeout=timeout)
    (shell,) = read_pids(conversation)
    expect_timeout(conversation.answer(), timeout)
    expect_reaped(host, shell)


@case("RUN-REAP/after-hangup", needs="witness full-close")
@pytest.mark.parametrize("rest", ["exec sleep 60", "sleep 60 & exit 3"], ids=["alive", "exited"])
def test_reaped_after_a_hangup(host: Host, rest: str) -> None:
    conversation = begin(host, f"echo $$; {rest}")
    (shell,) = read_pids(conversation)
    conversation.close()
    expect_reaped(host, shell)


@case("RUN-REAP/last", needs="witness full-close")
def test_the_shell_is_reaped_last(host: Host) -> None:
    """`so that no reused group id is ever signalled`: while its group may have to be killed, an exited shell stays a zombie."""
    conversation = begin(host, "echo $$; sleep 60 & echo $!; exit 3")
    shell, sleeper = read_pids(conversation, 2)
    expect_dead(host, [shell], time.monotonic(), 2)
    conversation.silence(0.15)
    found = host.witness.process(shell)
    expect(found is not None and found.state == "Z", "the shell still a zombie", found)
    conversation.close()
    expect_dead(host, [sleeper], time.monotonic(), 1)
    expect_reaped(host, shell)
