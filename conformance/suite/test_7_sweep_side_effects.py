"""What the agent is and holds after requests of every kind, answered, refused and cut short, is what it was and held before.

Host.finish() looks at the same after every case; here requests of every kind are made for it, and what could be hidden by the
bounds that are set there adds up.
"""

from __future__ import annotations

import pytest

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import Violation, about, expect_equal
from guestwire.suite.files import expect_stored, let_go, raw_request
from guestwire.suite.talks import FILED, LARGE, PLAIN, Stage, names

ROUNDS = 12
BLOCK = 4 << 20  # bytes; what is kept of each round adds up to more than an agent may keep
REFUSED = {
    "malformed": b"{",
    "unknown-op": b'{"op":"nosuch"}',
    "version": b'{"v":2,"op":"ping"}',
    "spawn": b'{"op":"run","cmd":"true","shell":"raw","env":{"":"x"}}',
    "put": b'{"op":"put_file","path":"/nowhere/file","size":0,"mode":511}',
    "put-mode": b'{"op":"put_file","path":"/nowhere/file","size":0,"mode":"0777"}',
    "get": b'{"op":"get_file","path":"/nowhere/file"}',
}


def undisturbed(host: Host, what: str) -> None:
    """Nothing differs from before; what does breaks its own check."""
    with about(f"after {what}"):
        let_go(host)


def answered_and_cut(host: Host, name: str) -> None:
    """Whole, then cut by the host in mid-request."""
    stage = Stage(host, name)
    stage.whole()
    undisturbed(host, f"a {name}")
    stage.say(stage.talk.raw[: stage.talk.asked - 1]).close()
    undisturbed(host, f"a {name} that was cut")


@case("SRV-SURVIVE/settings", "SRV-SURVIVE/leaks", needs="server witness")
@names(PLAIN, FILED, LARGE)
def test_settings(host: Host, talk: str) -> None:
    answered_and_cut(host, talk)


@case("SRV-SURVIVE/files", needs="witness")
@names(FILED)
def test_files(host: Host, talk: str) -> None:
    answered_and_cut(host, talk)


@case("SRV-SURVIVE/files", variant="fresh", needs="start witness")
def test_files_of_a_fresh_agent(host: Host) -> None:
    """What its very first requests make is no part of how it was before."""
    home, path = f"{host.scratch}/home", f"{host.scratch}/file"
    host.witness.mkdir(home)
    agent = host.start(env={"HOME": home, "TMPDIR": home})
    agent.ping()
    expect_stored(agent.put(path, b"data"))
    expect_equal((agent.get(path)[1], agent.output("echo $HOME")), (b"data", f"{home}\n".encode()), "answers")
    expect_equal(host.witness.names(home), [], "names in HOME and TMPDIR")


@case(
    "SRV-SURVIVE/settings",
    "SRV-SURVIVE/files",
    "SRV-SURVIVE/leaks",
    variant="refused",
    needs="server witness",
    twin="CONV-ONE/single:ping",
)
@pytest.mark.parametrize("request_", list(REFUSED))
def test_refused(host: Host, request_: str) -> None:
    conversation = host.connect()
    conversation.send_raw(frame(protocol.FRAME_JSON, REFUSED[request_]))
    if conversation.answer().terminal.get("ok") is not False:
        raise Violation("an error", f"{request_} was not refused")
    undisturbed(host, request_)


@case("SRV-SURVIVE/settings", variant="command", needs="server witness")
def test_what_commands_do_to_themselves(host: Host) -> None:
    """A command's working directory, umask and signals are its own."""
    host.output("cd /; umask 077; trap '' TERM INT HUP; ulimit -n 64; kill -TERM $$; umask")
    undisturbed(host, "a command that changes its own settings")


@case("SRV-SURVIVE/files", variant="relative", needs="witness")
def test_upload_outside_the_home(host: Host) -> None:
    """An upload makes its file, and no other: not in HOME, not in TMPDIR, not beside the file's directory."""
    path = f"{host.scratch}/folder"
    host.witness.mkdir(path)
    for size in (0, 10, 200_000):
        host.put(f"{path}/file", bytes(size), mode=0o600)
        host.put(f"{path}/../folder/./file", bytes(size))
    undisturbed(host, "uploads")


@case("SRV-SURVIVE/memory", needs="server witness", transports=("unix",), deadline=40, twin="CONV-ONE/single:ping")
def test_memory_is_given_back(host: Host) -> None:
    """Many megabytes of uploads, of output, of downloads and of refused requests."""
    path = f"{host.scratch}/file"
    for _ in range(ROUNDS):
        host.put(path, bytes(BLOCK))
        host.get(path)
        host.run(f"head -c {BLOCK} {path}")
        conversation = host.connect()
        conversation.send_raw(raw_request("ping", more=f'"{"x" * (1 << 20)}"'), tolerate=True)
        host.error(conversation.answer(), "too_large")
        for more in (f"[{'0,' * 4_000}0]", *[f'"{"x" * 900_000}"'] * 6):
            conversation = host.connect()
            conversation.send_raw(raw_request("ping", more=more))
            conversation.answer()
    undisturbed(host, f"{ROUNDS} rounds of {BLOCK} bytes")
