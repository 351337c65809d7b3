"""Real services for a gate to look at."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from guestwire.drive.gate import GateBench
from guestwire.judge.outcome import CouldNotRun

NOBODY = 65534
SSHD_PATHS = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", "")))


def free_port() -> int:
    """A port of 127.0.0.1 for a real server. None that the system gives to whoever asks for any."""
    while True:
        port = random.randint(20_000, 30_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return port


def sshd(gate: GateBench, port: int) -> None:
    """An sshd on 127.0.0.1, with a key and a configuration of its own, unprivileged."""
    program, keygen = shutil.which("sshd", path=SSHD_PATHS), shutil.which("ssh-keygen")
    if program is None or keygen is None:
        raise CouldNotRun("no sshd and ssh-keygen: install openssh-server")
    folder = Path(gate.path("sshd"))
    folder.mkdir()
    key, config = folder / "key", folder / "config"
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=10)
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {key}\nPidFile none\nUsePAM no\nStrictModes no\nLogLevel ERROR\n"
    )
    conditions: dict[str, Any] = {}
    if os.geteuid() == 0:  # as root it would want a directory of the system's
        conditions["uid"] = NOBODY
        for path in (folder, key, config):
            os.chown(path, NOBODY, NOBODY)
    gate.program.helper([program, "-D", "-e", "-f", str(config)], **conditions)


def web_server(gate: GateBench, port: int) -> None:
    """Python's http.server on 127.0.0.1, for an empty directory."""
    folder = Path(gate.path("www"))
    folder.mkdir()
    words = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]
    gate.program.helper(words)
