"""Processes as the kernel shows them, and an agent started under stated conditions. Runs wherever the agent runs: in the
harness, or in the helper inside the agent's namespaces. Everything returned can be pickled."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from guestwire.drive.platform import ON_LINUX

_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_PDEATHSIG = 1
_CLONE_NEWPID = 0x20000000
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Orphans of the agents come to this process, so that none is lost sight of."""
    if ON_LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat. `state` is the kernel's letter (Z is a zombie)."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    state: str
    name: str


@dataclass(frozen=True)
class Stats:
    """What an agent holds. Memory in bytes."""

    descriptors: int
    threads: int
    children: int
    zombies: int
    pss: int
    peak_rss: int
    cpu_seconds: float


@dataclass(frozen=True)
class StartSpec:
    """How to start an agent. Paths and environment values may be bytes. A descriptor number in `pass_fds` is inherited."""

    argv: tuple[str, ...]
    env: Mapping[str, str | bytes] | None = None  # None: the harness's own
    cwd: str | bytes | None = None
    stdin: str = os.devnull
    stderr: str | int = (
        "file"  # file, closed, full (/dev/full), stuck (a pipe nobody reads, full), or a descriptor of the harness
    )
    stdout: str | int = (
        "stderr"  # stderr (the same), file (one of its own), closed, full, or a descriptor of the harness
    )
    ignore: tuple[int, ...] = ()
    block: tuple[int, ...] = ()
    close: tuple[int, ...] = ()
    limits: dict[int, tuple[int, int]] = field(default_factory=dict)
    umask: int | None = None
    uid: int | None = None  # also the gid; supplementary groups dropped
    oom_score_adj: int | None = None
    pass_fds: tuple[int, ...] = ()
    subreaper: bool = False
    init: bool = False  # as PID 1 of a PID namespace of its own; the pid is then its parent's
    groups_of_its_own: bool = True


def read_process(pid: int) -> Process | None:
    """None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (OSError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    state, ppid, pgid, sid = text[text.rindex(")") + 2 :].split()[:4]
    return Process(pid, int(ppid), int(pgid), int(sid), state, name)


def is_busy(pid: int) -> bool:
    """Whether one of its threads runs, could run or waits for a disk."""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/stat", "rb", buffering=0) as file:
                text = file.read(4096)
                if text[text.rindex(b")") + 2 :][:1] in (b"R", b"D"):
                    return True
    return False


def processes() -> Iterator[Process]:
    """All that /proc shows."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := read_process(int(entry))) is not None:
            yield process


def children(pid: int) -> list[int]:
    """Direct children, of all threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                found += map(int, file.readall().split())
    return found


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for process in found:
        found += children(process)
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL for the process and all its descendants, stopped first so that none is born meanwhile."""
    seen: set[int] = set()
    while new := [p for p in tree(pid) if p not in seen]:
        for process in new:
            seen.add(process)
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGSTOP)
    for process in seen:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def stats(pid: int) -> Stats | None:
    """None when the process is gone."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        pss = next(
            line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")
        )
        offspring = [p for c in children(pid) if (p := read_process(c)) is not None]
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return Stats(
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            threads=int(status["Threads"]),
            children=len(offspring),
            zombies=sum(p.state == "Z" for p in offspring),
            pss=int(pss.split()[1]) * 1024,
            peak_rss=int(status["VmHWM"].split()[0]) * 1024,
            cpu_seconds=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        )
    except (OSError, KeyError, StopIteration):
        return None


def counts(pid: int) -> tuple[int, int, int] | None:
    """(descriptors, threads, children) of a live process: what stats() gives, but cheap enough for every case."""
    try:
        return (len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")), len(children(pid)))
    except OSError:
        return None


def _become_init() -> None:
    """Go on as PID 1 of a new PID namespace, killed with this process, which stays behind to end as that one does."""
    if _libc.unshare(_CLONE_NEWPID) != 0:
        raise OSError(ctypes.get_errno(), "unshare: a PID namespace needs root (CAP_SYS_ADMIN)")
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # with that by which subprocess learns of the exec
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


_PREPARED = ("init", "ignore", "block", "close", "limits", "umask", "uid", "oom_score_adj", "subreaper")


def _needs_preparing(spec: StartSpec) -> bool:
    """Whether something has to be done between fork and exec. If not, subprocess may use vfork, which is far cheaper here."""
    plain = StartSpec(spec.argv)
    return any(getattr(spec, name) != getattr(plain, name) for name in _PREPARED)


def _prepare(spec: StartSpec) -> None:
    """Runs in the child, between fork and exec."""
    if spec.init:
        _become_init()
    for ignored in spec.ignore:
        signal.signal(ignored, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, spec.block)
    for which, limit in spec.limits.items():
        resource.setrlimit(which, limit)
    if spec.subreaper:
        become_subreaper()
    if spec.umask is not None:
        os.umask(spec.umask)
    if spec.oom_score_adj is not None:
        Path("/proc/self/oom_score_adj").write_text(str(spec.oom_score_adj))
    if spec.uid is not None:
        os.setgroups([])
        os.setgid(spec.uid)
        os.setuid(spec.uid)
    for descriptor in spec.close:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _stderr(spec: StartSpec, path: Path) -> tuple[int, list[int]]:
    """The descriptor for the agent's stderr, and those the harness must keep open as long as the agent lives."""
    if isinstance(spec.stderr, int):
        return os.dup(spec.stderr), []
    if spec.stderr == "full":
        return os.open("/dev/full", os.O_WRONLY), []
    if spec.stderr == "stuck":
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(write_end, b"." * 4096):
                pass
        os.set_blocking(write_end, True)
        return write_end, [read_end]
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644), []


