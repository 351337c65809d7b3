"""What shows, before anything is judged, that a bridge or a gate does its work at all. (An agent's is in drive/bracket.py.)

A bridge has to carry a byte there and another one back. A gate must not call a port ready that nobody listens on, and, unless
its descriptor says that it has no such probe, has to call a service ready that speaks as expected.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator

from guestwire import protocol
from guestwire.drive.conversation import frame
from guestwire.drive.guest import PROGRAM as AGENT
from guestwire.drive.program import Program, Running
from guestwire.judge.outcome import Crash, DeadlineExceeded, Violation, short

PATIENCE = 10.0  # seconds for each step; a quiet machine needs a hundredth of it
PROBES = {"ssh": "READY-SSH", "agent": "READY-AGENT", "http": "READY-HTTP"}
SSH = b"SSH-2.0-canary\r\n"
PING = frame(protocol.FRAME_JSON, b'{"op":"ping"}')


class NotUp(Violation):
    """It did not come up: the command line is wrong, most likely."""


@contextlib.contextmanager
def _listener(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        listener.settimeout(PATIENCE)
        yield listener


def _dialled(path: str, running: Running) -> socket.socket:
    """A connection to a socket that may not be there yet. Raises NotUp."""
    end = time.monotonic() + PATIENCE
    running.serves()  # from here on its end is a crash
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(path)
            return sock
        except OSError as error:
            sock.close()
            try:
                running.check()
            except Crash as crash:
                raise NotUp(crash.expected, crash.actual) from None
            if time.monotonic() > end:
                raise NotUp(f"it listens on its socket within {PATIENCE:g} s", str(error)) from None
            time.sleep(0.01)


def bridge(program: Program) -> None:
    """A byte goes through, in each direction. Raises NotUp, Violation, DeadlineExceeded."""
    guest, client = f"{program.scratch}/guest", f"{program.folder}/client"
    there, back = secrets.token_bytes(1), secrets.token_bytes(1)
    with _listener(guest) as listener:
        running = program.start(program.bridge(f"unix:{client}", f"unix:{guest}"))
        with _dialled(client, running) as one:
            try:
                one.sendall(there)
                with listener.accept()[0] as other:
                    other.settimeout(PATIENCE)
                    _same(other.recv(1), there, "the client's byte at the guest")
                    other.sendall(back)
                    _same(one.recv(1), back, "the guest's byte at the client")
            except TimeoutError:
                raise DeadlineExceeded(f"a byte carried both ways within {PATIENCE:g} s", "nothing came") from None
            except OSError as error:
                raise Violation("a byte carried both ways", str(error)) from None


def _same(came: bytes, sent: bytes, what: str) -> None:
    if came != sent:
        raise Violation(f"{what}: {short(sent)}", short(came))


def gate(program: Program) -> None:
    """A dead port is not ready, a service that speaks is. Raises Violation, DeadlineExceeded."""
    lacked = {name.partition("/")[0] for name in program.connectable.lacks}
    kinds = [kind for kind, clause in PROBES.items() if clause not in lacked]
    with socket.socket() as bound:  # nobody listens on it, and nobody else takes it meanwhile
        bound.bind(("127.0.0.1", 0))
        target = f"tcp:127.0.0.1:{bound.getsockname()[1]}"
        status = _answer(program, kinds[0] if kinds else "ssh", target, 0.5)
    if status == 0:
        raise Violation(f"{target}, where nobody listens, not called ready", "exit status 0")
    if "ssh" not in kinds:
        return
    with _speaking(f"{program.scratch}/sshd") as target:
        status = _answer(program, "ssh", target, PATIENCE)
    if status != 0:
        raise Violation(f"{target}, which answers, called ready (exit status 0)", f"exit status {status}")


def _answer(program: Program, kind: str, target: str, timeout: float) -> int:
    running = program.start(program.gate(kind, target, timeout))
    status = running.wait(timeout + PATIENCE)
    if status is None:
        raise DeadlineExceeded(f"an end within {timeout + PATIENCE:g} s, with --timeout {timeout:g}", "it still runs")
    return status


@contextlib.contextmanager
def _speaking(path: str) -> Iterator[str]:
    """Its target: a service that introduces itself to whoever connects."""
    with _listener(path) as listener:
        listener.settimeout(None)  # or shutdown() would not wake accept()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as sock:
                        sock.settimeout(PATIENCE)
                        sock.sendall(SSH)
                        while sock.recv(4096):
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"unix:{path}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def bridge_in_guest(program: Program) -> None:
    """A ping reaches an agent in the guest, and the answer comes back. Raises NotUp, Violation, DeadlineExceeded."""
    behind, client = f"{program.scratch}/agent", f"{program.folder}/client"
    program.helper((AGENT, "--listen", f"unix:{behind}"))
    running = program.start(program.bridge(f"unix:{client}", f"unix:{behind}"))
    running.serves()
    end = time.monotonic() + PATIENCE
    while True:
        said, ended = program.witness.talk_unix(client, PING, PATIENCE)
        if b'"pong"' in said:
            return
        try:
            running.check()
        except Crash as crash:
            raise NotUp(crash.expected, crash.actual) from None
        if ended not in ("ENOENT", "ECONNREFUSED"):
            raise Violation("an agent's answer carried back", f"{short(said)}, then {ended}")
        if time.monotonic() > end:
            raise NotUp(f"it listens on its socket within {PATIENCE:g} s", ended)


def gate_in_guest(program: Program) -> None:
    """A socket that is not there is not ready, an agent that answers is. Raises Violation, DeadlineExceeded."""
    target = f"unix:{program.scratch}/agent"
    status = _answer(program, "agent", target, 0.5)
    if status == 0:
        raise Violation(f"{target}, where nobody listens, not called ready", "exit status 0")
    program.helper((AGENT, "--listen", target))
    status = _answer(program, "agent", target, PATIENCE)
    if status != 0:
        raise Violation(f"{target}, which answers, called ready (exit status 0)", f"exit status {status}")


BY_CONTRACT = {"bridge": bridge, "ready": gate}
IN_GUEST = {"bridge": bridge_in_guest, "ready": gate_in_guest}
