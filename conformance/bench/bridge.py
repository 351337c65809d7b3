"""`make bench-bridge`: the bridge beside a plain splice loop, a minimal blocking relay and socat, in one run. Exit 1 when a
bar is missed.

--check measures only what does not depend on how busy the machine is: crowds, descriptors and memory.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from guestwire.bench.result import Result, least, most, tell
from guestwire.bench.stage import BenchError, Stage, interleaved, load, medians, pss, ratio, stage

BRIDGE = "build/guestwire"
RELAY = "build/bench/relay"
GIB = 1 << 30
KIB = 1024
CROWD = 1000
PATIENCE = 30.0  # seconds


def serve_bridge(on: Stage, guest: str) -> str:
    return on.serve("bridge", BRIDGE, "bridge", "--listen", "unix:{socket}", "--connect", f"unix:{guest}")


def serve_socat(on: Stage, guest: str) -> str:
    """socat as for many clients (`fork`, as long a queue as ours), with a buffer as large as the bridge's (`-b`)."""
    words = ("socat", "-b", "131072", "UNIX-LISTEN:{socket},fork,backlog=1024", f"UNIX-CONNECT:{guest}")
    if shutil.which("socat") is None:
        raise BenchError("socat is not installed; run ci/setup packages test")
    return on.serve("socat", *words)


def throughput(rounds: int, size: int) -> list[Result]:
    """One client reads `size` bytes of a guest that sends as fast as it can."""
    with stage() as on:
        guest = on.serve("guest", RELAY, "pour", "{socket}", str(size))
        ways = {
            "bridge": serve_bridge(on, guest),
            "splice": on.serve("splice", RELAY, "splice", "{socket}", guest),
            "socat": serve_socat(on, guest),
            "direct": guest,
        }
        took = interleaved(
            rounds, **{name: lambda path=path: size / load("read", path, "{}", size)[0] for name, path in ways.items()}
        )
    note = ", ".join(f"{name} {statistics.median(value):.2f} GB/s" for name, value in took.items())
    return [
        least("throughput / plain splice loop", ratio(took["bridge"], took["splice"]), 0.9, "x", note),
        least("throughput / socat", ratio(took["bridge"], took["socat"]), 1.3, "x", note),
    ]


def added_latency(rounds: int, count: int) -> list[Result]:
    """What each adds to connect, ping, read to the end, close."""
    with stage() as on:
        guest = on.serve("echo", "build/bench/floor", "echo", "{socket}")
        ways = {
            "direct": guest,
            "bridge": serve_bridge(on, guest),
            "relay": on.serve("relay", RELAY, "block", "{socket}", guest),
            "socat": serve_socat(on, guest),
        }
        took = medians(
            rounds,
            **{name: lambda path=path: load("ping", path, count)[0] / count / 1000 for name, path in ways.items()},
        )
    added = {name: took[name] - took["direct"] for name in ("bridge", "relay", "socat")}
    note = f"direct {took['direct']:.0f} us, " + ", ".join(f"{name} +{value:.0f} us" for name, value in added.items())
    return [
        most("added by a ping / by a blocking relay", added["bridge"] / added["relay"], 1.5, "x", note),
        most("added by a ping / by socat", added["bridge"] / added["socat"], 1, "x", note),
    ]


def _in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def crowd() -> Result:
    """How many of a thousand clients that are there at once get an answer of their own through the bridge."""
    with stage() as on, socket.socket(socket.AF_UNIX) as listener:
        guest = str(on.folder / "guest.sock")
        listener.bind(guest)
        listener.listen(CROWD)
        listener.settimeout(PATIENCE)
        path = serve_bridge(on, guest)
        guests: list[socket.socket] = []
        clients: list[socket.socket] = []
        accepting = _in_background(lambda: guests.extend(listener.accept()[0] for _ in range(CROWD)))
        try:
            for number in range(CROWD):
                client = socket.socket(socket.AF_UNIX)
                clients.append(client)
                client.settimeout(PATIENCE)
                client.connect(path)
                client.sendall(b"%04d" % number)
            accepting.join(PATIENCE)
            for one in guests:
                one.settimeout(PATIENCE)
                one.sendall(one.recv(4))
            answered = sum(client.recv(4) == b"%04d" % number for number, client in enumerate(clients))
        except OSError as error:
            raise BenchError(f"a crowd of {CROWD}: {error}") from None
        finally:
            for one in guests + clients:
                one.close()
    return least("connections at once, each answered", answered, CROWD, "")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def lasting(count: int = 10_000) -> list[Result]:
    """What ten thousand pairs, one after another, leave behind."""
    with stage() as on:
        guest = on.serve("echo", "build/bench/floor", "echo", "{socket}")
        path = serve_bridge(on, guest)
        load("ping", path, 100)
        time.sleep(1.2)  # pipes that nobody uses are closed after a while
        before = descriptors(on.last_pid), pss(on.last_pid)
        load("ping", path, count)
        time.sleep(1.2)
        after = descriptors(on.last_pid), pss(on.last_pid)
    return [
        most("descriptors added by 10,000 pairs", after[0] - before[0], 0, ""),
        most("PSS added by 10,000 pairs", (after[1] - before[1]) / KIB, 32, "KiB", f"of {before[1] / KIB:.0f} KiB"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="guestwire.bench.bridge", description=__doc__)
    parser.add_argument("--check", action="store_true", help="crowds, descriptors and memory only")
    parser.add_argument("--rounds", type=int, default=21, help="rounds of each measurement; medians count (default 21)")
    parser.add_argument("--json", default="build/bench/bridge.json", help="where to write the figures")
    options = parser.parse_args()
    try:
        results = [crowd(), *lasting()]
        if not options.check:
            results += throughput(options.rounds, GIB) + added_latency(options.rounds, 400)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return tell(results, Path(options.json))


if __name__ == "__main__":
    sys.exit(main())
