"""Hypothesis draws the steps of examples, on the model alone: what is drawn never depends on how fast anything was."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from guestwire.stateful import asks
from guestwire.stateful.model import HOSTS, World
from guestwire.stateful.steps import SLOTS, Step

BATCH = 25  # examples from one seed: Hypothesis varies what it has drawn, so that many from one are too much alike
BATCHES = 10_000  # no end by itself


class Enough(KeyboardInterrupt):
    """The search is over. Hypothesis lets no other exception through."""


def draw(steps: int, seed: int, home: Path, take: Callable[[list[Step]], None]) -> None:
    """Hand examples to `take` until it raises Enough, or for as long as there are new ones. What is drawn depends on the seed
    alone. `home` takes what Hypothesis stores: no database, for a failure is kept as a file of steps."""
    set_hypothesis_home_dir(home)
    seen: set[tuple[Step, ...]] = {()}
    settings = hypothesis.settings(
        max_examples=BATCH,
        stateful_step_count=steps,
        deadline=None,  # every wait has one of its own
        database=None,
        derandomize=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),  # they judge how fast examples are drawn
    )

    def new(drawn: list[Step]) -> None:
        if tuple(drawn) not in seen:
            seen.add(tuple(drawn))
            take(drawn)

    machine = type("Hosts", (Hosts,), {"take": staticmethod(new)})
    seeds = random.Random(seed)
    with contextlib.suppress(Enough):
        for _ in range(BATCHES):
            batch_seed = seeds.randrange(1 << 32)
            run_state_machine_as_test(hypothesis.seed(batch_seed)(machine), settings=settings)


def _asks(*kinds: str) -> list[str]:
    return [name for name, ask in asks.ASKS.items() if ask.kind in kinds and name != "get"]


class Hosts(RuleBasedStateMachine):
    """Up to HOSTS hosts and one agent. An example goes to `take` once it is complete."""

    take: Callable[[list[Step]], None]

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.steps: list[Step] = []

    def play(self, step: Step) -> None:
        """Note the step if it is possible."""
        if self.world.can(step):
            self.steps.append(step)
            self.world.take(step)

    def teardown(self) -> None:
        self.take(self.steps)

    # ---- rules

    @initialize(busy=st.integers(0, SLOTS), ask=st.sampled_from([*_asks("gate"), "put"]))
    def begin(self, busy: int, ask: str) -> None:
        """Often every slot is busy from the start, so that whoever comes must wait."""
        for _ in range(busy):
            self._open(ask, *(("own", 300) if ask == "put" else ()))

    def _host(self, data: st.DataObject, verb: str) -> int:
        return data.draw(st.sampled_from(self.world.hosts(verb)), label=verb)

    def _open(self, ask: str, to: str = "", size: int = 0, at_once: bool = True, data: int = 0) -> None:
        number = len(self.world.talks) + 1
        self.play(Step("open", number, ask=ask, to=to, size=size))
        if at_once:
            whole = Step("send", number, data=data)
            self.play(whole if self.world.can(whole) else Step("send", number))

    @precondition(lambda self: len(self.world.open()) < HOSTS)
    @rule(ask=st.sampled_from(_asks("desk")), at_once=st.booleans())
    def ask_the_desk(self, ask: str, at_once: bool) -> None:
        self._open(ask, at_once=at_once)

    @precondition(lambda self: len(self.world.open()) < HOSTS)
    @rule(ask=st.sampled_from(_asks("quick")), at_once=st.booleans())
    def run(self, ask: str, at_once: bool) -> None:
        self._open(ask, at_once=at_once)

    @precondition(lambda self: len(self.world.open()) < HOSTS)
    @rule(ask=st.sampled_from(_asks("gate", "timed", "unread")), at_once=st.sampled_from([False, True, True, True]))
    def hold_a_slot(self, ask: str, at_once: bool) -> None:
        self._open(ask, at_once=at_once)

    @precondition(lambda self: len(self.world.open()) < HOSTS and len(self.world.serving) == SLOTS)
    @rule(ask=st.sampled_from(_asks("gate", "unread")))
    def wait_for_a_slot(self, ask: str) -> None:
        self._open(ask)

    @precondition(lambda self: len(self.world.open()) < HOSTS)
    @rule(to=st.sampled_from(list(asks.GETS)), at_once=st.booleans())
    def get(self, to: str, at_once: bool) -> None:
        self._open("get", to, at_once=at_once)

    @precondition(lambda self: len(self.world.open()) < HOSTS)
    @rule(
        to=st.sampled_from(["own", *asks.PUTS]),
        size=st.sampled_from([0, 1, 10, 300, 70_000]),
        sent=st.sampled_from([-1, 0, 0, 1, 2]),
    )
    def put(self, to: str, size: int, sent: int) -> None:
        """-1: nothing yet; else the request, with nothing, half or all of the content in the same write."""
        self._open("put", to, size, at_once=sent >= 0, data=size * max(sent, 0) // 2)

    @precondition(lambda self: self.world.hosts("send"))
    @rule(data=st.data(), size=st.sampled_from([0, 0, 1, 4, 5, 6, 30, 1000]), more=st.sampled_from([0, 0, 1, 10, 300]))
    def send(self, data: st.DataObject, size: int, more: int) -> None:
        host = self._host(data, "send")
        upload = self.world.talks[host].ask.kind == "upload" and not size
        self.play(Step("send", host, bytes=size, data=more if upload else 0))

    @precondition(lambda self: self.world.hosts("data"))
    @rule(
        data=st.data(),
        size=st.sampled_from([-1, -1, 0, 1, 9, 10, 65_536]),
        part=st.sampled_from([0, 0, 0, 1, 5, 6]),
    )
    def data(self, data: st.DataObject, size: int, part: int) -> None:
        """-1: what the upload lacks, in one frame."""
        host = self._host(data, "data")
        talk = self.world.talks[host]
        if size < 0:
            size = max(talk.opened.size - talk.sent, 0)
        whole = Step("data", host, size=size, bytes=part)
        self.play(whole if self.world.can(whole) else Step("data", host, size=size, bytes=part or 7))

    @precondition(lambda self: self.world.hosts("eof"))
    @rule(data=st.data(), verb=st.sampled_from(["eof", "stray"]))
    def end_upload(self, data: st.DataObject, verb: str) -> None:
        self.play(Step(verb, self._host(data, verb)))

    @precondition(lambda self: self.world.hosts("half-close"))
    @rule(data=st.data(), often=st.integers(0, 2))
    def half_close(self, data: st.DataObject, often: int) -> None:
        """Not too often: little can follow."""
        if often == 2:
            self.play(Step("half-close", self._host(data, "half-close")))

    @precondition(lambda self: self.world.hosts("close"))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.play(Step("close", self._host(data, "close")))

    @precondition(lambda self: self.world.queue and not self.world.timed())
    @rule(data=st.data())
    def leave_the_queue(self, data: st.DataObject) -> None:
        self.play(Step("close", data.draw(st.sampled_from([talk.number for talk in self.world.queue]))))

    @precondition(lambda self: self.world.hosts("release"))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.play(Step("release", self._host(data, "release")))

    @precondition(lambda self: self.world.hosts("read"))
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self.play(Step("read", self._host(data, "read")))

    @precondition(lambda self: self.world.timed())
    @rule()
    def wait(self) -> None:
        self.play(Step("wait"))

    @precondition(lambda self: self.world.stallable())
    @rule(often=st.integers(0, 11))
    def stall(self, often: int) -> None:
        """Seldom: it costs more than all other steps of an example together. In an upload it means most."""
        uploading = any(talk.ask.kind == "upload" for talk in self.world.serving)
        if often >= (8 if uploading else 11):
            self.play(Step("stall"))

    @precondition(lambda self: len(self.world.open()) < HOSTS - 4)
    @rule(size=st.integers(0, 4))
    def burst(self, size: int) -> None:
        if size > 1:
            self.play(Step("burst", size=size))
