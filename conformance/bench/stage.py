"""Processes and measurements of the benchmark: the agents, the floors in C, and the load generator in C that drives both."""

from __future__ import annotations

import contextlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TOOLS = Path("build/bench")
MEMORY_FILES = Path("/dev/shm")  # a tmpfs, so that no disk is measured


class BenchError(Exception):
    """A measurement could not be made; one line saying what is wrong."""


class Stage:
    """A folder on a tmpfs, and the servers that run in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="guestwire-bench-", dir=MEMORY_FILES))
        self._servers: list[subprocess.Popen[bytes]] = []

    def serve(self, name: str, *argv: str) -> str:
        """Start a server whose words may contain {socket}; wait until it accepts. Return: its socket's path."""
        path = str(self.folder / f"{name}.sock")
        words = [word.replace("{socket}", path) for word in argv]
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except OSError as error:
            raise BenchError(f"{words[0]}: {error.strerror}; `make bench` builds what it needs") from None
        self._servers.append(process)
        end = time.monotonic() + 10
        while not Path(path).exists():
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError(f"{words[0]} did not start to serve")
            time.sleep(0.002)
        time.sleep(0.05)
        return path

    @property
    def last_pid(self) -> int:
        return self._servers[-1].pid

    def stop_servers(self) -> None:
        """SIGTERM for every server, SIGKILL for those that stay."""
        for process in self._servers:
            process.send_signal(signal.SIGTERM)
        for process in self._servers:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._servers = []

    def close(self) -> None:
        self.stop_servers()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A Stage that is cleared away whatever happens."""
    made = Stage()
    try:
        yield made
    finally:
        made.close()


def load(*words: str | int, timeout: float = 120) -> list[int]:
    """Run the load generator: nanoseconds, a line each."""
    argv = [str(TOOLS / "load"), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise BenchError(f"load {words[0]}: {done.stderr.strip()}")
    return [int(line) for line in done.stdout.split()]


def interleaved(rounds: int, **measured: Callable[[], float]) -> dict[str, list[float]]:
    """Each measurement once a round, in turn, so that a busy moment hits all of them. Return: a value for each round."""
    values: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, measure in measured.items():
            values[name].append(measure())
    return values


def medians(rounds: int, **measured: Callable[[], float]) -> dict[str, float]:
    """As interleaved(). Return: the median of each."""
    return {name: statistics.median(found) for name, found in interleaved(rounds, **measured).items()}


def ratio(over: list[float], under: list[float]) -> float:
    """The median of the rounds' ratios: steadier than the ratio of medians where the scheduler's mood moves both."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def pss(pid: int) -> int:
    """Proportional set size of a process in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"no Pss for process {pid}")
