"""An agent in mount and PID namespaces of its own, witnessed through a helper process inside: the proof that cases run unchanged
against an agent whose world the harness cannot reach, as in a VM.

The helper is PID 1 of the namespace and serves Witness calls, pickled, over a socketpair. Its scratch directories stand on a
tmpfs that only it and the agent see; the agent's Unix socket stands in a directory that both sides see.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

from guestwire.drive.channel import Caller, Channel, serve
from guestwire.drive.process import become_subreaper
from guestwire.drive.witness import Witness
from guestwire.judge.outcome import CouldNotRun

_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_MS_REC, _MS_PRIVATE = 16384, 1 << 18


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _helper(descriptor: int, private: str) -> int:
    """Main of the helper: new namespaces, a child that is PID 1 in them."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID), "unshare")
    child = os.fork()
    if child != 0:
        os.close(descriptor)
        os.waitpid(child, 0)
        return 0
    libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG: SIGKILL; the namespace dies with PID 1
    _check(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")
    _check(libc.mount(b"proc", b"/proc", b"proc", 0, None), "mount /proc")
    _check(libc.mount(b"tmpfs", private.encode(), b"tmpfs", 0, b"mode=0755"), "mount a tmpfs")
    become_subreaper()
    serve(Channel(descriptor), Witness(Path(private)))
    return 0


class NamespacedWitness(Caller):
    """The same calls as Witness, carried out by the helper."""

    def __init__(self, folder: Path, local: Witness) -> None:
        """`folder` exists on both sides; scratch directories appear in `folder`/world, on the agent's side only."""
        private = folder / "world"
        private.mkdir()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "guestwire.drive.namespace", str(theirs.fileno()), str(private)],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        local.adopt(self._process.pid)
        super().__init__(Channel(ours.detach()))
        try:
            self.names(str(private))
        except (EOFError, OSError) as error:
            reason = self._process.communicate()[1].decode(errors="replace").strip().rpartition("\n")[2]
            raise CouldNotRun(f"transport unix-ns needs root (CAP_SYS_ADMIN): {reason or error}") from None

    def close(self) -> None:
        """End the namespaces with everything in them."""
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


if __name__ == "__main__":
    sys.exit(_helper(int(sys.argv[1]), sys.argv[2]))
