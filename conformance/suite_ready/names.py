"""A world with names of its own: /etc/hosts and the resolver's files replaced in a mount namespace, and a name server that
knows nothing, or never answers. Needs root."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from guestwire.drive.gate import GateBench
from guestwire.judge.outcome import CouldNotRun, DeadlineExceeded

SCRIPT = """
cd "$1" && shift
for name in *; do
    [ ! -e "/etc/$name" ] || mount --bind "$name" "/etc/$name" || exit 99
done
cd / && exec "$@"
"""
DNS_PORT = 53
NO_SUCH_NAME = 0x8183  # flags of an answer


class World:
    """What the command line `wrapper` puts a program into."""

    def __init__(self, gate: GateBench, hosts: Iterable[str] = (), answers: bool = True) -> None:
        """`hosts`: lines of /etc/hosts. `answers`: whether the name server says that there is no such name, or nothing."""
        self._folder = Path(gate.path("etc"))
        self._folder.mkdir()
        self._answers = answers
        self.questions = 0
        self._server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        address = f"127.{random.randint(64, 127)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        try:
            self._server.bind((address, DNS_PORT))
        except OSError as error:
            self._server.close()
            raise CouldNotRun(f"no name server at {address}:{DNS_PORT}: {error}") from None
        (self._folder / "hosts").write_text("127.0.0.1 localhost\n")
        (self._folder / "resolv.conf").write_text(f"nameserver {address}\n")
        (self._folder / "nsswitch.conf").write_text("hosts: files dns\n")
        self.hosts(*hosts)
        self.wrapper = ("unshare", "--mount", "--", "sh", "-c", SCRIPT, "sh", str(self._folder))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> World:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self._server.getsockname())  # wakes the thread
        self._thread.join(1)
        self._server.close()

    def hosts(self, *lines: str) -> None:
        """What the gate finds in /etc/hosts from now on. Written in place: it is the file that is mounted."""
        with open(self._folder / "hosts", "r+") as file:
            file.write("".join(f"{line}\n" for line in ("127.0.0.1 localhost", *lines)))

    def asked(self, count: int, within: float = 10.0) -> None:
        """Wait until the name server has been asked so often. Raises DeadlineExceeded."""
        until = time.monotonic() + within
        while self.questions < count:
            if time.monotonic() > until:
                raise DeadlineExceeded(f"{count} questions to the name server", f"{self.questions} came")
            time.sleep(0.002)

    def _serve(self) -> None:
        while True:
            try:
                question, sender = self._server.recvfrom(4096)
                if not question:
                    return
                self.questions += 1
                if self._answers:
                    counts = question[4:6] + bytes(6)
                    body = question[12 : question.index(b"\0", 12) + 5]
                    self._server.sendto(question[:2] + NO_SUCH_NAME.to_bytes(2, "big") + counts + body, sender)
            except (OSError, ValueError):
                return
