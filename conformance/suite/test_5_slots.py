"""Section 5: work slots and connections (SRV-SLOTS, SRV-CONNS)."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Conversation, frame
from guestwire.drive.host import Host, exit_code, wait_for
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

SLOTS = 64
CONNECTIONS = 1024
MIB = 1 << 20


def hold(host: Host, count: int) -> list[Conversation]:
    """That many runs that have started and wait; closing one ends it."""
    held = []
    for _ in range(count):
        conversation = host.connect()
        conversation.send_json({"op": "run", "shell": "raw", "cmd": "echo in; exec sleep 60"})
        held.append(conversation)
    for conversation in held:
        expect_equal(
            conversation.recv_frame(15, "the first output of a run"), (protocol.FRAME_STDOUT, b"in\n"), "output"
        )
    return held


def release(held: list[Conversation]) -> None:
    """Hang up on all of them."""
    for conversation in held:
        conversation.close()


# ---- slots


@case("SRV-SLOTS/parallel", "SRV-SLOTS/queued", needs="server full-close", deadline=40)
def test_64_at_once_and_one_more_waits(host: Host) -> None:
    held = hold(host, SLOTS)
    waiting = host.connect()
    waiting.send_json({"op": "run", "shell": "raw", "cmd": "echo in"})
    waiting.silence(0.3)
    held.pop().close()
    expect_equal(exit_code(waiting.answer(within=5)), 0, "exit code of the one that waited")
    release(held)


@case("SRV-SLOTS/queued", variant="order", needs="server start witness full-close")
def test_queued_in_order(host: Host) -> None:
    agent = host.start("--max-requests", "1")
    held = hold(agent, 1)
    waiting = []
    for index in range(8):
        conversation = agent.connect()
        conversation.send_json({"op": "run", "shell": "raw", "cmd": f"echo {index} >> {host.scratch}/order"})
        waiting.append(conversation)
        agent.ping()  # the desk takes requests in the order of their arrival; this one has arrived
    expect(host.witness.info(f"{host.scratch}/order") is None, "nothing started while the slot is busy", "it is")
    release(held)
    for conversation in waiting:
        expect_equal(exit_code(conversation.answer()), 0, "exit code of a queued run")
    expect_equal(host.witness.read(f"{host.scratch}/order").split(), [b"%d" % i for i in range(8)], "order of service")


@case("SRV-SLOTS/queued", variant="none-refused", needs="server full-close", deadline=40)
def test_none_of_200_is_refused(host: Host) -> None:
    held = hold(host, SLOTS)
    conversations = [host.connect() for _ in range(200)]
    for index, conversation in enumerate(conversations):
        conversation.send_json({"op": "run", "shell": "raw", "cmd": f"exit {index}"})
    release(held)
    for index, conversation in enumerate(conversations):
        expect_equal(exit_code(conversation.answer()), index, "exit code")


@case("SRV-SLOTS/queued", variant="every-operation", needs="server start witness full-close")
def test_put_and_get_wait_too(host: Host) -> None:
    agent = host.start("--max-requests", "1")
    held = hold(agent, 1)
    path = f"{host.scratch}/file"
    put = agent.connect()
    put.send_json({"op": "put_file", "path": path, "size": 3})
    put.send_frame(protocol.FRAME_DATA, b"abc")
    get = agent.connect()
    get.send_json({"op": "get_file", "path": path})
    put.silence(0.2)
    expect_equal(host.witness.names(host.scratch), [], "files while the slot is busy")
    release(held)
    expect_equal(put.answer().terminal.get("ok"), True, "ok of the queued upload")
    expect_equal(get.answer().data, b"abc", "content by the queued download")


@case("SRV-SLOTS/gone", needs="server start witness half-close full-close")
@pytest.mark.parametrize("half_closed_first", [False, True], ids=["closed", "half-closed-first"])
def test_queued_request_of_a_host_that_left(host: Host, half_closed_first: bool) -> None:
    """An upload of nothing, too: it would be stored before anybody looks for the host."""
    agent = host.start("--max-requests", "1")
    held = hold(agent, 1)
    leaving, storing, staying = agent.connect(), agent.connect(), agent.connect()
    leaving.send_json({"op": "run", "shell": "raw", "cmd": f"touch {host.scratch}/left"})
    storing.send_json({"op": "put_file", "path": f"{host.scratch}/stored", "size": 0})
    for conversation in (leaving, storing) if half_closed_first else ():
        conversation.half_close()
        conversation.silence(0.05)
    agent.ping()
    staying.send_json({"op": "run", "shell": "raw", "cmd": f"touch {host.scratch}/stayed"})
    agent.ping()
    leaving.close()
    storing.close()
    release(held)
    expect_equal(exit_code(staying.answer()), 0, "exit code of the one that stayed")
    expect_equal(host.witness.names(host.scratch), ["stayed"], "traces of commands")


@case("SRV-SLOTS/option", needs="server start full-close")
def test_max_requests(host: Host) -> None:
    agent = host.start("--max-requests", "2")
    held = hold(agent, 2)
    third = agent.connect()
    third.send_json({"op": "run", "shell": "raw", "cmd": "exit 3"})
    third.silence(0.3)
    agent.ping(within=1)
    release(held)
    expect_equal(exit_code(third.answer()), 3, "exit code of the third")


# ---- connections


@pytest.fixture
def plenty_of_descriptors() -> Iterator[None]:
    """More than a thousand connections need more descriptors than a process usually has."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_idle(host: Host, count: int) -> list[Conversation]:
    """Connections that say nothing, all of them accepted."""
    held = []
    for index in range(count):
        held.append(host.connect())
        if index % 100 == 99:
            host.ping()  # the listen queue is short; let the agent keep up
    host.ping()
    return held


