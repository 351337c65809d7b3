"""`make bench`: the agent beside a floor and beside the oracle, in one run. Exit 1 when a bar is missed.

--check measures only what does not depend on how busy the machine is (size and memory): part of `make test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from guestwire.bench.result import Result, least, most, tell
from guestwire.bench.stage import BenchError, Stage, load, medians, pss, stage

AGENT = "build/smolvm-guest-agent"
ORACLE = "oracle/agent.py"
GIB = 1 << 30
KIB = 1024


def serve_agent(on: Stage, name: str, binary: str = AGENT) -> str:
    return on.serve(name, binary, "--listen", "unix:{socket}", "--quiet")


def footprint() -> list[Result]:
    """Size of the file; PSS when idle after one ping, and what 10,000 mixed requests add."""
    with stage() as on:
        agent = serve_agent(on, "agent")
        load("ping", agent, 1)
        time.sleep(1)  # idle workers end
        idle = pss(on.last_pid)
        load("mixed", agent, 10_000, str(on.folder))
        time.sleep(1)
        after = pss(on.last_pid)
    return [
        most("binary", Path(AGENT).stat().st_size / KIB, 80, "KiB"),
        most("idle PSS", idle / KIB, 80, "KiB"),
        most("PSS added by 10,000 requests", (after - idle) / KIB, 32, "KiB"),
    ]


def pings(rounds: int, count: int = 400) -> list[Result]:
    """Connect, ping, read to the end, close."""
    with stage() as on:
        sockets = {
            "agent": serve_agent(on, "agent"),
            "floor": on.serve("echo", "build/bench/floor", "echo", "{socket}"),
            "oracle": serve_agent(on, "oracle", ORACLE),
        }
        took = medians(
            rounds,
            **{name: lambda path=path: load("ping", path, count)[0] / count / 1000 for name, path in sockets.items()},
        )
    note = ", ".join(f"{name} {value:.0f} us" for name, value in took.items())
    return [
        most("ping / echo floor", took["agent"] / took["floor"], 2, "x", note),
        least("oracle's ping / ping", took["oracle"] / took["agent"], 3, "x", note),
    ]


def runs(rounds: int, count: int = 100) -> list[Result]:
    """`run true` against starting the same shell with pipes, reading them to their end, and waiting."""
    with stage() as on:
        agent = serve_agent(on, "agent")
        took = medians(
            rounds,
            agent=lambda: load("run", agent, count)[0] / count / 1000,
            floor=lambda: load("shell", count)[0] / count / 1000,
        )
    note = f"agent {took['agent']:.0f} us, floor {took['floor']:.0f} us"
    return [most("run true / floor", took["agent"] / took["floor"], 1.25, "x", note)]


def starts(rounds: int, count: int = 20) -> list[Result]:
    """From exec to the first answered ping, against the exec of an empty static binary."""
    took = medians(
        rounds,
        agent=lambda: statistics.median(load("start", count, AGENT, "--quiet")) / 1e6,
        floor=lambda: statistics.median(load("exec", count, "build/bench/empty")) / 1e6,
    )
    note = f"agent {took['agent']:.2f} ms, empty static binary {took['floor']:.2f} ms"
    return [most("start to first ping, beyond an exec", took["agent"] - took["floor"], 4, "ms", note)]


def throughput(kind: str, rounds: int, size: int) -> list[Result]:
    """Moving `size` bytes through the agent against the best floor that is allowed: a file's pages must not be lent to the
    socket, where they are zeroed on their way when the file is cut (GET-EXACT)."""
    with stage() as on:
        source, target = on.folder / "source", on.folder / "target"
        command = f"exec cat {source}"
        with source.open("wb") as file:
            for _ in range(size >> 20):
                file.write(b"guestwire-bench!" * 65_536)
        if kind == "put":
            source.unlink()
        request = {
            "get": {"op": "get_file", "path": str(source)},
            "out": {"op": "run", "shell": "raw", "cmd": command},
            "put": {"op": "put_file", "path": str(target), "size": size},
        }[kind]
        subject = {"get": str(source), "out": command, "put": str(target)}[kind]
        action = "put" if kind == "put" else "read"
        sockets = {"agent": serve_agent(on, "agent")}
        for way in ("copy", "splice"):
            sockets[way] = on.serve(way, "build/bench/floor", f"{kind}-{way}", "{socket}", subject)
        text = json.dumps(request)
        took = medians(
            rounds,
            **{name: lambda path=path: size / load(action, path, text, size)[0] for name, path in sockets.items()},
        )
    best = took["copy"] if kind == "get" else max(took["copy"], took["splice"])
    note = ", ".join(f"{name} {value:.2f} GB/s" for name, value in took.items())
    title = {"get": "get_file", "out": "run output", "put": "put_file"}[kind]
    return [least(f"{title} 1 GiB / best floor", took["agent"] / best, 0.8, "x", note)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="guestwire.bench", description=__doc__)
    parser.add_argument("--check", action="store_true", help="size and memory only")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each measurement; medians count (default 9)")
    parser.add_argument("--json", default="build/bench/bench.json", help="where to write the figures")
    options = parser.parse_args()
    try:
        results = footprint()
        if not options.check:
            results += pings(options.rounds) + runs(options.rounds) + starts(options.rounds)
            for kind in ("get", "out", "put"):
                results += throughput(kind, max(options.rounds // 2, 3), GIB)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return tell(results, Path(options.json))


if __name__ == "__main__":
    sys.exit(main())
