"""What the sweeps share: every kind of conversation that succeeds, as bytes, and what stands in the agent's world after it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from guestwire import protocol
from guestwire.drive.conversation import Answer, Conversation, frame
from guestwire.drive.host import Host, exit_code, file_of
from guestwire.judge.outcome import Violation, expect, expect_equal
from guestwire.judge.transcript import Transcript, transcript
from guestwire.suite.files import OLD, content, expect_stored

Tree = dict[str, tuple[Any, bytes]]
GRACE = 2.0  # seconds for an agent to notice that its host has left, and to put away what it had begun
STEP = 8  # bytes between two cuts, where not every one is tried
DATA_STEP = 64  # the same within the data of an upload or a download


@dataclass(frozen=True)
class Talk:
    """A conversation that succeeds. Paths in it lead into the case's scratch directory."""

    request: dict[str, Any]
    upload: tuple[tuple[int, bytes], ...] = ()  # frames after the request
    size: int = 0  # of the upload
    standing: dict[str, bytes] = field(default_factory=dict)  # files that are there before it
    stored: dict[str, tuple[str, int, bytes]] = field(default_factory=dict)  # what it makes: kind, mode, content
    good: Callable[[Answer], Any] = expect_stored  # raises Violation unless this is the answer

    @property
    def frames(self) -> list[bytes]:
        """All that the host sends."""
        request = json.dumps(self.request, ensure_ascii=False).encode()
        return [frame(protocol.FRAME_JSON, request), *(frame(kind, payload) for kind, payload in self.upload)]

    @property
    def raw(self) -> bytes:
        return b"".join(self.frames)

    @property
    def asked(self) -> int:
        """How many bytes the request takes."""
        return len(self.frames[0])

    @property
    def served(self) -> int:
        """After how many bytes the agent has all it needs."""
        at, left = self.asked, self.size
        for kind, payload in self.upload:
            if not left:
                break
            at += 5 + len(payload)
            left -= len(payload) if kind == protocol.FRAME_DATA else 0
        return at


def _pong(answer: Answer) -> None:
    expect_equal(answer.terminal.get("op"), "pong", "op of the answer")


def _ran(answer: Answer) -> None:
    expect_equal((answer.stdout, answer.stderr, exit_code(answer)), (b"out", b"err", 3), "output and exit code")


def _got(data: bytes) -> Callable[[Answer], None]:
    def good(answer: Answer) -> None:
        found = file_of(answer)[1]
        expect(found == data, f"a file of {len(data)} bytes", f"{len(found)} bytes, or others")

    return good


def _run(folder: str) -> Talk:
    """`mkdir` leaves a whole trace or none, also when it is killed."""
    cmd = f"mkdir -m 755 {folder}/ran; printf out; printf err >&2; exit 3"
    return Talk({"op": "run", "cmd": cmd, "shell": "raw"}, stored={"ran": ("directory", 0o755, b"")}, good=_ran)


def _run_fields(_: str) -> Talk:
    fields = {"v": 1, "op": "run", "shell": None, "timeout": 9.5, "env": {"A": "err", "B": -1}, "more": [{}]}
    return Talk(fields | {"cmd": "printf out; printf '%s' \"$A\" >&2; exit $((B + 4))"}, good=_ran)


def _put(path: str, *parts: bytes, name: str = "", **more: Any) -> Talk:
    size = sum(map(len, parts))
    frames = (*((protocol.FRAME_DATA, part) for part in parts), (protocol.FRAME_EOF, b""))
    fields = {"name": name} if name else {}
    request = {"op": "put_file", "path": path, "size": size, "mode": 0o640, **fields}
    stored = {(name or path).rpartition("/")[2]: ("file", 0o640, b"".join(parts))}
    return Talk(request, frames, size, stored=stored, **more)


def _get(folder: str, data: bytes) -> Talk:
    return Talk({"op": "get_file", "path": f"{folder}/file"}, standing={"file": data}, good=_got(data))


PLAIN: dict[str, Callable[[str], Talk]] = {  # these need no witness
    "ping": lambda _: Talk({"op": "ping"}, good=_pong),
    "ping-fields": lambda _: Talk({"v": 1, "op": "ping", "\u00e9": {"a": [None, 1e9]}}, good=_pong),
    "run-fields": _run_fields,
}
FILED: dict[str, Callable[[str], Talk]] = {
    "run": _run,
    "put": lambda folder: _put(f"{folder}/file", b"abc"),
    "put-empty": lambda folder: _put(f"{folder}/file"),
    "put-over": lambda folder: _put(f"{folder}/file", b"the new content", standing={"file": OLD}),
    "put-frames": lambda folder: _put(folder, b"a", b"", content(300), content(1_000), name="sent/file"),
    "get": lambda folder: _get(folder, content(500)),
}
LARGE: dict[str, Callable[[str], Talk]] = {"get-large": lambda folder: _get(folder, content(600_000))}
UPLOADS = [name for name in FILED if name.startswith("put")]


