"""`conform` as macOS would run it, as far as that can be played on Linux: `python darwin.py WORDS...`.

Before anything of the harness is imported, the platform is called darwin, the names that only Linux has are taken out of the
standard library, the C library does not know Linux's calls, and nothing below /proc or /sys is there. Programs that the harness
starts are not held back, so a test of this has to see which ones those are: each is written to the file $STARTED.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import fcntl
import importlib
import io
import os
import re
import resource
import select
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable
from types import ModuleType
from typing import Any

LINUX_ONLY: dict[ModuleType, str] = {
    os: r"pidfd_open|memfd_create|setns|unshare|eventfd.*|sched_(?!yield).*|posix_fa.*|splice|copy_file_range|getrandom|pipe2"
    r"|[gs]etres[ug]id|.*xattr|waitid.*|fdatasync|O_(PATH|TMPFILE|DIRECT|LARGEFILE|NOATIME|RSYNC)|P_P(ID|GID|IDFD)|P_ALL|WNOWAIT"
    r"|(MFD|EFD|CLONE|SCHED|RWF|XATTR|GRND|SPLICE)_.*",
    socket: r"AF_(VSOCK|NETLINK|PACKET|ALG|TIPC|CAN|QIPCRTR|RDS)|(VMADDR|NETLINK|PACKET|ALG|CAN|TIPC|BT)_.*|VM_SOCKETS.*"
    r"|SO_(PEERCRED|DOMAIN|PROTOCOL|PASSCRED|PASSSEC|PEERSEC|MARK|PRIORITY|BINDTODEVICE|INCOMING_CPU|VM_.*)|SOCK_(CLOEXEC|NONBLOCK)"
    r"|MSG_(CMSG_CLOEXEC|NOSIGNAL|MORE|ERRQUEUE|CONFIRM|FASTOPEN)|TCP_(QUICKACK|CORK|DEFER_ACCEPT|INFO|USER_TIMEOUT)",
    select: r"epoll|EPOLL.*|POLLRDHUP|POLLMSG",
    signal: r"SIGRT.*|SIGPWR|SIGSTKFLT|SIGPOLL|SIGCLD|sigtimedwait|sigwaitinfo|pidfd_.*",
    resource: r"prlimit|RLIMIT_(RTPRIO|RTTIME|SIGPENDING|MSGQUEUE|NICE|OFILE)|RUSAGE_THREAD",
    fcntl: r"F_(SETPIPE_SZ|GETPIPE_SZ|OFD_.*|ADD_SEALS|GET_SEALS|SEAL_.*|NOTIFY|SETSIG|GETSIG|SETLEASE|GETLEASE)|DN_.*",
}
NOT_IN_LIBC = (
    "prctl",
    "renameat2",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pidfd_open",
    "process_vm_readv",
    "memfd_create",
)
NOT_THERE = re.compile(r"/(proc|sys)(/|$)")


class Library(ctypes.CDLL):
    """The C library, without Linux's own."""

    def __getattr__(self, name: str) -> Any:
        if name in NOT_IN_LIBC:
            raise AttributeError(f"dlsym: symbol not found: {name}")
        return super().__getattr__(name)


def without(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, for a system that has neither /proc nor /sys."""

    def held(path: Any = ".", *words: Any, **named: Any) -> Any:
        if isinstance(path, str | bytes | os.PathLike) and NOT_THERE.match(os.fsdecode(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        return call(path, *words, **named)

    return held


def note(event: str, words: tuple[Any, ...]) -> None:
    """Write down what is started."""
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty"):
        with real_open(os.environ["STARTED"], "a") as file:
            file.write(f"{event} {words}\n")


real_open = open


def become_darwin() -> None:
    """From here on. What the interpreter has imported by itself is left as it is."""
    sysconfig.get_config_vars()  # are those of this interpreter; macOS's are in no file here
    sys.platform = "darwin"
    for module, names in LINUX_ONLY.items():
        for name in [name for name in vars(module) if re.fullmatch(names, name)]:
            delattr(module, name)
    setattr(ctypes, "CDLL", Library)  # noqa: B010
    for name in ("open", "listdir", "readlink", "stat", "lstat", "scandir", "access"):
        setattr(os, name, without(getattr(os, name)))
    builtins.open = io.open = without(real_open)
    sys.addaudithook(note)


if __name__ == "__main__":
    assert "guestwire" not in sys.modules
    become_darwin()
    sys.exit(importlib.import_module("guestwire.cli").main(sys.argv[1:]))