def _stdout(spec: StartSpec, path: Path, stderr: int) -> int:
    """A new descriptor for the program's stdout."""
    if isinstance(spec.stdout, int):
        return os.dup(spec.stdout)
    if spec.stdout == "full":
        return os.open("/dev/full", os.O_WRONLY)
    if spec.stdout == "file":
        return os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    return os.dup(stderr)


def _beside(stderr: Path) -> Path:
    """Where stdout goes if it has a file of its own."""
    return stderr.with_name(f"{stderr.name}.stdout")


def _reachable(word: str, folder: Path) -> str:
    """A program's path that another user can reach: itself, or a copy in `folder` if some directory on the way is closed."""
    path = Path(word)
    if not path.is_file() or all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents):
        return word
    copy = folder / path.name
    if not copy.exists():
        shutil.copyfile(path, copy)
        copy.chmod(0o755)
    return str(copy)


class Started:
    """An agent process that this process started."""

    def __init__(self, spec: StartSpec, stderr_path: Path) -> None:
        self._stderr_path = stderr_path
        self.spec = spec
        err, self._kept = _stderr(spec, stderr_path)
        stdin = os.open(spec.stdin, os.O_RDONLY | os.O_CLOEXEC)
        out = _stdout(spec, stderr_path, err)
        close = (*spec.close, *((2,) if spec.stderr == "closed" else ()), *((1,) if spec.stdout == "closed" else ()))
        prepared = replace(spec, close=close)
        if spec.uid is not None:
            spec = replace(spec, argv=tuple(_reachable(word, stderr_path.parent) for word in spec.argv))
        try:
            self.popen = subprocess.Popen(
                spec.argv,
                stdin=stdin,
                stdout=out,
                stderr=err,
                env=spec.env,
                cwd=spec.cwd,
                pass_fds=spec.pass_fds,
                preexec_fn=(lambda: _prepare(prepared)) if _needs_preparing(prepared) else None,
                start_new_session=spec.groups_of_its_own,
            )
        finally:
            os.close(err)
            os.close(out)
            os.close(stdin)
        self.pid = self.popen.pid

    def poll(self) -> int | None:
        """The exit status (negative: signal), None while it lives."""
        return self.popen.poll()

    def wait(self, timeout: float) -> int | None:
        """The same after waiting at most `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.popen.wait(timeout)
        return None

    def stderr(self) -> bytes:
        """What it has written to stderr so far ("file" only)."""
        try:
            return self._stderr_path.read_bytes()
        except OSError:
            return b""

    def stdout(self) -> bytes:
        """What it has written to stdout so far ("file" only)."""
        try:
            return _beside(self._stderr_path).read_bytes()
        except OSError:
            return b""

    def stop(self) -> None:
        """Kill it with its tree and forget it."""
        if self.popen.poll() is None:
            kill_tree(self.pid)
            self.popen.wait()
        for number in self._kept:
            os.close(number)
        self._kept = []


def reap_orphans(known: set[int], grace: float = 1.0) -> list[Process]:
    """Children of this process that nobody here started: orphans of agents. Zombies are reaped. What still lives after `grace`
    seconds (a SIGKILL may be on its way) is returned, and killed."""
    end = time.monotonic() + grace
    while True:
        alive: list[Process] = []
        for pid in children(os.getpid()):
            process = None if pid in known else read_process(pid)
            if process is None:
                continue
            if process.state == "Z":
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)
            else:
                alive.append(process)
        if not alive or time.monotonic() > end:
            break
        time.sleep(0.01)
    for process in alive:
        kill_tree(process.pid)
        with contextlib.suppress(OSError):
            os.waitpid(process.pid, 0)
    return alive
