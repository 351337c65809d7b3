"""What the contract makes of a sequence of steps: who is served, who waits, and what is due after each step.

The answers themselves come from the oracle, which takes the same steps. This model knows when there is one to compare. Steps
are taken one after another, and what a step makes due is awaited before the next one, so that hosts interleave at every byte
while nothing depends on who is faster. Where the contract leaves something open all the same, it is not compared:

- A command is cut off only once it has started, or while it certainly waits its turn. Right after its request it might have
  run or not. For the same reason nobody who waits is cut off, and no silence is expected of it, while a command with a deadline
  is in a slot, which comes free at a moment of its own.
- What a host was sent before it hung up is not compared: how far the agent had got is its own affair.
- A request with a bad field may be refused before its turn or at it.
- A host that half-closes in the middle of its upload: the contract promises it no answer, only that nothing is left. It must
  end, and not with ok.
- A response given up because nobody read it (CONV-STALL) ends somewhere, without EOF. What came of it must be its beginning.
- Two or more requests for the same file that may be served at the same moment (with a deadline running, that is any moment
  since): any order is right, so neither what a download brought nor what the file holds in the end is compared.
- A frame's boundary within a stream, the order between the two streams, error texts, agent_version and instance.
- Whoever is nearer to a timeout than NEAR without a `stall` having been asked for (a slow machine): the example is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from guestwire import protocol
from guestwire.stateful.asks import ASKS, UPLOAD_MOST, Ask, check_of, valid
from guestwire.stateful.steps import SLOTS, Step

HOSTS = 10  # at once
HEADER = 5
AHEAD_BYTES, AHEAD_SENDS = (
    1000,
    6,
)  # of an upload that waits its turn: kernels differ in what an unread connection holds


@dataclass
class Talk:
    """One host's conversation. `phase`: asking (its request is not whole), queued, serving, answered, left."""

    number: int
    opened: Step
    phase: str = "asking"
    half_closed: bool = False
    served: bool = False
    released: bool = False
    waited: bool = False  # its turn did not come at once
    loose: str = ""  # what is not compared: ended, given-up, any-version
    frames: list[tuple[int, int]] = field(default_factory=list)  # of the upload: type, payload's length
    delivered: int = 0  # bytes of them
    ahead: int = 0  # times that some were sent while it waited its turn

    @property
    def ask(self) -> Ask:
        return ASKS[self.opened.ask]

    @property
    def check(self) -> str:
        return "SRV-SLOTS/queued" if self.waited else check_of(self.opened)

    @property
    def due(self) -> int:
        """Bytes of the upload's frames that have not gone out."""
        return sum(HEADER + length for _, length in self.frames) - self.delivered

    @property
    def sent(self) -> int:
        """Bytes of content in the upload's DATA frames so far."""
        return sum(length for kind, length in self.frames if kind == protocol.FRAME_DATA)

    def upload_ended(self) -> bool:
        """PUT-OK, PUT-SHORT, PUT-FRAME: whether what was delivered decides the upload."""
        left, here = self.opened.size, self.delivered
        for kind, length in self.frames:
            if left == 0:
                break
            if here < HEADER:
                return False
            fits = kind == protocol.FRAME_DATA and length <= left
            if here < HEADER + length:
                return False  # even if it crosses `size`, it is answered when it is whole
            if not fits:
                return True
            left -= length
            here -= HEADER + length
        return left == 0


@dataclass(frozen=True)
class Due:
    """What must happen now. `what`: started, bytes (a first one), answered, gone (the command was killed), lived."""

    what: str
    host: int
    check: str