def closed(conversation: Conversation) -> bool:
    """Whether the agent has closed it."""
    conversation.sock.settimeout(0)
    try:
        return conversation.sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@case("SRV-CONNS/idle", needs="server")
def test_200_idle_connections_and_a_run(host: Host) -> None:
    idle = open_idle(host, 200)
    began = time.monotonic()
    expect_equal(exit_code(host.run("exit 5")), 5, "exit code beside 200 idle connections")
    expect(time.monotonic() - began < 1.5, "served at once", f"{time.monotonic() - began:.2f} s")
    release(idle)


@case("SRV-CONNS/many", "SRV-CONNS/oldest", needs="server start destructive", deadline=40)
@pytest.mark.usefixtures("plenty_of_descriptors")
def test_1100_connections(host: Host) -> None:
    """1,024 are held; each one beyond closes the oldest incomplete one. The last ping below is one of the 1,024."""
    agent = host.start("--request-timeout", "60")
    held = open_idle(agent, CONNECTIONS - 1)
    expect_equal(sum(map(closed, held)), 0, "closed connections among 1,023 (and a ping)")
    held += open_idle(agent, 1100 - len(held))
    wait_for(lambda: sum(map(closed, held)) >= 1100 - CONNECTIONS, 5, "those beyond 1,024 closed")
    gone = [index for index, conversation in enumerate(held) if closed(conversation)]
    expect_equal(gone, list(range(len(gone))), "the closed ones are the oldest")
    expect(len(gone) <= 1100 - CONNECTIONS + 2, f"{1100 - CONNECTIONS} closed (two more for pings)", len(gone))
    held[-1].send_json({"op": "ping"})
    expect_equal(held[-1].answer().terminal.get("op"), "pong", "answer on the newest")
    held[len(gone)].send_json({"op": "ping"})
    expect_equal(held[len(gone)].answer().terminal.get("op"), "pong", "answer on the oldest that is left")
    release(held)


@case("SRV-CONNS/oldest", variant="working-ones-stay", needs="server start destructive", deadline=40)
@pytest.mark.usefixtures("plenty_of_descriptors")
def test_connections_with_a_request_are_not_closed(host: Host) -> None:
    """The oldest connection is a run: it stays, the oldest incomplete one goes."""
    agent = host.start("--request-timeout", "60")
    held = hold(agent, 1)
    idle = open_idle(agent, CONNECTIONS + 20)
    wait_for(lambda: closed(idle[0]), 5, "the oldest incomplete connection closed")
    held[0].silence(0.05)
    release(held + idle)


@case("SRV-CONNS/emfile", "SRV-SURVIVE/emfile", needs="server start witness destructive", deadline=40)
def test_descriptor_shortage_on_accept(host: Host) -> None:
    """No descriptor left: accepting pauses without spinning; when some come free, all are served."""
    agent = host.start(limits={resource.RLIMIT_NOFILE: (48, 48)})
    agent.ping()
    before = host.witness.counts(agent.pid)
    held = [agent.connect() for _ in range(100)]
    time.sleep(0.3)  # accepting comes to its pause
    began = host.witness.stats(agent.pid).cpu_seconds
    time.sleep(2)
    used = host.witness.stats(agent.pid).cpu_seconds - began
    expect(used <= 0.1, "hardly any processor time in two seconds of waiting", f"{used:.2f} s")
    release(held[:90])
    for conversation in held[90:]:
        conversation.send_json({"op": "ping"})
    for conversation in held[90:]:
        expect_equal(conversation.answer().terminal.get("op"), "pong", "answer after the shortage")
    wait_for(lambda: host.witness.counts(agent.pid)[0] <= before[0], 5, "descriptors back to what they were")


