#!/usr/bin/env -S python3 -I -S
"""A miniature of a bridge from one Unix socket to another, to judge the harness by. On demand it misbehaves.

    tiny_bridge.py [FAULT] --listen unix:PATH --connect unix:PATH

mute: it carries nothing. whole: it drops half-closes. dies: it ends by SIGSEGV at the second connection. leaks: it keeps a
descriptor of each pair. litters: it makes a file and leaves it. stray: it leaves a process. dead: it exits at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import NoReturn

FAULTS = ("mute", "whole", "dies", "leaks", "litters", "stray", "dead")


def pump(source: socket.socket, sink: socket.socket, fault: str) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        if fault != "whole":
            sink.shutdown(socket.SHUT_WR)


def serve(client: socket.socket, target: str, fault: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as guest:
        if fault == "mute":
            client.recv(1)
            return
        with contextlib.suppress(OSError):
            guest.connect(target)
            there = threading.Thread(target=pump, args=(client, guest, fault), daemon=True)
            there.start()
            pump(guest, client, fault)
            there.join(1 if fault == "whole" else None)
        if fault == "leaks":
            os.dup(client.fileno())


def main() -> None:
    words = sys.argv[1:]
    fault = words[0] if words[0] in FAULTS else ""
    path, target = (words[words.index(name) + 1].removeprefix("unix:") for name in ("--listen", "--connect"))
    if fault == "dead":
        sys.exit("tiny_bridge: it is dead")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)

    def stop(_: int, __: FrameType | None) -> NoReturn:
        os.unlink(path)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    count = 0
    while True:
        client = listener.accept()[0]
        count += 1
        if fault == "dies" and count == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if fault == "litters":
            with open(f"{os.path.dirname(path)}/litter", "w"):
                pass
        if fault == "stray" and os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            listener.close()
            client.close()
            signal.pause()
        threading.Thread(target=serve, args=(client, target, fault), daemon=True).start()


main()