class World:
    """All hosts of one example. `due`, `moved` and `undecided` describe the last step, except that `undecided` accumulates."""

    def __init__(self) -> None:
        self.talks: dict[int, Talk] = {}
        self.queue: list[Talk] = []
        self.serving: list[Talk] = []
        self.due: list[Due] = []
        self.moved: set[int] = set()  # whose clock has started anew
        self.undecided: set[str] = set()  # files
        self._touched: list[Talk] = []  # who got at the file `shared` in this step, or since somebody's deadline runs

    # ---- what is possible

    def open(self) -> list[Talk]:
        """Hosts that have not left."""
        return [talk for talk in self.talks.values() if talk.phase != "left"]

    def timed(self) -> bool:
        """Whether somebody's deadline runs."""
        return any(talk.ask.kind == "timed" for talk in self.serving)

    def hosts(self, verb: str) -> list[int]:
        """Who can take a step with that verb."""
        talks = self.talks.values() if verb == "release" else self.open()  # a daemon outlives its host
        return [talk.number for talk in talks if self._can(talk, verb)]

    def _can(self, talk: Talk, verb: str) -> bool:
        if verb in ("send", "half-close"):
            return not talk.half_closed and (verb == "half-close" or talk.phase == "asking")
        if verb in ("data", "eof", "stray"):
            return talk.ask.kind == "upload" and talk.phase != "asking" and not talk.half_closed
        if verb == "close":
            return not (self.timed() and talk.phase in ("queued", "serving"))
        if verb == "release":
            waits = talk.phase == "serving" if talk.ask.kind == "gate" else talk.served and talk.opened.ask == "daemon"
            return waits and not talk.released
        return verb == "read" and talk.ask.kind == "unread" and talk.phase == "serving"

    def can(self, step: Step) -> bool:
        """Whether the contract decides what this step does now."""
        if step.do == "open":
            return step.host == len(self.talks) + 1 and len(self.open()) < HOSTS and valid(step)
        if step.do == "burst":
            return 2 <= step.size <= HOSTS - len(self.open())
        if step.do == "wait":
            return self.timed()
        if step.do == "stall":
            clocked = [talk for talk in self.queue if talk.ask.kind in ("upload", "unread", "timed")]
            return self.stallable() and not clocked and not self.timed()
        if step.host not in self.hosts(step.do):
            return False
        talk = self.talks[step.host]
        if step.do == "send":
            proper = talk.ask.kind == "upload" and not step.bytes if step.data else step.bytes >= 0
            return proper and (not step.data or self._fits(step, talk))
        if step.do == "data":
            return step.bytes >= 0 and talk.sent + step.size <= UPLOAD_MOST and self._fits(step, talk)
        return step.do not in ("eof", "stray") or self._fits(step, talk)

    def _fits(self, step: Step, talk: Talk) -> bool:
        """Whether an agent that does not read this part of an upload yet leaves room for it."""
        if talk.phase == "serving" or (talk.phase == "asking" and len(self.serving) < SLOTS):
            return True
        due = talk.due + HEADER + (step.data or step.size)
        return talk.phase == "answered" or (talk.ahead < AHEAD_SENDS and min(step.bytes or due, due) <= AHEAD_BYTES)

    def stallable(self) -> bool:
        """Whether there is somebody whose timeout can pass."""
        return any(talk.phase == "asking" for talk in self.open()) or any(self.clocked(talk) for talk in self.serving)

    def clocked(self, talk: Talk) -> bool:
        """Whether a timeout runs for this host; or may run, for a deadline may have passed and made room for it."""
        if talk.phase == "asking":
            return True
        begun = talk.phase == "serving" or (talk.phase == "queued" and self.timed())
        return begun and (talk.ask.kind == "upload" or talk.opened.ask == "get-large")

    def silent(self) -> list[Talk]:
        """Hosts that cannot have been sent a single byte."""
        sure = not self.timed()
        quiet = [t for t in self.serving if t.ask.kind == "upload" or t.opened.ask == "silent"]
        waiting = [t for t in self.queue if sure and not t.ask.early]
        return quiet + waiting + [t for t in self.open() if t.phase == "asking"]

    # ---- what it does

    def take(self, step: Step) -> None:
        """Take a possible step."""
        self.due, self.moved = [], set()
        timed = self.timed()
        if not timed:
            self._touched = []
        if step.do == "open":
            self._open(step)
        elif step.do == "burst":
            for number in range(len(self.talks) + 1, len(self.talks) + 1 + step.size):
                self._asked(self._open(Step("open", number, ask="exit")))
        elif step.do == "wait":
            while self.timed():
                for talk in [t for t in self.serving if t.ask.kind == "timed"]:
                    self._answer(talk)
                self._serve()
        elif step.do == "stall":
            self._stall()
        else:
            self._take(step, self.talks[step.host])
        self._serve()
        early = [talk for talk in self.queue if (timed or self.timed()) and talk.opened.to == "shared"]
        if self._touched and len(self._touched + early) > 1:
            self.undecided.add("shared")
        if "shared" in self.undecided:
            for talk in self._touched:
                talk.loose = talk.loose or "any-version"

    def _open(self, step: Step) -> Talk:
        talk = self.talks[step.host] = Talk(step.host, step)
        self.moved.add(step.host)
        return talk

    def _take(self, step: Step, talk: Talk) -> None:
        if step.do == "send" and not step.bytes:
            if step.data:
                talk.frames.append((protocol.FRAME_DATA, step.data))
                talk.delivered += HEADER + step.data
            self._asked(talk)
        elif step.do in ("data", "eof", "stray"):
            kinds = {"data": protocol.FRAME_DATA, "eof": protocol.FRAME_EOF, "stray": protocol.FRAME_STDOUT}
            talk.frames.append((kinds[step.do], step.size))
            talk.delivered += min(step.bytes or talk.due, talk.due)
            talk.ahead += talk.phase == "queued"
            self.moved.add(talk.number)
            self._progress(talk)
        elif step.do == "half-close":
            talk.half_closed = True
            if talk.phase == "asking":
                self._answer(talk)
            self._progress(talk)
        elif step.do == "close":
            self._leave(talk)
        elif step.do == "release":
            talk.released = True
            if talk.phase == "serving":
                self._answer(talk)
            else:
                self.due.append(Due("lived", talk.number, talk.check))
        elif step.do == "read":
            self._answer(talk)

    def _asked(self, talk: Talk) -> None:
        """The request is whole."""
        if talk.ask.kind == "desk":
            self._answer(talk)
            return
        talk.phase = "queued"
        self.queue.append(talk)
        self._serve()
        talk.waited = talk.phase == "queued"

    def _serve(self) -> None:
        """SRV-SLOTS: in order, as slots are free."""
        while self.queue and len(self.serving) < SLOTS:
            talk = self.queue.pop(0)
            talk.phase, talk.served = "serving", True
            self.serving.append(talk)
            self.moved.add(talk.number)
            if talk.opened.to == "shared" and talk.ask.kind == "quick":
                self._touched.append(talk)
            if talk.opened.ask == "get-large":
                self.due.append(Due("bytes", talk.number, talk.check))
            elif talk.ask.kind in ("gate", "unread"):
                self.due.append(Due("started", talk.number, talk.check))
            self._progress(talk)

    def _progress(self, talk: Talk) -> None:
        """Answer what is served and complete."""
        if talk.phase != "serving":
            return
        if talk.ask.kind == "quick":
            self._answer(talk)
        elif talk.ask.kind == "upload" and talk.upload_ended():
            if talk.opened.to == "shared":
                self._touched.append(talk)
            self._answer(talk)
        elif talk.ask.kind == "upload" and talk.half_closed:
            talk.loose = "ended"
            self._answer(talk)

    def _answer(self, talk: Talk) -> None:
        if talk in self.serving:
            self.serving.remove(talk)
        talk.phase = "answered"
        self.due.append(Due("answered", talk.number, talk.check))

    def _leave(self, talk: Talk) -> None:
        if talk in self.serving:
            self.serving.remove(talk)
            if talk.ask.kind == "gate":
                self.due.append(Due("gone", talk.number, "RUN-HANGUP/silent"))
        if talk in self.queue:
            self.queue.remove(talk)
        talk.phase = "left"

    def _stall(self) -> None:
        for talk in self.open():
            if self.clocked(talk):
                if talk.opened.ask == "get-large":
                    talk.loose = "given-up"
                self._answer(talk)

    # ---- the end

    def closing(self) -> Step | None:
        """The next step towards the end of the example: whoever cannot be answered leaves, the rest is awaited."""
        if self.timed():
            return Step("wait")
        for talk in self.open():
            unfinished = talk.ask.kind == "upload" and talk.phase in ("queued", "serving")
            if talk.phase == "asking" or unfinished:
                return Step("close", talk.number)
        for verb in ("release", "read", "close"):
            for number in self.hosts(verb):
                if verb == "close" and self.talks[number].phase != "answered":
                    continue
                return Step(verb, number)
        return None
