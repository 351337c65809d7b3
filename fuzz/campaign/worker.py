"""One process of a target, started again after each finding until its time is over."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from campaign import libfuzzer, stack
from campaign.libfuzzer import Telling
from campaign.places import Places

AGAIN = 20  # times that a target may fail in the same way before it is left alone
OVERTIME = 60  # seconds beyond its time after which a process hangs


@dataclass
class Found:
    """An input that broke a target, as the process left it."""

    target: str
    artifact: Path
    broken: stack.Broken
    log: list[str]


@dataclass
class Sample:
    """How far a target was, `at` seconds after its start."""

    at: float
    edges: int
    corpus: int
    executions: int


@dataclass
class State:
    """A target's part of a campaign, shared by its workers."""

    target: str
    workers: int
    begun: float | None = None  # monotonic
    ended: float | None = None
    tellings: dict[int, Telling] = field(default_factory=dict)  # of what runs now, by worker
    past: int = 0  # executions of processes that have ended
    newest: float = 0.0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    samples: list[Sample] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # that it did not start, hung, or did nothing
    given_up: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def executions(self) -> int:
        return self.past + sum(telling.executions for telling in self.tellings.values())

    @property
    def seconds(self) -> float:
        return 0.0 if self.begun is None else (self.ended or time.monotonic()) - self.begun

    @property
    def per_second(self) -> int:
        """As the processes tell it while they run, else over all of the time."""
        now = sum(telling.per_second for telling in self.tellings.values())
        return now or (round(self.executions / self.seconds) if self.seconds else 0)

    @property
    def since_newest(self) -> float:
        """Seconds since the number of edges grew."""
        return 0.0 if self.begun is None else (self.ended or time.monotonic()) - max(self.newest, self.begun)

    def look(self, closing: bool = False) -> None:
        """Take over what the processes have told, and keep a sample of each step, and of the end."""
        for telling in self.tellings.values():
            if telling.edges > self.edges:
                self.newest, self.edges = max(self.newest, telling.newest), telling.edges
            self.features = max(self.features, telling.features)
            self.corpus = telling.corpus or self.corpus
        last = self.samples[-1] if self.samples else None
        if self.edges and (last is None or last.edges < self.edges or self.seconds - last.at > 5 or closing):
            self.samples.append(Sample(self.seconds, self.edges, self.corpus, self.executions))


class Worker(threading.Thread):
    """Runs a target's process again and again. `stop()` ends it soon."""

    def __init__(self, places: Places, state: State, number: int, seconds: int) -> None:
        super().__init__(name=f"{state.target}-{number}")
        self._places, self._state, self._number, self._seconds = places, state, number, seconds
        self._stopped = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._artifacts = places.artifacts(state.target)

    def run(self) -> None:
        state = self._state
        with state.lock:
            state.begun = state.begun or time.monotonic()
        end = time.monotonic() + self._seconds
        seen: Counter[str] = Counter()
        try:
            while not self._stopped.is_set() and (left := round(end - time.monotonic())) > 0:
                found = self._process_once(left)
                seen.update(each.broken.key for each in found)
                if not found:
                    break
                if max(seen.values()) >= AGAIN:
                    state.given_up = f"failed {AGAIN} times in the same way: {seen.most_common(1)[0][0]}"
                    break
        except OSError as error:
            state.failures.append(f"cannot be started: {error}")
        finally:
            with state.lock:
                state.look(closing=True)
                state.ended = time.monotonic()
            with suppress(OSError):  # unless something is in it
                self._artifacts.rmdir()

    def stop(self) -> None:
        self._stopped.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _process_once(self, seconds: int) -> list[Found]:
        """Run the target for so long, or until something breaks. Return: what did."""
        state, telling = self._state, Telling()
        self._process = process = subprocess.Popen(
            libfuzzer.command(self._places, state.target, seconds, self._artifacts),
            env=libfuzzer.environment(),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is the campaign's to handle
        )
        alarm = threading.Timer(seconds + OVERTIME, self._hung, (process,))
        alarm.start()
        with state.lock:
            state.tellings[self._number] = telling
        assert process.stderr is not None
        with process.stderr as output:
            for line in output:
                telling.hear(line.rstrip("\n"))
        status = process.wait()
        alarm.cancel()
        return self._account(telling, status)

    def _hung(self, process: subprocess.Popen[str]) -> None:
        self._state.failures.append("did not end by itself")
        process.kill()

    def _account(self, telling: Telling, status: int) -> list[Found]:
        """A process has ended: add up what it did."""
        state = self._state
        broken = stack.read(telling.log)
        found = [Found(state.target, path, broken, list(telling.log)) for path in telling.artifacts if path.exists()]
        with state.lock:
            state.look()
            del state.tellings[self._number]
            state.past += telling.executions
            state.found += found
            if status != 0 and not found and not self._stopped.is_set():
                words = next((line for line in reversed(telling.log) if line.strip()), "it said nothing")
                state.failures.append(f"ended with status {status}: {words.strip()[:200]}")
            elif telling.executions == 0 and not self._stopped.is_set():
                state.failures.append("ran not one input")
            elif telling.edges == 0 and not found and not self._stopped.is_set():
                state.failures.append("reached not one edge: it was built without instrumentation")
        return found
