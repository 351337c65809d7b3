"""The report's folder: report.json, and what others write beside it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from guestwire.drive.connectable import UsageError
from guestwire.report import document, junit, page

DEFAULT = "guestwire-report"
REPORT = "report.json"
OURS = ("junit.xml", "report.html", "evidence")  # replaced by every run; whatever else lies there stays


def reserve(folder: Path) -> int:
    """Make the folder, and let no other run write to it. Return: a descriptor; the folder is reserved until it is closed. Raises
    UsageError for a folder that holds something else than a report, cannot be written to, or that another run writes to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not _ours(folder / REPORT):
            raise UsageError(
                f"{folder} holds no report of conform, and is not empty: choose another --report-dir, or empty it"
            )
        probe = folder / f".{REPORT}.new"
        probe.touch()
        probe.unlink()
        return _lock(folder)
    except OSError as error:
        raise UsageError(
            f"no report can be written to {folder}: {error.strerror}: choose another --report-dir"
        ) from None


def _lock(folder: Path) -> int:
    reserved = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(reserved, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(reserved)
        raise UsageError(
            f"another run writes its report to {folder}: wait for it, or choose another --report-dir"
        ) from None
    except OSError:  # a file system without locks
        pass
    return reserved


def claim(folder: Path) -> None:
    """Empty the folder of an earlier run's report, and leave a report without footer in it. Raises OSError."""
    write(folder / REPORT, document.unfinished())
    for name in OURS:
        _remove(folder / name)


def fill(folder: Path, report: document.Document, earlier: Sequence[document.Document] = ()) -> None:
    """Write every form of the report; report.json last, so that it is whole only if all are. Raises OSError."""
    write(folder / "junit.xml", junit.xml(report))
    write(folder / "report.html", page.render(report, folder, earlier))
    write(folder / REPORT, document.dump(report))


def gather(source: Path, names: Iterable[str], folder: Path) -> None:
    """Copy the evidence of these names that lies beside another report, as private as it was. Raises UsageError."""
    try:
        for name in filter(None, names):
            place, found = folder / name, source / name
            inside = place.resolve().is_relative_to((folder / "evidence").resolve())
            if not inside or not found.is_dir() or place.exists():
                continue
            for above in (folder / "evidence", place.parent):
                above.mkdir(mode=0o700, exist_ok=True)
            shutil.copytree(found, place, symlinks=True)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"the evidence in {source} cannot be copied to {folder}: {error}") from None


def _ours(report: Path) -> bool:
    try:
        return f'"format": "{document.FORMAT}"' in report.read_text(errors="replace")[:200]
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """All of it or nothing: never half a file under that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def put(path: Path, text: str) -> None:
    """Write to a path that somebody named. What is there and no plain file (a device, a pipe, a link) stays what it is. Raises
    OSError."""
    if _special(path):
        path.write_text(text, encoding="utf-8")
    else:
        write(path, text)


def check(path: Path) -> None:
    """Raises UsageError where put() would fail already now."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _special(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            probe = path.with_name(f".{path.name}.new")
            probe.touch()
            probe.unlink()
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _special(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir())
