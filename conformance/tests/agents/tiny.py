#!/usr/bin/env -S python3 -I -S
"""A miniature of an agent, to judge the harness by: it answers what the harness asks of every agent when it warms up (a ping, a
run, a get_file), one conversation after the other, and on demand misbehaves.

    tiny.py [--ok] [--refuse] [--bare] [--noise] [--frail] [--fickle unix|fd]
            [--die|hang|leak|flood|close|restart N]... --listen unix:PATH|fd:N

--ok answers everything with {"ok":true}, --refuse everything with an error, --bare leaves the version out of its pongs, --noise
writes garbage to stderr with each request, --frail ends with status 3 after it has refused the operation `frail`, --fickle adds
a member to pongs where it listens so. The others act on the Nth request and all that follow: --die ends by SIGSEGV, --hang
answers no more, --leak leaves a child behind, --flood answers without an end, --close closes at once, --restart calls itself by
another name in pongs once it has refused something, as an agent does that a supervisor has started again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import struct
import time


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BI", kind, len(payload)) + payload


def control(**members: object) -> bytes:
    return frame(1, json.dumps(members).encode())


def answer(request: bytes, options: argparse.Namespace, count: int) -> bytes:
    if options.ok:
        return control(ok=True)
    try:
        op = None if options.refuse else json.loads(request).get("op")
    except (ValueError, AttributeError):
        op = None
    if op == "ping":
        version = {} if options.bare else {"agent_version": "0"}
        more = {"mood": 1} if options.listen.startswith(options.fickle) else {}
        return control(ok=True, op="pong", proto=1, instance=f"{os.getpid()}-{options.life}", **version, **more)
    if op == "run":
        return control(ok=True, op="exit", exit_code=0)
    if op == "get_file":
        return control(ok=True, mode=0, size=0) + frame(5, b"")
    if options.restart and count >= options.restart:
        options.life += 1
    return control(ok=False, op="error", error="unknown op: nothing else is known here")


def converse(sock: socket.socket, options: argparse.Namespace, count: int) -> None:
    if options.noise:
        os.write(2, b"\xff\x00\x1b[2J\r\n" * 2_000)
    if options.close and count >= options.close:
        return
    if options.die and count >= options.die:
        os.kill(os.getpid(), signal.SIGSEGV)
    if options.hang and count >= options.hang:
        time.sleep(60)
    if options.leak and count >= options.leak and os.fork() == 0:
        os.execvp("sleep", ["sleep", "60"])
    while options.flood and count >= options.flood:
        sock.sendall(frame(2, bytes(65_536)))
    kind, length = struct.unpack(">BI", receive(sock, 5))
    request = receive(sock, length) if kind == 1 else b""
    sock.sendall(answer(request, options, count))
    sock.shutdown(socket.SHUT_WR)
    if options.frail and b'"frail"' in request:
        os._exit(3)
    while sock.recv(65_536):
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--ok", "--refuse", "--bare", "--noise", "--frail"):
        parser.add_argument(name, action="store_true")
    for name in ("--die", "--hang", "--leak", "--flood", "--close", "--restart"):
        parser.add_argument(name, type=int, default=0)
    parser.add_argument("--fickle", choices=("unix", "fd"), default="nowhere")
    parser.add_argument("--listen", required=True)
    options = parser.parse_args()
    options.life = 0
    kind, _, place = options.listen.partition(":")
    if kind == "fd":
        listener = socket.socket(fileno=int(place))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place)
        listener.listen(100)
    count = 0
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):  # one end of a connection
        if listener.recv(1, socket.MSG_PEEK):
            converse(listener, options, 1)
        return
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(1, socket.MSG_PEEK):  # the harness connects once to see that somebody is there
                count += 1
                with contextlib.suppress(EOFError, ConnectionError):
                    converse(connection, options, count)


if __name__ == "__main__":
    main()