@case("SRV-SURVIVE/emfile", variant="runs", needs="server start witness destructive", deadline=40)
def test_descriptor_shortage_in_runs(host: Host) -> None:
    """Too few descriptors, by one more each time, then many runs at once: each is served or told, and nothing is left."""
    limit = 40
    agent = host.start(limits={resource.RLIMIT_NOFILE: (limit, limit)})
    expect_equal(exit_code(agent.run("exit 1")), 1, "exit code before the shortage")
    before = host.witness.counts(agent.pid)
    for spare in range(2, 9):  # beside the run's connection
        idle = [agent.connect() for _ in range(limit - before[0] - 1 - spare)]
        terminal = agent.run("exit 9").terminal
        code = terminal.get("exit_code", terminal.get("op"))
        expect(code in (9, "error"), f"exit code 9 or an error with {spare} descriptors left", code)
        release(idle)
        wait_for(lambda: host.witness.counts(agent.pid)[0] <= before[0], 5, "descriptors back to what they were")
    conversations = [agent.connect() for _ in range(30)]
    for conversation in conversations:
        conversation.send_json({"op": "run", "shell": "raw", "cmd": "sleep 0.1; exit 9"})
    codes = []
    for conversation in conversations:
        terminal = conversation.answer().terminal
        codes.append(terminal.get("exit_code", terminal.get("op")))
    expect(set(codes) <= {9, "error"}, "exit code 9 or an error for each", codes)
    expect_equal(exit_code(agent.run("exit 2")), 2, "exit code after the shortage")
    wait_for(lambda: host.witness.counts(agent.pid)[0] <= before[0], 5, "descriptors back to what they were")
    expect_equal(host.witness.children(agent.pid), [], "children left")


def stuff(conversation: Conversation, data: bytes) -> int:
    """Send what the agent takes at once. Return: bytes."""
    conversation.sock.setblocking(False)
    sent = 0
    try:
        while sent < len(data):
            sent += conversation.sock.send(data[sent : sent + 65_536])
    except BlockingIOError:
        pass
    return sent


def big_incomplete(host: Host, count: int) -> list[Conversation]:
    """That many requests of 1 MiB, each sent but for the last bytes as far as the agent takes them."""
    held = [host.connect() for _ in range(count)]
    data = frame(protocol.FRAME_JSON, b" " * MIB)[:-10]
    offsets = [0] * count
    end = time.monotonic() + 2 * host.pace
    while time.monotonic() < end:
        moved = 0
        for index, conversation in enumerate(held):
            sent = stuff(conversation, data[offsets[index] :])
            offsets[index] += sent
            moved += sent
        if not moved:
            time.sleep(0.02)
            if all(stuff(c, data[offset:]) == 0 for c, offset in zip(held, offsets, strict=True)):
                break
    return held


@case("SRV-CONNS/memory", needs="server start witness destructive", deadline=40)
def test_incomplete_requests_hold_at_most_8_mib(host: Host) -> None:
    agent = host.start("--request-timeout", "60")
    agent.ping()
    before = host.witness.stats(agent.pid).pss
    held = big_incomplete(agent, 40)
    grown = host.witness.stats(agent.pid).pss - before
    expect(grown < 10 * MIB, "less than 10 MiB more with 40 MiB offered", f"{grown / MIB:.1f} MiB")
    release(held)


@case("SRV-CONNS/idle", variant="memory-full", needs="server start destructive", deadline=40)
def test_others_are_served_while_the_memory_is_full(host: Host) -> None:
    """Beyond 8 MiB reading pauses, for those that ask for more; a ping and a run need little."""
    agent = host.start("--request-timeout", "60")
    held = big_incomplete(agent, 40)
    agent.ping(within=1.5)
    expect_equal(exit_code(agent.run("exit 6", within=3)), 6, "exit code")
    release(held)
    expect_equal(exit_code(agent.run(f"exit 8 # {'x' * 100_000}", within=5)), 8, "exit code of a larger request later")
