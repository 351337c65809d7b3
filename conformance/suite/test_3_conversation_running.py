"""Section 3: the times of an agent that runs already. It cannot be started with short ones, so each is waited for at the length
that its descriptor declares, else at the contract's default; all at once.

What these cases need in the agent's world they make through the agent itself: there may be no witness.
"""

from __future__ import annotations

import time

from guestwire.drive.connectable import Timers
from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import NotApplicable
from guestwire.suite.waiting import BIG, Wait, readable, watch

TIMES = ("CONV-STALL/upload", "CONV-STALL/download", "CONV-IDLE/closed", "CONV-LINGER/timeout")
DEFAULTS = ("CONV-STALL/upload-default", "CONV-STALL/download-default", "CONV-IDLE/default", "CONV-LINGER/default")
FOLDER = f'd=$(mktemp -d) && head -c {BIG} /dev/zero >"$d/file" && printf %s "$d"'


def wait_out(host: Host, *names: tuple[str, ...]) -> None:
    """Four conversations that the agent has to give up, each in its time, which is the verdict on the checks of its place."""
    folder = host.output(FOLDER).decode()
    try:
        conversations = upload, download, idle, linger = [host.connect() for _ in TIMES]
        start = time.monotonic()
        upload.send_json({"op": "put_file", "path": f"{folder}/upload", "size": 6})
        download.send_json({"op": "get_file", "path": f"{folder}/file"})
        linger.send_json({"op": "ping"})
        linger.recv_json()
        linger.end_of_stream()
        limits = (host.times.io_timeout, host.times.io_timeout, host.times.request_timeout, host.times.linger_timeout)
        gone = (lambda: readable([upload], 0), download.gone, lambda: readable([idle], 0), linger.gone)
        each = zip(zip(*names, strict=True), limits, conversations, gone, strict=True)
        watch(host, [Wait(checks, limit, conversation, asked, start) for checks, limit, conversation, asked in each])
    finally:
        host.output(f"rm -r '{folder}'")


@case(*TIMES, *DEFAULTS, variant="running", needs="running", deadline=90, long=True)
def test_default_times(host: Host) -> None:
    if host.times != Timers():
        raise NotApplicable("its descriptor declares other times than the contract's")
    wait_out(host, TIMES, DEFAULTS)


@case(*TIMES, variant="declared", needs="running other-times", long=True)
def test_declared_times(host: Host) -> None:
    """The deadline follows the times."""
    wait_out(host, TIMES)