def names(*tables: dict[str, Callable[[str], Talk]]) -> pytest.MarkDecorator:
    """A case for each talk of the tables."""
    return pytest.mark.parametrize("talk", [name for table in tables for name in table])


# ---- in the agent's world


class Stage:
    """A talk of a case with its files: how they stood before it, and whether they stand as they may."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._folder = host.scratch if name in FILED or name in LARGE else ""
        self.talk = (PLAIN | FILED | LARGE)[name](self._folder)
        self._put_up()

    def _put_up(self) -> None:
        for name, data in self.talk.standing.items():
            self._host.witness.write(f"{self._folder}/{name}", data, 0o640)
        self._before = self._tree()

    def _tree(self) -> Tree:
        tree: Tree = self._host.witness.tree(self._folder) if self._folder else {}
        return tree

    def _done(self, tree: Tree) -> bool:
        """Whether everything the talk makes stands there, whole, and all else is as it was."""
        made = {name: (info.kind, info.mode, data) for name, (info, data) in tree.items() if name in self.talk.stored}
        return made == self.talk.stored and _without(tree, made) == _without(self._before, made)

    def settle(self, untouched: bool, done: bool) -> None:
        """The agent comes to rest with its world in a state that is allowed: as it was, or as the talk makes it; then it is
        put back as it was. The next ping is answered."""
        self._host.settle()
        end = time.monotonic() + GRACE
        while True:
            tree = self._tree()
            if tree == self._before and (untouched or not self.talk.stored):
                break
            if done and self.talk.stored and self._done(tree):
                for name in self.talk.stored:
                    self._host.witness.drop(f"{self._folder}/{name}")
                self._put_up()
                break
            if time.monotonic() > end:
                states = ["untouched"] * untouched + ["stored whole"] * done
                raise Violation(f"{' or '.join(states)}: {self._folder}", _listing(self._before, tree))
            time.sleep(0.005)
        if self._host.transport != "fd-conn":  # there the process has ended, with 0
            self._host.ping()

    def say(self, raw: bytes) -> Conversation:
        """A new conversation in which the host says these bytes."""
        conversation = self._host.connect()
        conversation.send_raw(raw, tolerate=True)
        return conversation

    def whole(self) -> Transcript:
        """The whole conversation, and what it comes to."""
        conversation = self.say(self.talk.raw)
        answer = conversation.answer()
        self.talk.good(answer)
        self.settle(untouched=False, done=True)
        return transcript(answer)


def _without(tree: Tree, names: Iterable[str]) -> Tree:
    return {name: entry for name, entry in tree.items() if name not in names}


def _listing(before: Tree, after: Tree) -> str:
    """What differs, for a person."""
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    return ", ".join(
        f"{name}: {_entry(before.get(name))} before, {_entry(after.get(name))} now" for name in sorted(changed)
    )


def _entry(entry: tuple[Any, bytes] | None) -> str:
    return "nothing" if entry is None else f"{entry[0].kind} {entry[0].mode:04o} of {len(entry[1])} bytes"


# ---- where to cut


def cuts(host: Host, talk: Talk) -> list[int]:
    """After how many of the host's bytes: every byte of the framing and some of the data; fewer where it is dear."""
    framing, at = [*range(talk.asked + 1)], talk.asked
    for part in talk.frames[1:]:
        end = at + len(part)
        framing += [place for place in range(at, end + 1) if place - at < 7 or end - place < 3]
        framing += range(at, end, DATA_STEP)
        at = end
    must = {0, talk.asked - 1, talk.asked, talk.served - 1, talk.served, len(talk.raw)}
    return some(host, sorted(set(framing)), must)


def response_cuts(host: Host, frames: list[tuple[int, bytes]]) -> list[int]:
    """After how many of the agent's bytes, likewise."""
    framing, at = [0], 0
    for kind, payload in frames:
        end = at + 5 + len(payload)
        if kind == protocol.FRAME_JSON:
            framing += range(at, end + 1)
        else:
            framing += [place for place in range(at, end + 1) if place - at < 7 or end - place < 2]
        at = end
    return some(host, sorted(set(framing)), {0, at - 1, at})


def some(host: Host, places: list[int], must: set[int]) -> list[int]:
    """All of them on `unix`, and wherever --sweep full asks for it; else every eighth, and those that must be."""
    if host.transport == "unix" or host.full_sweep:
        return places
    return [place for index, place in enumerate(places) if index % STEP == 0 or place in must]
