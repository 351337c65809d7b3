"""The witness: the only way a case sees or changes the agent's file system and processes. Here it is plain calls, for an agent
that shares this process's world; drive/namespace.py offers the same class for an agent in namespaces of its own, and a guest
will have another channel. Paths are str, or bytes where they are not UTF-8."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire.drive import autopsy, footprint, process, special
from guestwire.drive.footprint import Footprint
from guestwire.drive.process import Process, Started, StartSpec, Stats
from guestwire.judge.outcome import CouldNotRun

AnyPath = str | bytes
PUT_PREFIX = ".smolvm-put-"
_MS_RDONLY = 1
_MS_BIND = 4096


@dataclass(frozen=True)
class FileInfo:
    """lstat or stat of a file. `kind` is one of file, directory, link, fifo, socket, device."""

    kind: str
    mode: int  # permission bits, 07777
    size: int
    uid: int
    gid: int
    inode: int


def _kind(mode: int) -> str:
    tests: list[tuple[Callable[[int], bool], str]] = [
        (stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"),
        (stat.S_ISFIFO, "fifo"), (stat.S_ISSOCK, "socket"),
    ]  # fmt: skip
    return next((name for test, name in tests if test(mode)), "device")


class Witness(special.SpecialFiles):
    """Plain calls in the world of this process. Every argument and result can be pickled."""

    def __init__(self, folder: Path) -> None:
        """Scratch directories and the agents' stderr stand in a new directory in `folder`."""
        super().__init__()
        self._agents: dict[int, Started] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="witness-", dir=folder))
        self._folder.chmod(0o755)  # unprivileged agents must get through
        self._mounts: list[AnyPath] = []
        self._adopted: set[int] = set()
        self._known: set[str] = (
            set()
        )  # names in the folder; an agent has no business with it but in scratch directories

    # ---- files

    def scratch(self) -> str:
        """A new empty directory, mode 0755, gone when the session ends or drop() is called."""
        path = tempfile.mkdtemp(dir=self._folder)
        self._known.add(os.path.basename(path))
        os.chmod(path, 0o755)
        return path

    def home(self) -> str:
        """The directory for an agent's HOME and TMPDIR. One file stands there that has to stay as it is."""
        path = self.scratch()
        self.write(f"{path}/bystander", b"nobody's business\n", 0o640)
        return path

    def drop(self, path: AnyPath) -> None:
        """Remove a tree, mounts below it first, or a file."""
        for mount in [m for m in reversed(self._mounts) if os.fsencode(m).startswith(os.fsencode(path))]:
            self.unmount(mount)
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(path)

    def write(self, path: AnyPath, data: bytes, mode: int = 0o644) -> None:
        """Write a whole file and set its mode."""
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)

    def append(self, path: AnyPath, data: bytes) -> None:
        with open(path, "ab") as file:
            file.write(data)

    def read(self, path: AnyPath, limit: int = 64 << 20) -> bytes:
        with open(path, "rb") as file:
            return file.read(limit)

    def truncate(self, path: AnyPath, size: int) -> None:
        """Make or resize a (sparse) file."""
        with open(path, "ab") as file:
            file.truncate(size)

    def info(self, path: AnyPath, follow: bool = False) -> FileInfo | None:
        """None when there is nothing at the path."""
        try:
            found = os.stat(path, follow_symlinks=follow)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode = stat.S_IMODE(found.st_mode)
        return FileInfo(_kind(found.st_mode), mode, found.st_size, found.st_uid, found.st_gid, found.st_ino)

    def names(self, path: AnyPath) -> list[str]:
        """Names in a directory, sorted; bytes that are not UTF-8 as surrogates."""
        return sorted(os.fsdecode(name) for name in os.listdir(path))

    def tree(self, path: AnyPath) -> dict[str, tuple[FileInfo, bytes]]:
        """Everything below a directory, by its path from there: what it is, and a file's content or a link's target."""
        found: dict[str, tuple[FileInfo, bytes]] = {}
        folders = [os.fsencode(path)]
        for folder in folders:
            for name in os.listdir(folder):
                place = os.path.join(folder, name)
                info = self.info(place)
                if info is None:
                    continue  # gone meanwhile
                if info.kind == "directory":
                    folders.append(place)
                found[os.fsdecode(os.path.relpath(place, folders[0]))] = (info, self._inside(place, info.kind))
        return found

    def _inside(self, path: bytes, kind: str) -> bytes:
        if kind == "link":
            return os.readlink(path)
        return self.read(path) if kind == "file" else b""

    def temporaries(self, path: AnyPath) -> list[str]:
        """put_file's temporary files anywhere below a directory."""
        return [os.path.join(folder, name) for folder, _, names in os.walk(os.fsdecode(path))
                for name in names if name.startswith(PUT_PREFIX)]  # fmt: skip

    def mkdir(self, path: AnyPath, mode: int = 0o755) -> None:
        os.mkdir(path)
        os.chmod(path, mode)

    def chmod(self, path: AnyPath, mode: int) -> None:
        os.chmod(path, mode)

    def chown(self, path: AnyPath, uid: int) -> None:
        os.chown(path, uid, uid)

    def symlink(self, target: AnyPath, path: AnyPath) -> None:
        os.symlink(target, path)

    def readlink(self, path: AnyPath) -> str:
        return os.fsdecode(os.readlink(os.fsencode(path)))

    def rename(self, old: AnyPath, new: AnyPath) -> None:
        os.rename(old, new)

    def exchange(self, one: AnyPath, other: AnyPath) -> None:
        """Swap two names in one step (renameat2, RENAME_EXCHANGE)."""
        special.exchange(one, other)

    def unlink(self, path: AnyPath) -> None:
        os.unlink(path)

    def mkfifo(self, path: AnyPath) -> None:
        os.mkfifo(path)

    def feed(self, path: AnyPath, data: bytes) -> bool:
        """Write to a FIFO. Return: False if nobody has it open to read."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return False
            raise
        with open(descriptor, "wb", buffering=0) as fifo:
            fifo.write(data)
        return True

    def mknod_null(self, path: AnyPath) -> None:
        """A character device like /dev/null."""
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))

    def mksocket(self, path: AnyPath) -> None:
        """A Unix socket file that nobody listens on."""
        os.mknod(path, stat.S_IFSOCK | 0o666)

    def mount_tmpfs(self, path: AnyPath, size: int, readonly: bool = False) -> None:
        """A tmpfs of `size` bytes over a directory; read-only ones are empty."""
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={size},mode=0755".encode()
        if libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", _MS_RDONLY if readonly else 0, options) != 0:
            raise OSError(ctypes.get_errno(), f"mount of a tmpfs on {path!r}: needs root")
        self._mounts.append(path)

    def mount_over(self, source: AnyPath, path: AnyPath) -> None:
        """Bind-mount a file or directory over another one."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(os.fsencode(source), os.fsencode(path), None, _MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"bind mount on {path!r}: needs root")
        self._mounts.append(path)

    def unmount(self, path: AnyPath) -> None:
        ctypes.CDLL(None).umount2(os.fsencode(path), 2)
        self._mounts.remove(path)

    # ---- processes

    def process(self, pid: int) -> Process | None:
        """None when there is no such process."""
        return process.read_process(pid)

    def alive(self, pid: int) -> bool:
        """Whether it runs; a zombie does not."""
        found = process.read_process(pid)
        return found is not None and found.state not in "ZX"

    def wait_dead(self, pid: int, timeout: float) -> float | None:
        """Seconds until it ran no more, None if it still does after `timeout`."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            if not self.alive(pid):
                return time.monotonic() - start
            time.sleep(0.005)
        return None

    def children(self, pid: int) -> list[Process]:
        return [p for c in process.children(pid) if (p := process.read_process(c)) is not None]

    def signal(self, pid: int, number: int) -> None:
        os.kill(pid, number)

    def stats(self, pid: int) -> Stats | None:
        """None when it is gone."""
        return process.stats(pid)

    def counts(self, pid: int) -> tuple[int, int, int] | None:
        """(descriptors, threads, children), None when it is gone."""
        return process.counts(pid)

    def footprint(self, pid: int | None, watched: tuple[str, ...]) -> Footprint | None:
        """What an agent holds, how it is set, and the files that it has no business with: all in the watched directories,
        what nobody here made beside the scratch directories, and put_file's temporary files in its working directory. None
        when it is gone; without a pid of files alone."""
        files = footprint.entries(str(self._folder), known=self._known)
        if pid is not None:
            files |= footprint.entries(f"/proc/{pid}/cwd", PUT_PREFIX)
        for folder in watched:
            files |= footprint.entries(folder)
        return footprint.take(pid, files)

    def proc(self, pid: int, name: str) -> bytes:
        """The content of /proc/PID/NAME."""
        return Path(f"/proc/{pid}/{name}").read_bytes()

    def descriptor_target(self, pid: int, number: int) -> str:
        """What /proc/PID/fd/N points to."""
        return os.readlink(f"/proc/{pid}/fd/{number}")

    def adopt(self, pid: int) -> None:
        """A child of this process that is no stray: part of the harness."""
        self._adopted.add(pid)

    def strays(self, grace: float = 1.0) -> list[Process]:
        """Orphans that agents left to this world and that live on after `grace` seconds; they are killed by being reported."""
        return process.reap_orphans(self._adopted | set(self._agents), grace)

    # ---- agents

    def start(self, spec: StartSpec) -> int:
        """Start an agent; its pid. Raises OSError when it cannot be started."""
        stderr = f"stderr-{len(self._agents)}-{time.monotonic_ns()}"
        self._known.update((stderr, f"{stderr}.stdout"))
        if spec.uid is not None:
            self._known.update(os.path.basename(word) for word in spec.argv)  # see _reachable()
        started = Started(spec, self._folder / stderr)
        self._agents[started.pid] = started
        return started.pid

    def poll(self, pid: int) -> int | None:
        """Exit status of an agent started here (negative: signal), None while it lives."""
        return self._agents[pid].poll()

    def wait(self, pid: int, timeout: float) -> int | None:
        """The same after waiting at most `timeout` seconds."""
        return self._agents[pid].wait(timeout)

    def stderr(self, pid: int) -> bytes:
        """What the agent has written to stderr so far."""
        return self._agents[pid].stderr()

    def stdout(self, pid: int) -> bytes:
        """What it has written to a stdout of its own (StartSpec.stdout "file") so far."""
        return self._agents[pid].stdout()

    def facts(self, pid: int) -> autopsy.Facts | None:
        """How an agent was started here and where it stands, None when it was not or is forgotten."""
        agent = self._agents.get(pid)
        return None if agent is None else autopsy.facts(pid, agent.spec, agent.poll(), agent.stderr())

    def threads(self, pid: int) -> str:
        """Where each thread of a process and of its descendants waits."""
        return autopsy.threads(pid)

    def stop(self, pid: int) -> None:
        """Kill the agent with its tree and forget it."""
        agent = self._agents.pop(pid, None)
        if agent is not None:
            agent.stop()

    def terminate(self, pid: int) -> None:
        """SIGTERM to an agent started here."""
        os.kill(pid, signal.SIGTERM)

    def close(self) -> None:
        """Kill every agent and remove every file."""
        for pid in list(self._agents):
            self.stop(pid)
        process.reap_orphans(self._adopted, grace=0)
        self.drop(str(self._folder))


class NoWitness:
    """For an agent whose world cannot be seen."""

    def __init__(self, why: str) -> None:
        self.why = f"no witness: {why}"

    def strays(self) -> list[Process]:
        """None that could be seen from here."""
        return []

    def __getattr__(self, name: str) -> Any:
        raise CouldNotRun(self.why)


def shares_world(pid: int) -> bool:
    """Whether a process lives in this process's mount and PID namespaces."""
    try:
        return all(
            os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "pid")
        )
    except OSError:
        return False
