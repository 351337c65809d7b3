"""The witness of a guest, its calls over a channel: here a socket takes the place of the virtio-serial port."""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire.drive import channel
from guestwire.drive.channel import Caller, Channel, serve
from guestwire.drive.far import UNKNOWN, GuestWitness
from guestwire.drive.process import StartSpec


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Caller]:
    """A caller whose other end is served by a thread."""
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=serve, args=(Channel(theirs.detach()), GuestWitness(tmp_path)))
    serving.start()
    caller = Caller(Channel(ours.detach()), GuestWitness)
    yield caller
    caller.hang_up()
    serving.join(10)
    assert not serving.is_alive()
    assert os.listdir(tmp_path) == []  # all of it is put away


def test_calls_and_their_answers(witness: Caller) -> None:
    folder = witness.scratch()
    witness.write(f"{folder}/file", b"x" * 300_000, 0o640)
    assert witness.read(f"{folder}/file") == b"x" * 300_000
    info = witness.info(f"{folder}/file")
    assert (info.kind, info.mode, info.size) == ("file", 0o640, 300_000)
    with pytest.raises(FileNotFoundError):
        witness.read(f"{folder}/missing")
    with pytest.raises(AttributeError):
        witness.nonsense()


def test_an_agent_is_started_and_ended_there(witness: Caller) -> None:
    pid = witness.start(StartSpec(("/bin/sh", "-c", "echo said >&2; exec sleep 60"), env={"PATH": os.defpath}))
    while witness.stderr(pid) != b"said\n":
        pass
    assert witness.poll(pid) is None
    witness.stop(pid)
    assert not witness.alive(pid)


def test_what_somebody_else_started_is_found_by_its_file(witness: Caller, tmp_path: Path) -> None:
    """The status of somebody else's child is not to be had."""
    program = tmp_path / "agent"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    log = tmp_path / "log"
    log.write_bytes(b"ready\n")
    with subprocess.Popen([str(program), "60"]) as agent:
        try:
            assert witness.find(str(program), str(log)) == agent.pid
            assert witness.poll(agent.pid) is None
            assert witness.stderr(agent.pid) == b"ready\n"
            assert witness.facts(agent.pid).argv == (str(program), "60")
            witness.stop(agent.pid)
        finally:
            agent.kill()
    assert witness.find(str(program), str(log)) is None
    program.unlink()
    log.unlink()
    assert UNKNOWN == 255


def test_an_answer_that_comes_too_late_is_not_the_next_calls(witness: Caller, tmp_path: Path) -> None:
    """A case that is cut off leaves its call's answer behind."""
    witness._channel.send((witness._calls + 1, "names", (str(tmp_path),), {}))
    witness._calls += 1  # as a call does that is cut off while it waits
    assert witness.alive(os.getpid()) is True


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo owned",)


def test_a_call_that_is_cut_off_while_it_is_sent_is_not_the_next_ones_middle() -> None:
    """A case's deadline may end it anywhere; the other end still gets whole messages."""
    ours, theirs = socket.socketpair()
    near, far = Channel(ours.detach()), Channel(theirs.detach())

    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError):
            near.send(b"x" * (8 << 20))  # nobody reads
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    sending = threading.Thread(target=near.send, args=("the next one",))
    sending.start()
    assert pickle.loads(far.receive(10)) == b"x" * (8 << 20)
    assert pickle.loads(far.receive(10)) == "the next one"
    sending.join(10)
    near.close()
    far.close()


@pytest.mark.parametrize("answer", [Evil(), subprocess.Popen, os.getpid])
def test_an_answer_makes_nothing_but_values(answer: object) -> None:
    """A guest may be anybody's."""
    ours, theirs = socket.socketpair()
    caller, far = Caller(Channel(ours.detach())), Channel(theirs.detach())
    far.send((1, True, answer))
    with pytest.raises(pickle.UnpicklingError, match="no witness answers with"):
        caller.alive(1)
    caller.hang_up()
    far.close()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("guestwire.drive.process", "subprocess.Popen"),  # what a module imports, by a name with dots
        ("guestwire.drive.process", "Started"),  # starts what it is told to
        ("guestwire.drive.process", "Process.__init__"),
        ("guestwire.drive.witness", "Witness"),
        ("guestwire.judge.outcome", "Outcome"),
        ("builtins", "eval"),
        ("builtins", "OSError.__init__"),
    ],
)
def test_an_answer_names_no_class_but_those_of_the_list(module: str, name: str) -> None:
    """By hand: no pickler would write these."""
    text = (b"\x8c%c%s" % (len(word), word.encode()) for word in (module, name))
    with pytest.raises(pickle.UnpicklingError, match="no witness answers with"):
        channel.Answers(io.BytesIO(b"\x80\x04" + b"".join(text) + b"\x93.")).load()


def test_a_guest_that_is_gone_is_an_end_of_file() -> None:
    ours, theirs = socket.socketpair()
    caller = Caller(Channel(ours.detach()))
    theirs.close()
    with pytest.raises((EOFError, OSError)):
        caller.alive(1)
    caller.hang_up()


def test_it_needs_nothing_but_the_standard_library() -> None:
    """The guest has no other module; a start there takes seconds as it is."""
    package = Path(__file__).resolve().parents[1]
    code = f"""if True:
        import sys, types
        sys.modules["guestwire"] = module = types.ModuleType("guestwire")
        module.__path__ = [{str(package)!r}]
        import guestwire.drive.far
        print(*{{name.partition(".")[0] for name in sys.modules}} - sys.stdlib_module_names)"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"guestwire", "__main__"}
